//! Databases that a version without encryption has written.

use std::path::Path;

use jiff::civil::date;
use sqlx::AnyPool;
use sqlx::migrate::Migrator;
use tieline::store::{Claim, CustomerKey, Eligibility, Store, Transcript};

use crate::TODAY;
use crate::fresh::{Fresh, count, found_in, on_both};

on_both! {
    what_was_plain_is_sealed_and_the_same
    a_row_that_cannot_be_read_stops_the_start_and_loses_nothing
    servers_that_start_at_once_seal_once
}

/// The tables of the version before, with one row of each kind.
async fn old(fresh: &Fresh) -> AnyPool {
    let raw = tables_before("0007", fresh).await;
    for &statement in ROWS {
        sqlx::query(statement).execute(&raw).await.expect(statement);
    }
    raw
}

/// The tables as they were before a migration.
pub(crate) async fn tables_before(version: &str, fresh: &Fresh) -> AnyPool {
    let kind = if fresh.dir().is_some() { "sqlite" } else { "postgres" };
    if let Some(dir) = fresh.dir() {
        std::fs::create_dir_all(dir.join("new")).expect("a directory");
        std::fs::write(dir.join("new/tieline.db"), "").expect("an empty file");
    }
    let migrations = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(kind);
    let before = tempfile::tempdir().expect("a temporary directory");
    for entry in std::fs::read_dir(migrations).expect("migrations") {
        let path = entry.expect("a file").path();
        let name = path.file_name().expect("a name").to_str().expect("UTF-8");
        if name < version {
            std::fs::copy(&path, before.path().join(name)).expect("copied");
        }
    }
    let raw = fresh.raw().await;
    if kind == "sqlite" {
        sqlx::query("PRAGMA journal_mode = WAL")
            .execute(&raw)
            .await
            .expect("set");
        // In free pages, where SQLite leaves what it deletes unless it is told not to.
        for ghost in [
            "CREATE TABLE ghosts AS SELECT replace(hex(zeroblob(40000)), '00', 'heliotrope ') AS text",
            "DROP TABLE ghosts",
        ] {
            sqlx::query(ghost).execute(&raw).await.expect(ghost);
        }
    }
    let migrator = Migrator::new(before.path()).await.expect("migrations");
    migrator.run(&raw).await.expect("the old tables");
    raw
}

const ROWS: &[&str] = &[
    "INSERT INTO facts (name, value) VALUES ('seed_data', 'off')",
    "INSERT INTO customers (customer_number, name, phone, email, address, idempotency_key, created_at_ms) \
        VALUES ('QUAX-7007', 'Zebulon Quagmire', '+12125550177', 'zeb@quagmire.example', NULL, 'CA1/act', 1000)",
    "INSERT INTO customers (customer_number, name, phone) VALUES ('QUAX-7008', 'Brunhilde', '+12125550177')",
    "INSERT INTO task_orders (order_number, customer_number, service_type, description, location, urgency, status, idempotency_key, \
        call_sid, created_at_ms) VALUES ('1234567', 'QUAX-7007', 'plumbing', 'a walrus leaks', 'aquarium', 'high', 'done', 'CA1/order', 'CA1', 2000)",
    "INSERT INTO patients (member_id, name, date_of_birth, plan, status, terminated_on, deductible_total_cents, \
        deductible_remaining_cents) VALUES ('ZQPATIENT1', 'Ottoline', '1961-02-03', 'Quokka', 'active', NULL, 1000, 500)",
    "INSERT INTO patients (member_id, name, date_of_birth, plan, status, terminated_on, deductible_total_cents, \
        deductible_remaining_cents) VALUES ('ZQPATIENT2', 'Ludmilla', '1962-03-04', 'Quokka', 'terminated', '1999-12-24', 1000, 500)",
    "INSERT INTO coverage (member_id, procedure_name, covered, copay_cents, coinsurance_percent, prior_authorization) \
        VALUES ('ZQPATIENT1', 'mri', 1, 1500, 5, 1)",
    "INSERT INTO coverage (member_id, procedure_name, covered, copay_cents, coinsurance_percent, prior_authorization) \
        VALUES ('ZQPATIENT1', 'x_ray', 0, 0, 0, 0)",
    "INSERT INTO calls (call_sid, from_number, to_number, agent, started_at_ms, ended_at_ms, outcome) \
        VALUES ('CA1', '+12125550188', '+12125550199', 'front-desk', 5000, 9000, 'goodbye')",
    "INSERT INTO calls (call_sid, agent, started_at_ms) VALUES ('CA2', 'front-desk', 6000)",
    "INSERT INTO turns (call_sid, number, said, heard, outcome, ledger) VALUES ('CA1', 0, '', 'Hello marzipan', 'answered', '{}')",
    "INSERT INTO turns (call_sid, number, said, heard, outcome, ledger) \
        VALUES ('CA1', 4, 'bumblebee', '', 'interrupted', '{\"stt_ms\": 1.5}')",
    "INSERT INTO tool_calls (call_sid, turn_number, tool, args, outcome, duration_ms) \
        VALUES ('CA1', 4, 'second', '{\"id\": \"ZQPATIENT1\"}', 'found', 12)",
    "INSERT INTO voicemails (id, call_sid, from_number, agent, language, duration_ms, sha256, transcribed, transcript, created_at_ms) \
        VALUES ('a1', 'CA1', '+12125550188', 'front-desk', 'es', 1500, 'abc', 'done', 'llame a Zebulon', 7000)",
    "INSERT INTO voicemails (id, call_sid, agent, language, duration_ms, sha256) VALUES ('b2', 'CA1', 'front-desk', 'en', 1, 'abc')",
    "INSERT INTO api_keys (id, name, secret_hash, scopes) VALUES ('000000000001', 'crm', 'x', 'phi')",
    "INSERT INTO audit_events (actor, action, subject, outcome, detail) VALUES ('crm', 'api-read', 'quax-7007', 'allowed', 'customer')",
    "INSERT INTO audit_events (actor, action, subject, outcome, detail) VALUES ('crm', 'api-read', 'CA1', 'allowed', 'call')",
];

const PRIVATE: &[&str] = &[
    "Quagmire",
    "QUAX-7007",
    "Zebulon",
    "+12125550177",
    "Brunhilde",
    "walrus",
    "aquarium",
    "CA1/act",
    "ZQPATIENT1",
    "ZQPATIENT2",
    "Ottoline",
    "1961-02-03",
    "Quokka",
    "Ludmilla",
    "1999-12-24",
    "+12125550188",
    "+12125550199",
    "marzipan",
    "bumblebee",
    "llame a Zebulon",
];

async fn what_was_plain_is_sealed_and_the_same(fresh: Fresh) {
    let raw = old(&fresh).await;
    let free = if fresh.dir().is_some() {
        &["heliotrope"][..]
    } else {
        &[]
    };
    let private = [PRIVATE, free].concat();
    assert_eq!(
        found_in(&fresh.everything().await, &private),
        private,
        "it is there before"
    );
    sqlx::query(
        "INSERT INTO api_requests (api_key, idempotency_key, request_hash, status, content_type, body, created_at_ms) \
            SELECT '000000000001', 'k', 'h', 201, 'text/plain', 'Zebulon', max(created_at_ms) FROM customers",
    )
    .execute(&raw)
    .await
    .expect("written");
    raw.close().await;
    let store = fresh.open().await;
    assert_eq!(found_in(&fresh.everything().await, &private), Vec::<&str>::new());
    assert_eq!(store.verify().await.expect("readable").faults, Vec::<String>::new());
    calls_are_the_same(&store).await;
    people_are_the_same(&store).await;
    let Ok(Claim::Answered(answer)) = store.claim_request("000000000001", "k", "h").await else {
        panic!("it was answered");
    };
    assert!(answer.status == 201 && answer.content_type == "text/plain" && answer.body == "Zebulon");
    let events = store.audit_events(5).await.expect("listed");
    assert!(
        events[0].action == "audit-chained"
            && events[1].subject == "CA1"
            && events[2].subject
                == store
                    .key_id(tieline::store::Record::Customer("QUAX-7007"))
                    .expect("an id")
    );
    store.close().await;
    assert_eq!(found_in(&fresh.everything().await, &private), Vec::<&str>::new());
    let store = fresh.open().await;
    calls_are_the_same(&store).await;
    let plain = count(
        &fresh.raw().await,
        "SELECT count(*) FROM facts WHERE name = 'plain_pages'",
    )
    .await;
    assert_eq!(plain, 0);
}

async fn calls_are_the_same(store: &Store) {
    let kept = store.call("CA1").await.expect("readable").expect("there");
    let call = &kept.call;
    assert!(call.from.as_deref() == Some("+12125550188") && call.to.as_deref() == Some("+12125550199"));
    assert_eq!(
        (
            call.started_at.as_millisecond(),
            call.ended_at.map(|at| at.as_millisecond())
        ),
        (5000, Some(9000))
    );
    assert!(call.outcome.as_deref() == Some("goodbye") && call.agent == "front-desk");
    let turns: Vec<_> = kept
        .turns
        .iter()
        .map(|turn| (turn.number, turn.said.as_str(), turn.heard.as_str()))
        .collect();
    assert_eq!(turns, [(0, "", "Hello marzipan"), (4, "bumblebee", "")]);
    assert!(kept.turns[1].outcome == "interrupted" && kept.turns[1].ledger["stt_ms"] == 1.5);
    assert!(kept.tool_runs.len() == 1 && kept.tool_runs[0].args["id"] == "ZQPATIENT1" && kept.tool_runs[0].turn == 4);
    assert!(
        store
            .call("CA2")
            .await
            .expect("readable")
            .expect("there")
            .call
            .from
            .is_none()
    );
    let messages = store.recent_voicemails(10).await.expect("listed");
    assert!(messages.len() == 2 && messages[0].new.id == "b2" && messages[0].transcript == Transcript::Waiting);
    assert!(
        messages[1].transcript == Transcript::Done("llame a Zebulon".to_owned()) && messages[1].new.duration_ms == 1500
    );
    assert_eq!(messages[1].created_at.as_millisecond(), 7000);
}

async fn people_are_the_same(store: &Store) {
    let customer = store
        .find_customer(CustomerKey::Number("quax-7007"))
        .await
        .expect("readable")
        .expect("there");
    assert!(customer.name == "Zebulon Quagmire" && customer.email.as_deref() == Some("zeb@quagmire.example"));
    assert!(customer.created_at.as_millisecond() == 1000 && customer.address.is_none());
    let shared = store
        .find_customer(CustomerKey::Phone("+12125550177"))
        .await
        .expect("readable");
    assert!(shared.is_none(), "two have that number");
    let again = store
        .create_customer(
            &tieline::store::NewCustomer {
                name: "x".to_owned(),
                ..Default::default()
            },
            "CA1/act",
        )
        .await;
    assert_eq!(again.expect("the same act").customer_number, "QUAX-7007");
    let orders = store.task_orders("QUAX-7007").await.expect("listed");
    let order = &orders[0];
    assert!(
        orders.len() == 1
            && order.order_number == "1234567"
            && order.status == "done"
            && order.description == "a walrus leaks"
    );
    assert!(order.created_at.as_millisecond() == 2000 && order.call_sid.as_deref() == Some("CA1"));
    let ask = async |member: &str, born, procedure: &str| {
        store.coverage(member, born, procedure, TODAY).await.expect("readable")
    };
    let Eligibility::Eligible(terms) = ask("ZQPATIENT1", date(1961, 2, 3), "mri").await else {
        panic!("covered")
    };
    assert!(terms.copay_cents == 1500 && terms.prior_authorization && terms.deductible_remaining_cents == 500);
    assert!(matches!(
        ask("ZQPATIENT1", date(1961, 2, 3), "x_ray").await,
        Eligibility::NotCovered { .. }
    ));
    assert!(ask("ZQPATIENT2", date(1962, 3, 4), "mri").await == Eligibility::Terminated { on: date(1999, 12, 24) });
}

async fn a_row_that_cannot_be_read_stops_the_start_and_loses_nothing(fresh: Fresh) {
    let raw = old(&fresh).await;
    sqlx::query("UPDATE turns SET ledger = 'marzipan' WHERE number = 4")
        .execute(&raw)
        .await
        .expect("written");
    for _ in 0..2 {
        let told = Store::open(&fresh.database(true))
            .await
            .expect_err("not readable")
            .to_string();
        assert!(
            told.contains("turns.ledger of a row cannot be read") && !told.contains("marzipan"),
            "{told}"
        );
    }
    assert_eq!(count(&raw, "SELECT count(*) FROM plain_turns").await, 2);
    assert_eq!(count(&raw, "SELECT count(*) FROM calls").await, 0);
    sqlx::query("UPDATE plain_turns SET ledger = '{\"stt_ms\": 1.5}' WHERE number = 4")
        .execute(&raw)
        .await
        .expect("written");
    raw.close().await;
    calls_are_the_same(&fresh.open().await).await;
}

async fn servers_that_start_at_once_seal_once(fresh: Fresh) {
    old(&fresh).await.close().await;
    let opening = (0..4).map(|_| {
        let database = fresh.database(true);
        tokio::spawn(async move { Store::open(&database).await })
    });
    for opened in opening.collect::<Vec<_>>() {
        let store = opened.await.expect("no panic").expect("a usable database");
        calls_are_the_same(&store).await;
    }
    assert_eq!(found_in(&fresh.everything().await, PRIVATE), Vec::<&str>::new());
}
