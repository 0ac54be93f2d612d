//! What is known of a person is given out whole, and deleted whole.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;
use tieline::store::{NewCall, NewCustomer, Person, Record, Store};

use crate::fresh::{Fresh, count, found_in, on_both};
use crate::private::PRIVATE;
use crate::site::{Site, text};

on_both! {
    a_patient_is_given_everything
    a_customer_is_given_everything
    a_caller_is_given_everything
    nothing_is_deleted_without_yes
    a_customer_is_deleted_with_all_that_belongs_to_them
    a_number_that_two_share_gives_nobody_the_others_calls
    what_cannot_be_read_is_said
}

fn export(site: &Site, args: &[&str]) -> Value {
    let out = site.path("out");
    let all = [&["data", "export", "--out", text(&out)], args].concat();
    let said = site.tieline(&all).ok();
    assert!(said.contains("not encrypted any more"), "{said}");
    assert_eq!(found_in(said.as_bytes(), PRIVATE), Vec::<&str>::new());
    let mode = |name: &str| out.join(name).metadata().expect("there").permissions().mode() & 0o777;
    assert_eq!((mode(""), mode("person.json")), (0o700, 0o600));
    let file = std::fs::read_to_string(out.join("person.json")).expect("a file");
    let again = site.tieline(&all).refused();
    assert!(again.contains("out cannot be used"), "{again}");
    serde_json::from_str(&file).expect("JSON")
}

fn names(file: &Value, list: &str, name: &str) -> Vec<String> {
    let items = file[list].as_array().expect("a list").iter();
    items
        .map(|item| item[name].as_str().expect("a text").to_owned())
        .collect()
}

async fn a_patient_is_given_everything(fresh: Fresh) {
    let site = Site::new(fresh).await;
    let file = export(&site, &["--patient", "zq909090"]);
    assert_eq!(file["patient"]["name"], "Ottoline Vex");
    assert_eq!(file["patient"]["coverage"][0]["procedure"], "mri");
    assert_eq!(file["patient"]["coverage"][0]["terms"]["copay_cents"], 1_500);
    assert_eq!(names(&file, "calls", "call_sid"), ["CA1", "CA2"]);
    let call = &file["calls"][0];
    assert_eq!(call["from"], "+12125550188");
    assert_eq!(call["turns"][2]["said"], "My member id is ZQ909090, bumblebee CA1 3.");
    assert_eq!(call["turns"].as_array().map(Vec::len), Some(3));
    assert_eq!(call["tools"][1]["args"]["date_of_birth"], "1961-02-03");
    assert_eq!(call["recording"]["audio"], "recording-CA1.wav");
    assert_eq!(names(&file, "voicemails", "id"), ["a1", "b2"], "left in those calls");
    assert_eq!(file["voicemails"][0]["transcript"], "Call Zebulon about the marzipan.");
    let read = |name: &str| std::fs::read_to_string(site.path("out").join(name)).expect("a file");
    assert_eq!(read("voicemail-a1.wav"), "RIFF marzipan a1");
    let wav = std::fs::read(site.path("out/recording-CA2.wav")).expect("a file");
    assert!(
        wav.starts_with(b"RIFF") && wav.len() == 44 + 12_000 * 4,
        "{}",
        wav.len()
    );
    let reference = site.store.key_id(Record::Patient("ZQ909090")).expect("a reference");
    assert_eq!(file["reference"], reference);
    let events = site.store.audit_of(&reference).await.expect("listed");
    assert_eq!(events[0].action, "export");
    assert_eq!(
        file["audit"][0]["subject"], reference,
        "what is known of a person is also who has seen it"
    );
    assert_eq!(file["unreadable"], Value::Array(Vec::new()));
}

async fn a_customer_is_given_everything(fresh: Fresh) {
    let site = Site::new(fresh).await;
    let new = NewCall {
        call_sid: "CA3".to_owned(),
        from: Some("+12125550177".to_owned()),
        to: None,
        agent: "front-desk".to_owned(),
    };
    site.store.begin_call(&new).await.expect("begun");
    let file = export(&site, &["--customer", &site.customer]);
    assert_eq!(file["customer"]["address"], "77 Walrus Lane");
    assert_eq!(file["orders"].as_array().map(Vec::len), Some(2));
    assert_eq!(
        names(&file, "calls", "call_sid"),
        ["CA1", "CA3"],
        "where orders were given, and from the customer's number"
    );
    assert_eq!(file["patient"], Value::Null);
}

async fn a_caller_is_given_everything(fresh: Fresh) {
    let site = Site::new(fresh).await;
    let file = export(&site, &["--caller", "+1 (212) 555-0188"]);
    assert_eq!(names(&file, "calls", "call_sid"), ["CA1", "CA2"]);
    assert_eq!(names(&file, "voicemails", "id"), ["a1", "b2"]);
    let bad = site
        .tieline(&["data", "export", "--caller", "5550188", "--out", "x"])
        .refused();
    assert!(
        bad.contains("--caller: write the number with +") && !bad.contains("0188"),
        "{bad}"
    );
}

async fn nothing_is_deleted_without_yes(fresh: Fresh) {
    let site = Site::new(fresh).await;
    let before = count(
        &site.fresh.raw().await,
        "SELECT count(*) FROM data_keys WHERE wrapped IS NULL",
    )
    .await;
    let shown = site.tieline(&["data", "delete", "--patient", "ZQ909090"]).ok();
    for told in [
        "call/CA1: what was said in the call",
        "voicemail/a1: the message",
        ": the patient with coverage",
        "nothing was deleted; say --yes",
    ] {
        assert!(shown.contains(told), "{told}: {shown}");
    }
    assert_eq!(found_in(shown.as_bytes(), PRIVATE), Vec::<&str>::new());
    let after = count(
        &site.fresh.raw().await,
        "SELECT count(*) FROM data_keys WHERE wrapped IS NULL",
    )
    .await;
    assert_eq!((before, after), (0, 0));
    let nobody = site.tieline(&["data", "delete", "--patient", "NOBODY1", "--yes"]).ok();
    assert!(nobody.contains("there is nothing of patient/"), "{nobody}");
}

async fn a_customer_is_deleted_with_all_that_belongs_to_them(fresh: Fresh) {
    let site = Site::new(fresh).await;
    let customer = site.customer.as_str();
    let order = site
        .store
        .task_orders(customer)
        .await
        .expect("listed")
        .remove(0)
        .order_number;
    let said = site.tieline(&["data", "delete", "--customer", customer, "--yes"]).ok();
    // A customer, two orders, a call, two messages.
    assert!(said.ends_with("6 records were deleted for good\n"), "{said}");
    for record in [Record::Customer(customer), Record::Order(&order), Record::Call("CA1")] {
        assert!(site.store.deleted_at(record).await.expect("answered").is_some());
    }
    let raw = site.fresh.raw().await;
    assert_eq!(count(&raw, "SELECT count(*) FROM task_orders").await, 0);
    assert_eq!(
        count(&raw, "SELECT count(*) FROM customers").await,
        3,
        "of the seed data"
    );
    assert_eq!(
        count(&raw, "SELECT count(*) FROM api_requests WHERE body_sealed IS NOT NULL").await,
        0
    );
    assert_eq!(
        count(&raw, "SELECT count(*) FROM api_requests").await,
        1,
        "the request is known still"
    );
    assert!(!site.recording("CA1").exists() && site.recording("CA2").exists() && !site.voicemail("a1").exists());
    site.is_whole().await;
    let again = site.tieline(&["data", "delete", "--customer", customer, "--yes"]).ok();
    assert!(again.ends_with("0 records were deleted for good\n"), "{again}");
    // Who comes back has a key of the next generation.
    let csv = format!("customer_number,name,phone\n{customer},Zoe,\n");
    site.store.import(csv.as_bytes()).await.expect("imported");
    let key = site.store.key_id(Record::Customer(customer)).expect("a reference");
    let dead = site.store.dead_keys().await.expect("listed");
    assert_eq!(
        dead.iter().find(|dead| dead.id == key).map(|dead| dead.generation),
        Some(1)
    );
    site.is_whole().await;
}

async fn other_customer(store: &Store) -> String {
    let new = NewCustomer {
        name: "Xenia Quagmire".to_owned(),
        phone: Some("+12125550177".to_owned()),
        ..NewCustomer::default()
    };
    store
        .create_customer(&new, "xenia's act")
        .await
        .expect("created")
        .customer_number
}

async fn a_number_that_two_share_gives_nobody_the_others_calls(fresh: Fresh) {
    let site = Site::new(fresh).await;
    let new = NewCall {
        call_sid: "CA3".to_owned(),
        from: Some("+12125550177".to_owned()),
        to: None,
        agent: "front-desk".to_owned(),
    };
    site.store.begin_call(&new).await.expect("begun");
    let other = other_customer(&site.store).await;
    for (customer, calls) in [(site.customer.as_str(), vec!["CA1"]), (&other, Vec::new())] {
        let found = site.store.belongings(Person::Customer(customer)).await.expect("found");
        assert_eq!(found.calls().collect::<Vec<_>>(), calls);
    }
}

async fn what_cannot_be_read_is_said(fresh: Fresh) {
    let site = Site::new(fresh).await;
    site.run("UPDATE turns SET turn_sealed = '1:x' WHERE call_sid = 'CA2' AND number = 3")
        .await;
    std::fs::write(site.voicemail("b2"), "not sealed").expect("written");
    let out = site.path("out");
    let said = site.tieline(&["data", "export", "--patient", "ZQ909090", "--out", text(&out)]);
    assert!(!said.good, "{}", said.out);
    for told in [
        "not in it: CA2: turns.turn_sealed of CA2/3 was altered",
        "not in it: the audio of voicemail b2: ",
    ] {
        assert!(said.out.contains(told), "{told}: {}", said.out);
    }
    let file = std::fs::read_to_string(out.join("person.json")).expect("a file");
    let file: Value = serde_json::from_str(&file).expect("JSON");
    assert_eq!(names(&file, "calls", "call_sid"), ["CA1"]);
    assert_eq!(file["unreadable"].as_array().map(Vec::len), Some(2));
}
