//! What is on hold is deleted by nobody, until the hold is released.

use tieline::retention::{Purge, RetentionError};
use tieline::store::{Because, Item, Person, Record, Retired};

use crate::fresh::{Fresh, count, found_in, on_both};
use crate::private::PRIVATE;
use crate::site::{Site, TEST};

on_both! {
    a_call_on_hold_outlives_its_time
    a_patient_on_hold_keeps_all_calls
    a_customer_on_hold_cannot_be_deleted
    holds_that_make_no_sense_are_refused
    what_was_taken_away_by_hand_is_missed
}

fn id(said: &str) -> String {
    said.trim_end().rsplit(' ').next().expect("an id").to_owned()
}

async fn a_call_on_hold_outlives_its_time(fresh: Fresh) {
    let site = Site::new(fresh).await;
    for sid in ["CA1", "CA2"] {
        site.age("calls", "call_sid", sid, 3_000).await;
    }
    for voicemail in ["a1", "b2"] {
        site.age("voicemails", "id", voicemail, 3_000).await;
    }
    let add = [
        "data",
        "hold",
        "add",
        "--call",
        "CA1",
        "--reason",
        "Quagmire against us, bumblebee",
    ];
    let hold = id(&site.tieline(&add).ok());
    // Whoever had looked before the hold was there finds it in the transaction that deletes.
    let because = Because {
        who: TEST,
        action: "delete",
        detail: "test",
    };
    let items = [Item::Content("CA1".to_owned()), Item::Voicemail("b2".to_owned())];
    let retired = site.store.retire(&items, because).await.expect("answered");
    assert!(
        retired.iter().all(|retired| matches!(retired, Retired::OnHold(_))),
        "{retired:?}"
    );
    let shown = site.tieline(&["data", "purge", "--dry-run"]).ok();
    assert_eq!(
        shown.matches(": 1 would be deleted, 1 on hold").count(),
        3,
        "both messages were left in CA1: {shown}"
    );
    assert!(
        shown.contains("voicemails, kept for 366d: 0 would be deleted, 2 on hold"),
        "{shown}"
    );
    site.tieline(&["data", "purge"]).ok();
    assert_eq!(
        site.store
            .call("CA1")
            .await
            .expect("answered")
            .expect("there")
            .turns
            .len(),
        3
    );
    assert!(site.recording("CA1").exists() && site.voicemail("a1").exists() && !site.recording("CA2").exists());
    assert!(site.store.call("CA2").await.expect("answered").is_none());
    let listed = site.tieline(&["data", "hold", "list"]).ok();
    assert!(
        listed.contains(&hold) && listed.contains("call/CA1") && listed.contains("bumblebee"),
        "{listed}"
    );
    assert_eq!(
        found_in(&site.fresh.everything().await, PRIVATE),
        Vec::<&str>::new(),
        "the reason is sealed"
    );
    site.tieline(&["data", "hold", "release", &hold, "--reason", "settled"])
        .ok();
    let again = site
        .tieline(&["data", "hold", "release", &hold, "--reason", "settled"])
        .refused();
    assert!(again.contains("it is released already"), "{again}");
    let listed = site.tieline(&["data", "hold", "list"]).ok();
    assert!(
        listed.contains(" until ") && listed.contains("; released: settled"),
        "{listed}"
    );
    site.tieline(&["data", "purge"]).ok();
    assert!(site.store.call("CA1").await.expect("answered").is_none());
    let events = site.store.audit_of("call/CA1").await.expect("listed");
    let acts: Vec<(&str, &str)> = events
        .iter()
        .map(|event| (event.action.as_str(), event.outcome.as_str()))
        .collect();
    assert_eq!(
        acts,
        [
            ("hold", "added"),
            ("hold", "released"),
            ("purge", "deleted"),
            ("purge", "deleted")
        ]
    );
    site.is_whole().await;
}

async fn a_patient_on_hold_keeps_all_calls(fresh: Fresh) {
    let site = Site::new(fresh).await;
    // As an earlier version has left it.
    site.run("DELETE FROM call_subjects").await;
    site.run("DELETE FROM facts WHERE name = 'call_subjects'").await;
    for sid in ["CA1", "CA2"] {
        site.age("calls", "call_sid", sid, 3_000).await;
    }
    let hold = site
        .store
        .add_hold(Record::Patient("zq909090"), "audit", TEST)
        .await
        .expect("added");
    let keeper = site.keeper(&[]);
    let Purge::Done(done) = keeper.purge(TEST, &mut |_, _| {}).await.expect("done") else {
        panic!("alone")
    };
    assert_eq!(
        done.iter()
            .map(|(_, purged)| (purged.gone, purged.held))
            .collect::<Vec<_>>()[1..3],
        [(0, 2), (0, 2)]
    );
    assert_eq!(
        site.store
            .call("CA2")
            .await
            .expect("answered")
            .expect("there")
            .turns
            .len(),
        3
    );
    let refused = site
        .tieline(&["data", "delete", "--patient", "ZQ909090", "--yes"])
        .refused();
    assert!(refused.contains("is on hold since"), "{refused}");
    assert!(site.store.patient_file("ZQ909090").await.expect("readable").is_some());
    assert!(site.store.release_hold(&hold, "over", TEST).await.expect("answered"));
    keeper.purge(TEST, &mut |_, _| {}).await.expect("done");
    assert_eq!(count(&site.fresh.raw().await, "SELECT count(*) FROM calls").await, 0);
}

async fn a_customer_on_hold_cannot_be_deleted(fresh: Fresh) {
    let site = Site::new(fresh).await;
    let customer = site.customer.as_str();
    site.store
        .add_hold(Record::Customer(customer), "audit", TEST)
        .await
        .expect("added");
    // An order was given in it.
    let found = site
        .store
        .belongings(Person::Caller("+12125550188"))
        .await
        .expect("found");
    let refused = site.keeper(&[]).delete(&found, TEST).await.expect_err("on hold");
    assert!(matches!(refused, RetentionError::OnHold { .. }), "{refused}");
    let found = site.store.belongings(Person::Customer(customer)).await.expect("found");
    let refused = site
        .keeper(&[])
        .delete(&found, TEST)
        .await
        .expect_err("on hold")
        .to_string();
    assert!(
        refused.contains("nothing was deleted") && refused.contains("on hold since 20"),
        "{refused}"
    );
    assert_eq!(site.store.task_orders(customer).await.expect("listed").len(), 2);
    let shown = site.tieline(&["data", "delete", "--customer", customer]).ok();
    assert!(
        shown.contains(" is on hold since 20") && shown.contains("nothing was deleted"),
        "{shown}"
    );
}

async fn holds_that_make_no_sense_are_refused(fresh: Fresh) {
    let site = Site::new(fresh).await;
    let add = |args: &[&str]| {
        let all = [&["data", "hold", "add"], args].concat();
        site.tieline(&all).refused()
    };
    assert!(add(&["--call", "CA9", "--reason", "x"]).contains("there is no call \"CA9\""));
    assert!(add(&["--call", "CA1", "--reason", " "]).contains("reason cannot be stored"));
    assert!(add(&["--reason", "x"]).contains("--call"));
    assert!(add(&["--call", "CA1"]).contains("--reason"));
    assert_eq!(count(&site.fresh.raw().await, "SELECT count(*) FROM holds").await, 0);
}

async fn what_was_taken_away_by_hand_is_missed(fresh: Fresh) {
    let site = Site::new(fresh).await;
    let hold = site
        .store
        .add_hold(Record::Call("CA1"), "audit", TEST)
        .await
        .expect("added");
    site.store.link_old_calls().await.expect("linked");
    site.is_whole().await;
    site.run("DELETE FROM held").await;
    site.run("DELETE FROM call_subjects WHERE call_sid = 'CA2'").await;
    let faults = site.store.verify().await.expect("readable").faults;
    let told = [
        "call_subjects: a row of CA2 was altered".to_owned(),
        format!("held: a row of {hold} was altered"),
    ];
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(
        faults.iter().zip(&told).all(|(fault, told)| fault.starts_with(told)),
        "{faults:?}"
    );
    // With its key, or without it; and the key alone.
    let faults = async || {
        let mut faults = site.store.verify().await.expect("readable").faults;
        faults.retain(|fault| fault.contains("hold/"));
        faults
    };
    site.run("UPDATE data_keys SET kek_id = NULL, wrapped = NULL, shredded_at_ms = 1 WHERE id LIKE 'hold/%'")
        .await;
    let keyless = format!("data_keys: the row hold/{hold} is missing; was it deleted by hand?");
    assert_eq!(faults().await, [keyless.as_str()]);
    site.run("DELETE FROM data_keys WHERE id LIKE 'hold/%'").await;
    assert_eq!(faults().await, [keyless]);
    let other = site.store.add_hold(Record::Call("CA2"), "audit", TEST).await;
    let other = other.expect("added");
    site.run("DELETE FROM holds").await;
    let gone = format!("holds: the row of hold/{other} is missing; was it deleted by hand?");
    assert_eq!(faults().await, [gone]);
}
