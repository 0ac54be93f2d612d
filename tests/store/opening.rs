//! Opening: new databases, old ones, several at once, and those that cannot be used.

use sqlx::AnyPool;
use tieline::store::{CustomerKey, NewCustomer, Store};

use crate::fresh::{Fresh, count, database, on_both};

on_both! {
    a_new_database_has_tables_and_seed_data
    what_is_written_is_there_after_reopening
    what_a_site_deleted_stays_deleted
    seed_data_that_was_refused_never_comes
    several_processes_open_a_new_database_at_once
    a_database_of_a_newer_version_is_left_alone
}

const CUSTOMERS: &str = "SELECT count(*) FROM customers";
const PATIENTS: &str = "SELECT count(*) FROM patients";

async fn a_new_database_has_tables_and_seed_data(fresh: Fresh) {
    let _store = fresh.open().await;
    let raw = fresh.raw().await;
    assert_eq!(count(&raw, CUSTOMERS).await, 3);
    assert_eq!(count(&raw, PATIENTS).await, 3);
    for empty in ["task_orders", "calls", "turns", "tool_calls", "call_status"] {
        let rows: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {empty}")))
            .fetch_one(&raw)
            .await
            .expect(empty);
        assert_eq!(rows, 0, "{empty}");
    }
}

async fn what_is_written_is_there_after_reopening(fresh: Fresh) {
    let store = fresh.open().await;
    let new = NewCustomer {
        name: "Ann Lee".to_owned(),
        ..NewCustomer::default()
    };
    let number = store.create_customer(&new, "k").await.expect("created").customer_number;
    store.close().await;
    let found = fresh.open().await.find_customer(CustomerKey::Number(&number)).await;
    assert!(found.expect("found").is_some_and(|customer| customer.name == "Ann Lee"));
}

async fn what_a_site_deleted_stays_deleted(fresh: Fresh) {
    fresh.open().await.close().await;
    let raw = fresh.raw().await;
    delete_all(&raw).await;
    fresh.open().await.close().await;
    assert_eq!(count(&raw, CUSTOMERS).await, 0);
    assert_eq!(count(&raw, PATIENTS).await, 0);
}

async fn delete_all(raw: &AnyPool) {
    for statement in ["DELETE FROM coverage", "DELETE FROM patients", "DELETE FROM customers"] {
        sqlx::query(statement).execute(raw).await.expect(statement);
    }
}

async fn seed_data_that_was_refused_never_comes(fresh: Fresh) {
    for seed in [false, true] {
        Store::open(&fresh.database(seed)).await.expect("usable").close().await;
        assert_eq!(count(&fresh.raw().await, CUSTOMERS).await, 0, "SEED_DATA={seed}");
    }
}

async fn several_processes_open_a_new_database_at_once(fresh: Fresh) {
    // A store shares nothing with another but the database, as processes do.
    let database = fresh.database(true);
    let opening = (0..6).map(|_| {
        let database = database.clone();
        tokio::spawn(async move { Store::open(&database).await })
    });
    for opened in opening.collect::<Vec<_>>() {
        opened.await.expect("no panic").expect("a usable database");
    }
    assert_eq!(count(&fresh.raw().await, CUSTOMERS).await, 3);
}

async fn a_database_of_a_newer_version_is_left_alone(fresh: Fresh) {
    fresh.open().await.close().await;
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         SELECT 9999, description, success, checksum, execution_time FROM _sqlx_migrations WHERE version = 1";
    sqlx::query(newer).execute(&fresh.raw().await).await.expect("written");
    let message = Store::open(&fresh.database(true)).await.expect_err("newer").to_string();
    assert!(message.contains("a newer tieline has changed its tables"), "{message}");
    assert!(!message.contains("no-password-asked"), "{message}");
}

#[tokio::test]
async fn a_postgres_that_cannot_be_used_is_named_without_its_password() {
    let there = Fresh::postgres().await.url;
    let missing = there
        .rsplit_once('/')
        .map(|(server, _)| format!("{server}/nowhere"))
        .expect("a path");
    for (url, part) in [
        (missing.as_str(), "does not exist"),
        ("postgres://u:no-password-asked@127.0.0.1:1/d", "refused"),
        (
            "postgres://u:no-password-asked@127.0.0.1:1/d?sslmode=maybe",
            "parameters",
        ),
    ] {
        let message = Store::open(&database(url, true)).await.expect_err(url).to_string();
        assert!(message.starts_with("DATABASE_URL postgres://"), "{message}");
        assert!(
            message.contains(part) && message.contains("psql with the same URL"),
            "{message}"
        );
        assert!(!message.contains("no-password-asked"), "{message}");
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_named() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("file");
    std::fs::write(
        &file,
        "this is no database, just some text that is long enough to be a header",
    )
    .expect("written");
    for path in [file.clone(), file.join("below.db")] {
        let url = format!("sqlite:{}", path.display());
        let message = Store::open(&database(&url, true)).await.expect_err(&url).to_string();
        assert!(
            message.contains(&url) && message.contains("Make the directory writable"),
            "{message}"
        );
    }
}

#[tokio::test]
async fn a_file_may_have_any_name_and_is_its_owners_alone() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("a b%20#é&=.db");
    let url = format!("sqlite:{}", path.display());
    Store::open(&database(&url, true)).await.expect("usable").close().await;
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().expect("the file").permissions());
        assert_eq!(mode & 0o777, 0o600);
    }
    assert!(path.is_file());
}
