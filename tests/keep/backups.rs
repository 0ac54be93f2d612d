//! A backup is of one moment, is read by nobody without its key, and comes back whole or not at all.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use sqlx::AssertSqlSafe;
use tieline::call::voicemail::Mailbox;
use tieline::store::{Because, CustomerKey, Item, NewCall, NewCustomer, Record, Retired, Store, Turn};

use crate::fresh::{Fresh, database, found_in, on_both};
use crate::private::PRIVATE;
use crate::site::{Said, Site, TEST, text};

on_both! {
    a_backup_comes_back_in_either_database
    every_altered_byte_is_found
    a_backup_is_of_one_moment
    what_is_deleted_as_a_backup_begins_is_on_the_list
    without_the_right_list_nothing_is_restored
    nothing_is_written_over
}

fn back_up(site: &Site) -> std::path::PathBuf {
    let out = site.path("backup.tieline");
    let said = site.tieline(&["data", "backup", text(&out)]).ok();
    assert!(said.contains("backup/") && said.contains("shredded.list"), "{said}");
    out
}

/// Into a database with a directory of its own.
fn restore(site: &Site, backup: &Path, into: &Fresh, data: &Path, more: &[&str]) -> Said {
    let list = site.data().join("shredded.list");
    let args = [&["data", "restore", text(backup), "--into", &into.url], more].concat();
    let args = if more.is_empty() {
        [&args[..], &["--shred-list", text(&list)]].concat()
    } else {
        args
    };
    site.tieline_with(&args, &[("DATA_DIR", text(data))])
}

async fn opened(into: &Fresh) -> Store {
    Store::open(&database(&into.url, true))
        .await
        .expect("a usable database")
}

async fn a_backup_comes_back_in_either_database(fresh: Fresh) {
    let site = Site::new(fresh).await;
    site.store
        .add_hold(Record::Call("CA1"), "bumblebee", TEST)
        .await
        .expect("added");
    let backup = back_up(&site);
    let bytes = std::fs::read(&backup).expect("a file");
    let plain = ["front-desk", "eligible", "turn_sealed", "voicemail/a1"];
    assert_eq!(found_in(&bytes, &[PRIVATE, &plain].concat()), Vec::<&str>::new());
    for (number, into) in [Fresh::sqlite(), Fresh::postgres().await].iter().enumerate() {
        let data = site.path(&format!("data-{number}"));
        let said = restore(&site, &backup, into, &data, &[]).ok();
        assert!(said.contains("and 4 files; 0 records were deleted since"), "{said}");
        assert!(said.ends_with(" 0 deleted for good, 0 faults\n"), "{said}");
        let store = opened(into).await;
        let (here, there) = (store.call("CA1").await, site.store.call("CA1").await);
        assert!(here.expect("read").expect("there") == there.expect("read").expect("there"));
        let found = store
            .find_customer(CustomerKey::Phone("+12125550177"))
            .await
            .expect("read");
        assert_eq!(
            found.map(|customer| customer.customer_number),
            Some(site.customer.clone())
        );
        assert_eq!(
            store.list_customers(None, 50).await.expect("listed").items.len(),
            4,
            "no second seed"
        );
        let mailbox = Mailbox::new(data.join("voicemail"), store.clone());
        assert_eq!(
            mailbox.wav("a1").await.expect("read").expect("there"),
            b"RIFF marzipan a1"
        );
        assert_eq!(
            std::fs::read(data.join("recordings").join(site.recording_file("CA2"))).expect("there"),
            std::fs::read(site.recording("CA2")).expect("there")
        );
        let events = store.audit_events(2).await.expect("listed");
        assert_eq!(events[0].action, "restore");
        assert!(events[0].seq > events[1].seq, "events are counted on");
        assert_eq!(store.api_keys().await.expect("listed").len(), 1);
        let customer = store
            .create_customer(
                &NewCustomer {
                    name: "Ann".into(),
                    ..Default::default()
                },
                "x",
            )
            .await;
        customer.expect("it goes on from there");
    }
}

async fn every_altered_byte_is_found(fresh: Fresh) {
    let site = Site::new(fresh).await;
    let backup = back_up(&site);
    let whole = std::fs::read(&backup).expect("a file");
    let (bad, into) = (site.path("bad.tieline"), Fresh::sqlite());
    let data = site.path("data-bad");
    let first_line = whole.iter().position(|byte| *byte == b'\n').expect("a line");
    let places = (0..first_line + 60)
        .step_by(23)
        .chain((0..whole.len()).step_by(whole.len() / 25 + 1));
    for at in places {
        let mut altered = whole.clone();
        altered[at] ^= 1;
        std::fs::write(&bad, &altered).expect("written");
        let told = restore(&site, &bad, &into, &data, &[]).refused();
        let named = [
            "is no backup",
            "does not open",
            "is damaged after",
            "which is not in",
            "cannot be read",
        ];
        assert!(named.iter().any(|named| told.contains(named)), "byte {at}: {told}");
        assert_eq!(found_in(told.as_bytes(), PRIVATE), Vec::<&str>::new());
    }
    for cut in [0, first_line, first_line + 1, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&bad, &whole[..cut]).expect("written");
        restore(&site, &bad, &into, &data, &[]).refused();
    }
    std::fs::write(&bad, [&whole[..], b"x"].concat()).expect("written");
    let told = restore(&site, &bad, &into, &data, &[]).refused();
    assert!(told.contains("something was added behind the last chunk"), "{told}");
    let other = ("KEK", "Tm90IHRoZSBrZXkgb2YgdGhpcyBkYXRhYmFzZSBoZXI=");
    let args = ["data", "restore", text(&backup), "--into", &into.url];
    let told = site.tieline_with(&args, &[other]).refused();
    assert!(
        told.contains("is encrypted with the key") && told.contains("which is not in KEK"),
        "{told}"
    );
    // Nothing of all that is left.
    assert!(!data.exists() && into.dir().is_some_and(|dir| !dir.join("new").exists()));
    restore(&site, &backup, &into, &data, &[]).ok();
}

async fn a_backup_is_of_one_moment(fresh: Fresh) {
    let site = Site::new(fresh).await;
    let (store, backup) = (site.store.clone(), site.path("backup.tieline"));
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let writing = tokio::spawn(async move {
        let mut calls = 0_u32;
        while stopped.try_recv().is_err() {
            let call_sid = format!("CW{calls}");
            let new = NewCall {
                call_sid: call_sid.clone(),
                agent: "front-desk".to_owned(),
                ..NewCall::default()
            };
            store.begin_call(&new).await.expect("begun");
            for number in 1..=3 {
                let turn = Turn {
                    number,
                    said: "bumblebee".to_owned(),
                    heard: String::new(),
                    outcome: "answered".to_owned(),
                    ledger: serde_json::Value::Null,
                };
                store.save_turn(&call_sid, &turn).await.expect("saved");
            }
            calls += 1;
        }
        calls
    });
    let keeper = site.keeper(&[]);
    let mut rows = Vec::new();
    for number in 0..5 {
        let path = backup.with_extension(number.to_string());
        rows.push(keeper.backup(&path, TEST).await.expect("made").rows);
    }
    stop.send(()).expect("it writes");
    let calls = writing.await.expect("written");
    assert!(
        calls > 0 && rows.is_sorted() && rows[0] < rows[4],
        "calls were written meanwhile: {rows:?}"
    );
    for number in 0..5 {
        let (into, data) = (Fresh::sqlite(), site.path(&format!("data-{number}")));
        let said = restore(&site, &backup.with_extension(number.to_string()), &into, &data, &[]).ok();
        // No call without its turns, no key without its record.
        assert!(said.ends_with(" 0 deleted for good, 0 faults\n"), "{said}");
    }
}

/// The list is brought up to date, something is deleted, and then the rows are read.
async fn what_is_deleted_as_a_backup_begins_is_on_the_list(fresh: Fresh) {
    let site = Site::new(fresh).await;
    let (keeper, out) = (site.keeper(&[]), site.path("backup.tieline"));
    keeper.bring_list_up_to_date().await.expect("a list");
    let list = std::fs::File::open(site.data().join("shredded.list")).expect("a list");
    list.lock().expect("locked");
    // It waits in a thread of its own: what else runs here must go on.
    let (runtime, path) = (tokio::runtime::Handle::current(), out.clone());
    let backup = std::thread::spawn(move || runtime.block_on(keeper.backup(&path, TEST)));
    // It knows of nothing that was deleted, and waits for the file.
    let inode = list.metadata().expect("a file").ino();
    let waits = async {
        loop {
            let locks = std::fs::read_to_string("/proc/locks").expect("Linux");
            let mut waiting = locks.lines().filter(|line| line.contains("->"));
            if waiting.any(|line| line.contains(&format!(":{inode} "))) {
                return;
            }
            site.store.now().await.expect("answered");
        }
    };
    let within = std::time::Duration::from_secs(60);
    tokio::time::timeout(within, waits).await.expect("it comes to the list");
    let because = Because {
        who: TEST,
        action: "delete",
        detail: "",
    };
    let items = [Item::Content("CA1".to_owned())];
    let retired = site.store.retire(&items, because).await.expect("deleted");
    assert_eq!(retired, [Retired::Gone]);
    list.unlock().expect("unlocked");
    backup.join().expect("no panic").expect("made");
    restore(&site, &out, &Fresh::sqlite(), &site.path("data-z"), &[]).ok();
}

async fn without_the_right_list_nothing_is_restored(fresh: Fresh) {
    let site = Site::new(fresh).await;
    let list = site.data().join("shredded.list");
    let early = back_up(&site);
    let old_list = std::fs::read(&list).expect("an empty list is one, too");
    site.tieline(&["data", "delete", "--patient", "ZQ909090", "--yes"]).ok();
    let late = site.path("late.tieline");
    site.tieline(&["data", "backup", text(&late)]).ok();
    let new_list = std::fs::read(&list).expect("a list");
    assert!(new_list.len() > old_list.len());
    let (into, data) = (Fresh::sqlite(), site.path("data-x"));
    std::fs::remove_file(&list).expect("removed");
    let told = restore(&site, &early, &into, &data, &[]).refused();
    assert!(
        told.contains("there is no list of deleted keys") && told.contains("--without-shred-list"),
        "{told}"
    );
    std::fs::write(&list, &old_list).expect("written");
    let told = restore(&site, &late, &into, &data, &[]).refused();
    assert!(told.contains("which was deleted before the backup was made"), "{told}");
    let mut altered = new_list.clone();
    altered[10] ^= 1;
    std::fs::write(&list, &altered).expect("written");
    let told = restore(&site, &early, &into, &data, &[]).refused();
    assert!(told.contains("line 1 of the list of deleted keys"), "{told}");
    std::fs::write(&list, &new_list).expect("written");
    restore(&site, &early, &into, &data, &[]).ok();
    // Who says so gets what was deleted since: only the list keeps it away.
    let (into, data) = (Fresh::sqlite(), site.path("data-y"));
    restore(&site, &early, &into, &data, &["--without-shred-list"]).ok();
    let store = opened(&into).await;
    assert_eq!(store.call("CA1").await.expect("read").expect("there").turns.len(), 3);
    let event = store.audit_events(1).await.expect("listed").remove(0);
    assert_eq!(event.outcome, "restored without the list");
}

async fn nothing_is_written_over(fresh: Fresh) {
    let site = Site::new(fresh).await;
    let backup = back_up(&site);
    let again = site.tieline(&["data", "backup", text(&backup)]).refused();
    assert!(again.contains("backup.tieline cannot be written"), "{again}");
    let told = site.tieline(&["data", "restore", text(&backup)]).refused();
    assert!(
        told.contains("is not empty (") && told.contains("restore into a new one"),
        "{told}"
    );
    let bad = site
        .tieline(&["data", "restore", text(&backup), "--into", "mysql://x:hidden@y/z"])
        .refused();
    assert!(bad.contains("--into: expected") && !bad.contains("hidden"), "{bad}");
    let (into, data) = (Fresh::sqlite(), site.path("data-x"));
    std::fs::create_dir_all(data.join("voicemail")).expect("a directory");
    std::fs::write(data.join("voicemail/a1.wav.sealed"), "another").expect("written");
    let told = restore(&site, &backup, &into, &data, &[]).refused();
    assert!(
        told.contains("a1.wav.sealed is there already, with another content"),
        "{told}"
    );
    // What the attempt has left is no hindrance.
    std::fs::remove_file(data.join("voicemail/a1.wav.sealed")).expect("removed");
    restore(&site, &backup, &into, &data, &[]).ok();
}

/// Tables come before those that refer to them; else the rows of a new table could not be restored.
#[tokio::test]
async fn tables_are_restored_in_an_order_that_their_references_allow() {
    let fresh = Fresh::sqlite();
    let store = fresh.open().await;
    let mut order = Vec::new();
    let told = store.dump(|dumped| {
        if let tieline::store::Dumped::Table(table) = dumped {
            order.push(table.table.clone());
        }
        Ok(())
    });
    told.await.expect("read");
    assert!(order.len() > 10);
    let raw = fresh.raw().await;
    for (place, table) in order.iter().enumerate() {
        let question = format!("SELECT \"table\" FROM pragma_foreign_key_list('{table}')");
        let parents: Vec<String> = sqlx::query_scalar(AssertSqlSafe(question))
            .fetch_all(&raw)
            .await
            .expect("read");
        for parent in parents {
            let before = order[..place].contains(&parent);
            assert!(before, "{table} refers to {parent}: name that in dump::REFERRED_TO");
        }
    }
}
