//! The proof: what was deleted can be read nowhere, and the audit trail says so.

use tieline::call::voicemail::Mailbox;
use tieline::privacy::chunks::ChunkReader;
use tieline::privacy::seal::DataKey;
use tieline::store::{CustomerKey, Eligibility, Record, Store, StoreError};

use crate::fresh::{Fresh, database, found_in, on_both};
use crate::private::PRIVATE;
use crate::site::{Site, text};

on_both! {
    what_is_deleted_can_be_read_nowhere
    after_a_rotation_an_old_backup_opens_for_nobody
}

/// Nothing of the patient, the caller and the customer is there.
async fn unreadable(store: &Store, site: &Site, data: &std::path::Path) {
    for sid in ["CA1", "CA2"] {
        assert!(matches!(
            store.data_key(Record::Call(sid)).await,
            Err(StoreError::Shredded)
        ));
        let left = store.call(sid).await.expect("answered").expect("a row");
        assert!(left.call.shredded && left.call.from.is_none() && left.turns.is_empty() && left.tool_runs.is_empty());
        assert!(!data.join("recordings").join(site.recording_file(sid)).exists());
        assert!(store.recordings_of(sid).await.expect("answered").is_empty());
    }
    let mailbox = Mailbox::new(data.join("voicemail"), store.clone());
    for id in ["a1", "b2"] {
        assert!(mailbox.wav(id).await.expect("answered").is_none());
        assert!(store.voicemail(id).await.expect("answered").is_none());
        assert!(!mailbox.path(id).exists());
    }
    let born = jiff::civil::date(1961, 2, 3);
    let found = store
        .coverage("ZQ909090", born, "mri", jiff::civil::date(2026, 11, 21))
        .await
        .expect("answered");
    assert!(found == Eligibility::UnknownMember);
    for key in [CustomerKey::Number(&site.customer), CustomerKey::Phone("+12125550177")] {
        assert!(store.find_customer(key).await.expect("answered").is_none());
    }
    assert_eq!(store.verify().await.expect("readable").faults, Vec::<String>::new());
}

async fn what_is_deleted_can_be_read_nowhere(fresh: Fresh) {
    let site = Site::new(fresh).await;
    let backup = site.path("before.tieline");
    site.tieline(&["data", "backup", text(&backup)]).ok();
    let wrapped: Vec<String> =
        sqlx::query_scalar("SELECT wrapped FROM data_keys WHERE id LIKE 'call/%' OR id LIKE 'voicemail/%'")
            .fetch_all(&site.fresh.raw().await)
            .await
            .expect("keys");
    assert_eq!(wrapped.len(), 4);
    let parts: Vec<&str> = wrapped.iter().map(|key| &key[30..60]).collect();
    assert_eq!(
        found_in(&site.fresh.everything().await, &parts),
        parts,
        "they are looked for in the right place"
    );
    let files: Vec<Vec<u8>> = ["CA1", "CA2"]
        .map(|sid| std::fs::read(site.recording(sid)).expect("a file"))
        .into();

    for args in [
        ["--patient", "ZQ909090"],
        ["--caller", "+12125550188"],
        ["--customer", &site.customer],
    ] {
        site.tieline(&[&["data", "delete", "--yes"], &args[..]].concat()).ok();
    }
    unreadable(&site.store, &site, &site.data()).await;
    site.is_whole().await;
    assert_eq!(
        found_in(&site.fresh.everything().await, &parts),
        Vec::<&str>::new(),
        "nor are the keys in raw files"
    );
    // A copy of the file that somebody has kept opens by no key there is.
    for (file, sid) in files.iter().zip(["CA1", "CA2"]) {
        let other = DataKey::random(format!("call/{sid}"));
        assert!(ChunkReader::new(&file[..], &other, site.part(sid)).is_err());
    }
    let out = site.path("after");
    site.tieline(&["data", "export", "--patient", "ZQ909090", "--out", text(&out)])
        .ok();
    let file = std::fs::read(out.join("person.json")).expect("a file");
    assert_eq!(found_in(&file, PRIVATE), Vec::<&str>::new());
    let verified = site.tieline(&["data", "verify"]).ok();
    assert!(verified.contains(" 0 faults"), "{verified}");
    for subject in ["call/CA1", "call/CA2", "voicemail/a1", "voicemail/b2", "recording/CA1"] {
        let proof = site.proof(subject).await.expect("proof");
        assert_eq!(proof.action, "delete", "{subject}");
        assert!(
            proof.detail.starts_with("at the request of patient/"),
            "{}",
            proof.detail
        );
    }

    for (number, into) in [Fresh::sqlite(), Fresh::postgres().await].iter().enumerate() {
        let data = site.path(&format!("data-{number}"));
        let list = site.data().join("shredded.list");
        let args = [
            "data",
            "restore",
            text(&backup),
            "--into",
            &into.url,
            "--shred-list",
            text(&list),
        ];
        let said = site.tieline_with(&args, &[("DATA_DIR", text(&data))]).ok();
        // Two calls, two messages, a patient, a customer, two orders.
        assert!(
            said.contains("and 0 files; 8 records were deleted since and stay so"),
            "{said}"
        );
        let store = Store::open(&database(&into.url, true)).await.expect("usable");
        unreadable(&store, &site, &data).await;
        assert_eq!(
            found_in(&into.everything().await, &parts),
            Vec::<&str>::new(),
            "the keys were never written"
        );
        let found = store
            .find_customer(CustomerKey::Number("482615"))
            .await
            .expect("answered");
        assert!(found.is_some(), "all else is there");
        let kept = std::fs::read_to_string(data.join("shredded.list")).expect("the list goes on");
        assert!(kept.contains("call/CA1"), "{kept}");
    }
}

/// What the list cannot do, as it binds only our own restore: with the old key gone, nobody can open the backup.
async fn after_a_rotation_an_old_backup_opens_for_nobody(fresh: Fresh) {
    let site = Site::new(fresh).await;
    let file = site.path("kek.key");
    let key = format!("{}\n", crate::fresh::KEK);
    std::fs::write(&file, key).expect("written");
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("changed");
    let by_file = |args: &[&str]| {
        let mut command = site.command(args, &[("KEK_FILE", text(&file))]);
        let output = command.env_remove("KEK").output().expect("the program starts");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.success(), said + &String::from_utf8_lossy(&output.stderr))
    };
    let (backup, later) = (site.path("before.tieline"), site.path("later.tieline"));
    let (good, said) = by_file(&["data", "backup", text(&backup)]);
    assert!(good, "{said}");
    let (good, said) = by_file(&["data", "delete", "--patient", "ZQ909090", "--yes", "--rotate"]);
    assert!(good && said.contains("Make a new backup; then delete "), "{said}");
    let (good, trail) = by_file(&["data", "audit", "list", "--action", "kek", "--limit", "1"]);
    assert!(good && trail.contains(r#""outcome":"rotated""#), "{trail}");
    let (good, said) = by_file(&["data", "backup", text(&later)]);
    assert!(good, "{said}");
    // The old key's line goes.
    let keys = std::fs::read_to_string(&file).expect("readable");
    let keys: Vec<&str> = keys.lines().filter(|line| *line != crate::fresh::KEK).collect();
    std::fs::write(&file, keys.join("\n")).expect("written");
    let into = Fresh::sqlite();
    let list = site.data().join("shredded.list");
    let restore = |backup| {
        by_file(&[
            "data",
            "restore",
            backup,
            "--into",
            &into.url,
            "--shred-list",
            text(&list),
        ])
    };
    let (good, said) = restore(text(&backup));
    assert!(!good && said.contains("which is not in"), "{said}");
    let moved = site.path("moved");
    std::fs::rename(site.data().join("voicemail"), &moved).expect("moved");
    let (good, said) = restore(text(&later));
    assert!(good, "{said}");
}
