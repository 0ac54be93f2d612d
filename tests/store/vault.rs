//! What is private is nowhere in plain, opens with the right key only, and is found out when it was altered, moved or deleted.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use sqlx::{AnyPool, AssertSqlSafe};
use tieline::config::{Config, Database, Strings};
use tieline::store::{CallFilter, CustomerKey, Item, Record, Store, StoreError, Verified};

use crate::fresh::{Fresh, KEK, count, found_in, on_both};
use crate::private::{PRIVATE, fill};
use crate::{TODAY, shred};

on_both! {
    nothing_private_is_plain
    calls_are_found_by_the_callers_number
    without_its_key_a_database_is_not_opened
    every_altered_value_is_found
    values_that_were_swapped_are_found
    rows_that_were_deleted_are_missed
    a_shredded_call_is_gone_for_good
    everybody_can_be_shredded
}

async fn nothing_private_is_plain(fresh: Fresh) {
    let store = fresh.open().await;
    let number = fill(&store).await;
    let private = [PRIVATE, &[number.as_str()]].concat();
    // While SQLite's log is there, and after it has become the file.
    assert_eq!(found_in(&fresh.everything().await, &private), Vec::<&str>::new());
    store.close().await;
    let everything = fresh.everything().await;
    assert_eq!(found_in(&everything, &private), Vec::<&str>::new());
    assert_eq!(
        found_in(&everything, &["front-desk"]),
        ["front-desk"],
        "it is looked for in the right place"
    );
    assert_eq!(found_in(&everything, &[&KEK[..40]]), Vec::<&str>::new());
    let found = fresh.open().await.verify().await.expect("readable");
    assert_eq!((found.faults, found.shredded), (Vec::new(), 0));
    assert!(found.records > 30, "{}", found.records);
}

async fn calls_are_found_by_the_callers_number(fresh: Fresh) {
    let store = fresh.open().await;
    fill(&store).await;
    for (caller, expected) in [("+1 (212) 555-0188", 2), ("+12125550199", 0)] {
        let filter = CallFilter {
            caller: Some(caller.to_owned()),
            ..CallFilter::default()
        };
        let found = store.list_calls(&filter, None, 10).await.expect("listed").items;
        assert_eq!(found.len(), expected, "{caller}");
        assert!(found.iter().all(|call| call.from.as_deref() == Some("+12125550188")));
    }
}

/// A database whose key is in a file of its own.
fn keyed(fresh: &Fresh, file: &Path) -> Database {
    let file = file.to_str().expect("UTF-8");
    let strings: Strings = [("DATABASE_URL", fresh.url.as_str()), ("KEK_FILE", file)]
        .into_iter()
        .collect();
    Config::parse(&strings).expect("good").database
}

async fn without_its_key_a_database_is_not_opened(fresh: Fresh) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (file, other) = (dir.path().join("keys/kek.key"), dir.path().join("other.key"));
    let right = keyed(&fresh, &file);
    Store::open(&right)
        .await
        .expect("made at the first start")
        .close()
        .await;
    let mode = |path: &Path| path.metadata().expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(&file), 0o600);
    let refused = async |database: &Database, parts: &[&str]| {
        let opened = Store::open(database).await.expect_err("refused").to_string();
        let examined = Store::examine(database).await.expect_err("refused").to_string();
        for part in parts {
            assert!(opened.contains(part) && examined.contains(part), "{opened}\n{examined}");
        }
    };
    let missing = keyed(&fresh, &other);
    refused(&missing, &["its key is missing", "other.key", "Put the right key back"]).await;
    assert!(!other.exists(), "a new key would only be a wrong one");
    std::fs::write(&other, KEK).expect("written");
    std::fs::set_permissions(&other, std::fs::Permissions::from_mode(0o600)).expect("changed");
    refused(&missing, &["it is encrypted with the key", "other.key holds"]).await;
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).expect("changed");
    refused(&right, &["(mode 0640)", "chmod 600"]).await;
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("changed");
    Store::examine(&right).await.expect("good");
    let raw = fresh.raw().await;
    let before: String = wrapped_index(&raw).await;
    let altered = format!("{}{}", &before[..before.len() - 4], "AAAA");
    sqlx::query("UPDATE data_keys SET wrapped = $1 WHERE id = 'index'")
        .bind(&altered)
        .execute(&raw)
        .await
        .expect("written");
    refused(&right, &["does not open", "it was altered"]).await;
    sqlx::query("UPDATE data_keys SET wrapped = $1 WHERE id = 'index'")
        .bind(&before)
        .execute(&raw)
        .await
        .expect("written");
    let store = Store::open(&right).await.expect("the right key");
    assert!(
        store
            .find_customer(CustomerKey::Number("482615"))
            .await
            .expect("answered")
            .is_some()
    );
}

async fn wrapped_index(raw: &AnyPool) -> String {
    sqlx::query_scalar("SELECT wrapped FROM data_keys WHERE id = 'index'")
        .fetch_one(raw)
        .await
        .expect("a row")
}

/// Table, what names a row, column, and how its faults are named.
const SEALED: &[(&str, &str, &str, &str)] = &[
    ("calls", "call_sid", "numbers_sealed", "calls.numbers_sealed of CA"),
    ("calls", "call_sid", "contents_sealed", "calls.contents_sealed of CA"),
    ("calls", "call_sid", "from_hash", "calls.from_hash of CA"),
    (
        "turns",
        "call_sid || '/' || number",
        "turn_sealed",
        "turns.turn_sealed of CA",
    ),
    (
        "tool_calls",
        "call_sid || '/' || number",
        "run_sealed",
        "tool_calls.run_sealed of CA",
    ),
    (
        "customers",
        "number_hash",
        "customer_sealed",
        "customers.customer_sealed of ",
    ),
    ("customers", "number_hash", "phone_hash", "customers.phone_hash of "),
    (
        "task_orders",
        "order_number",
        "order_sealed",
        "task_orders.order_sealed of ",
    ),
    ("task_orders", "order_number", "status", "task_orders.status of "),
    ("task_orders", "order_number", "call_sid", "task_orders.call_sid of "),
    (
        "patients",
        "member_hash",
        "patient_sealed",
        "patients.patient_sealed of ",
    ),
    (
        "coverage",
        "member_hash || '/' || procedure_name",
        "terms_sealed",
        "coverage.terms_sealed of ",
    ),
    ("voicemails", "id", "message_sealed", "voicemails.message_sealed of "),
    (
        "voicemails",
        "id",
        "transcript_sealed",
        "voicemails.transcript_sealed of ",
    ),
    ("voicemails", "id", "from_hash", "voicemails.from_hash of "),
    ("voicemails", "id", "call_sid", "voicemails.call_sid of "),
    (
        "api_requests",
        "key_hash",
        "body_sealed",
        "api_requests.body_sealed of ",
    ),
    ("data_keys", "id", "wrapped", "data_keys.wrapped of "),
    ("data_keys", "id", "kek_id", "is encrypted with the key "),
];

struct Column<'a> {
    raw: &'a AnyPool,
    table: &'static str,
    id: &'static str,
    name: &'static str,
}

impl Column<'_> {
    async fn rows(&self) -> Vec<(String, String)> {
        let (table, id, name) = (self.table, self.id, self.name);
        let question =
            format!("SELECT {id}, {name} FROM {table} WHERE {name} IS NOT NULL AND {id} <> 'index' ORDER BY {id}");
        sqlx::query_as(AssertSqlSafe(question))
            .fetch_all(self.raw)
            .await
            .expect("rows")
    }

    async fn set(&self, id: &str, value: &str) {
        let statement = format!("UPDATE {} SET {} = $2 WHERE {} = $1", self.table, self.name, self.id);
        let done = sqlx::query(AssertSqlSafe(statement))
            .bind(id)
            .bind(value)
            .execute(self.raw)
            .await
            .expect("written");
        assert_eq!(done.rows_affected(), 1);
    }
}

async fn faults(store: &Store) -> Vec<String> {
    let Verified { faults, .. } = store.verify().await.expect("readable");
    assert_eq!(found_in(faults.join("\n").as_bytes(), PRIVATE), Vec::<&str>::new());
    faults
}

async fn every_altered_value_is_found(fresh: Fresh) {
    let store = fresh.open().await;
    fill(&store).await;
    let raw = &fresh.raw().await;
    for &(table, id, name, told) in SEALED {
        let column = Column { raw, table, id, name };
        let rows = column.rows().await;
        let (row, value) = rows.last().expect("a row");
        // All of a turn, and some of the others.
        let step = if table == "turns" { 1 } else { value.len() / 3 + 1 };
        for at in (0..value.len()).step_by(step) {
            let mut altered = value.clone().into_bytes();
            altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
            column.set(row, std::str::from_utf8(&altered).expect("ASCII")).await;
            let found = faults(&store).await;
            let named = found.iter().filter(|fault| fault.contains(told)).count();
            assert!(named > 0, "{table}.{name} of {row} at {at}: {found:?}");
        }
        column.set(row, value).await;
        assert_eq!(
            faults(&store).await,
            Vec::<String>::new(),
            "{table}.{name} is as it was"
        );
    }
}

async fn values_that_were_swapped_are_found(fresh: Fresh) {
    let store = fresh.open().await;
    fill(&store).await;
    let raw = &fresh.raw().await;
    for &(table, id, name, told) in SEALED {
        let column = Column { raw, table, id, name };
        let rows = column.rows().await;
        // The first two are of one call or patient, where there are several.
        for (place, other) in [(0, 1), (0, rows.len() - 1)] {
            let (Some((one, value)), Some((other, instead))) = (rows.get(place), rows.get(other)) else {
                continue;
            };
            if value == instead {
                // All callers are the same, and so is the state of all orders.
                continue;
            }
            column.set(one, instead).await;
            column.set(other, value).await;
            let found = faults(&store).await;
            let named = |row: &str| found.iter().any(|fault| fault.contains(told) && fault.contains(row));
            assert!(
                named(one) && named(other),
                "{table}.{name} of {one} and {other}: {found:?}"
            );
            if table == "turns" {
                let told = store.call("CA1").await.err().expect("altered").to_string();
                assert_eq!(
                    told,
                    "turns.turn_sealed of CA1/1 was altered, or belongs to another record"
                );
            }
            column.set(one, value).await;
            column.set(other, instead).await;
        }
    }
    assert_eq!(faults(&store).await, Vec::<String>::new());
}

async fn rows_that_were_deleted_are_missed(fresh: Fresh) {
    let store = fresh.open().await;
    fill(&store).await;
    let raw = fresh.raw().await;
    let delete = async |statement: &'static str| {
        sqlx::query(statement).execute(&raw).await.expect(statement);
    };
    delete("DELETE FROM turns WHERE call_sid = 'CA1' AND number = 2").await;
    let told = store.call("CA1").await.err().expect("not whole").to_string();
    assert_eq!(told, "turns: number 2 of CA1 is missing; was it deleted by hand?");
    delete("DELETE FROM tool_calls WHERE call_sid = 'CA1' AND number = 2").await;
    delete("DELETE FROM calls WHERE call_sid = 'CA2'").await;
    delete("DELETE FROM voicemails WHERE id = 'a1'").await;
    delete("DELETE FROM data_keys WHERE id = 'voicemail/b2'").await;
    delete("DELETE FROM task_orders").await;
    let found = faults(&store).await;
    for told in [
        "calls: the row of call/CA2 is missing",
        "turns: number 2 of CA1 is missing",
        "tool_calls: number 2 of CA1 is missing",
        "voicemails: the row of voicemail/a1 is missing",
        "data_keys: the row voicemail/b2 is missing",
        "task_orders: the row of order/",
    ] {
        assert!(found.iter().any(|fault| fault.starts_with(told)), "{told}: {found:?}");
    }
    assert_eq!(found.len(), 7, "{found:?}");
}

async fn a_shredded_call_is_gone_for_good(fresh: Fresh) {
    let store = fresh.open().await;
    fill(&store).await;
    let raw = fresh.raw().await;
    let wrapped: String = sqlx::query_scalar("SELECT wrapped FROM data_keys WHERE id = 'call/CA1'")
        .fetch_one(&raw)
        .await
        .expect("a key");
    // Any part of it: SQLite may overwrite the beginning of what it frees.
    let parts: Vec<&str> = (0..=4).map(|part| &wrapped[10 + part * 16..26 + part * 16]).collect();
    assert_eq!(found_in(&fresh.everything().await, &parts), parts);
    assert!(store.data_key(Record::Call("CA1")).await.expect("readable").is_some());
    for (sid, there) in [("CA1", true), ("CA1", false), ("CA9", false)] {
        assert_eq!(shred(&store, Item::Content(sid.to_owned())).await, there, "{sid}");
    }
    assert_eq!(found_in(&fresh.everything().await, &parts), Vec::<&str>::new());
    let gone = store.call("CA1").await.expect("answered").expect("a row");
    assert!(gone.call.shredded && gone.call.from.is_none() && gone.turns.is_empty() && gone.tool_runs.is_empty());
    assert_eq!(gone.call.outcome.as_deref(), Some("goodbye"));
    assert!(matches!(
        store.data_key(Record::Call("CA1")).await,
        Err(StoreError::Shredded)
    ));
    // What still comes of it is not written down, and makes no new key.
    let turn = store
        .call("CA2")
        .await
        .expect("answered")
        .expect("there")
        .turns
        .remove(0);
    assert!(matches!(store.save_turn("CA1", &turn).await, Err(StoreError::Shredded)));
    let about = serde_json::json!({ "member_id": "ZQ909090" });
    let linked = store.link_call("CA1", &about).await;
    assert!(matches!(linked, Err(StoreError::Shredded)));
    let new = tieline::store::NewCall {
        call_sid: "CA1".to_owned(),
        agent: "front-desk".to_owned(),
        ..Default::default()
    };
    assert!(matches!(store.begin_call(&new).await, Err(StoreError::Shredded)));
    let listed = store
        .list_calls(&CallFilter::default(), None, 10)
        .await
        .expect("listed")
        .items;
    assert_eq!(listed.iter().filter(|call| call.shredded).count(), 1);
    let filter = CallFilter {
        caller: Some("+12125550188".to_owned()),
        ..CallFilter::default()
    };
    let found = store.list_calls(&filter, None, 10).await.expect("listed").items;
    assert!(
        found.len() == 1 && found[0].call_sid == "CA2",
        "whose call it was cannot be found either"
    );
    let found = store.verify().await.expect("readable");
    assert_eq!((found.faults, found.shredded), (Vec::new(), 1));
}

/// A purge may come between the questions that a call is looked through by.
#[tokio::test]
async fn what_is_deleted_meanwhile_is_no_fault() {
    let fresh = Fresh::postgres().await;
    let store = fresh.open().await;
    fill(&store).await;
    let raw = fresh.raw().await;
    for (deleted, faults) in [
        ("UPDATE calls SET agent = agent WHERE call_sid = $1", 3),
        (
            "UPDATE data_keys SET kek_id = NULL, wrapped = NULL, shredded_at_ms = 1 WHERE id = 'call/' || $1",
            0,
        ),
    ] {
        let mut purge = raw.begin().await.expect("begun");
        sqlx::query("LOCK TABLE turns IN ACCESS EXCLUSIVE MODE")
            .execute(&mut *purge)
            .await
            .expect("locked");
        let looking = store.clone();
        let looking = tokio::spawn(async move { looking.verify().await });
        // It has read the call, and waits for its turns.
        let waits = async {
            let waiting =
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
            while count(&raw, waiting).await == 0 {}
        };
        let within = std::time::Duration::from_secs(60);
        tokio::time::timeout(within, waits)
            .await
            .expect("it comes to the turns");
        for statement in ["DELETE FROM turns WHERE call_sid = $1", deleted] {
            sqlx::query(statement)
                .bind("CA1")
                .execute(&mut *purge)
                .await
                .expect("deleted");
        }
        purge.commit().await.expect("deleted");
        let found = looking.await.expect("no panic").expect("readable");
        assert_eq!(found.faults.len(), faults, "{:?}", found.faults);
    }
}

/// What is checkpointed has the write lock, and a backup reads what was there before for minutes.
#[tokio::test]
async fn who_reads_what_was_before_does_not_stop_those_who_write() {
    let fresh = Fresh::sqlite();
    let store = fresh.open().await;
    fill(&store).await;
    let raw = fresh.raw().await;
    let mut before = raw.begin().await.expect("begun");
    let calls: i64 = sqlx::query_scalar("SELECT count(*) FROM calls")
        .fetch_one(&mut *before)
        .await
        .expect("a count");
    let new = tieline::store::NewCall {
        call_sid: "CA3".to_owned(),
        agent: "front-desk".to_owned(),
        ..Default::default()
    };
    store.begin_call(&new).await.expect("begun");
    let within = std::time::Duration::from_secs(5);
    let forgotten = tokio::time::timeout(within, store.forget_deleted()).await;
    forgotten.expect("it waits for no reader").expect("done");
    let now: i64 = sqlx::query_scalar("SELECT count(*) FROM calls")
        .fetch_one(&mut *before)
        .await
        .expect("a count");
    assert_eq!(now, calls, "who read meanwhile reads on");
}

async fn everybody_can_be_shredded(fresh: Fresh) {
    let store = fresh.open().await;
    let number = fill(&store).await;
    let orders = store.task_orders(&number).await.expect("listed");
    let order = orders[0].order_number.clone();
    let hash = |record| {
        let key = store.key_id(record).expect("good");
        key.split_once('/').expect("a kind").1.to_owned()
    };
    let mut items: Vec<Item> = orders
        .into_iter()
        .map(|order| Item::Order(order.order_number))
        .collect();
    items.extend([
        Item::Customer(hash(Record::Customer(&number))),
        Item::Patient(hash(Record::Patient("zq909090"))),
        Item::Voicemail("a1".to_owned()),
    ]);
    for item in items {
        assert!(shred(&store, item).await);
    }
    assert!(
        store
            .find_customer(CustomerKey::Number(&number))
            .await
            .expect("answered")
            .is_none()
    );
    assert!(
        store
            .find_customer(CustomerKey::Phone("+12125550177"))
            .await
            .expect("answered")
            .is_none()
    );
    assert_eq!(store.list_customers(None, 10).await.expect("listed").items.len(), 3);
    assert!(store.task_order(&order).await.expect("answered").is_none());
    assert_eq!(store.recent_voicemails(10).await.expect("listed").len(), 1);
    store
        .save_transcript("a1", Some("marzipan"))
        .await
        .expect("nothing to do");
    let born = jiff::civil::date(1961, 2, 3);
    let found = store.coverage("ZQ909090", born, "mri", TODAY).await.expect("answered");
    assert!(found == tieline::store::Eligibility::UnknownMember);
    let found = store.verify().await.expect("readable");
    assert_eq!((found.faults, found.shredded), (Vec::new(), 5));
    // Who comes back is known from then on only.
    let csv = format!("customer_number,name,phone\n{number},Zoe,\n");
    store.import(csv.as_bytes()).await.expect("imported");
    let back = store
        .find_customer(CustomerKey::Number(&number))
        .await
        .expect("answered")
        .expect("there");
    assert!(back.name == "Zoe" && back.phone.is_none());
    let csv = "member_id,name,date_of_birth,plan,status,deductible_total_cents,deductible_remaining_cents,procedure,covered,copay_cents,\
        coinsurance_percent,prior_authorization\nZQ909090,Ann,1961-02-03,New,active,1,0,x_ray,yes,0,0,no\n";
    store.import(csv.as_bytes()).await.expect("imported");
    let found = store.coverage("ZQ909090", born, "mri", TODAY).await.expect("answered");
    assert!(
        matches!(found, tieline::store::Eligibility::NotCovered { plan } if plan == "New"),
        "the old terms are gone"
    );
    assert_eq!(store.verify().await.expect("readable").faults, Vec::<String>::new());
    assert_eq!(
        count(
            &fresh.raw().await,
            "SELECT count(*) FROM coverage WHERE procedure_name = 'x_ray'"
        )
        .await,
        1
    );
}

#[tokio::test]
async fn a_number_exchanged_for_anothers_is_not_believed() {
    let fresh = Fresh::sqlite();
    let store = fresh.open().await;
    fill(&store).await;
    let raw = fresh.raw().await;
    let hashes: Vec<String> =
        sqlx::query_scalar("SELECT phone_hash FROM customers ORDER BY created_at_ms DESC LIMIT 2")
            .fetch_all(&raw)
            .await
            .expect("rows");
    for (from, to) in [(&hashes[0], "x"), (&hashes[1], hashes[0].as_str())] {
        sqlx::query("UPDATE customers SET phone_hash = $2 WHERE phone_hash = $1")
            .bind(from)
            .bind(to)
            .execute(&raw)
            .await
            .expect("written");
    }
    let told = store
        .find_customer(CustomerKey::Phone("+12125550177"))
        .await
        .err()
        .expect("altered");
    assert!(told.to_string().starts_with("customers.phone_hash of "), "{told}");
}
