//! `tieline data import` and `tieline serve`, as an operator meets them.

use std::process::{Command, Output};

use crate::fresh::{Fresh, count, on_both};

on_both! {
    import_says_what_it_did
    import_says_what_is_wrong
}

/// In an empty directory, so that no `.env` is read.
fn tieline(url: &str, args: &[&str]) -> Output {
    let dir = tempfile::tempdir().expect("a temporary directory");
    Command::new(env!("CARGO_BIN_EXE_tieline"))
        .args(args)
        .current_dir(dir.path())
        .env_clear()
        .env("DATABASE_URL", url)
        .env("BIND", "127.0.0.1:0")
        .output()
        .expect("the program starts")
}

async fn import_says_what_it_did(fresh: Fresh) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("customers.csv");
    std::fs::write(&file, "customer_number,name,phone\nC1,Ann,\nC2,Bob,+12125550150\n").expect("written");
    let file = file.to_str().expect("UTF-8");
    let output = tieline(&fresh.url, &["data", "import", file]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(
        said,
        format!("{file}: customers: 2 rows: 2 added, 0 changed, 0 unchanged\n")
    );
    assert_eq!(count(&fresh.raw().await, "SELECT count(*) FROM customers").await, 5);
}

async fn import_says_what_is_wrong(fresh: Fresh) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("customers.csv");
    std::fs::write(&file, "customer_number,name,phone\nC1,Ann,\nC2,Bob,555-0150\n").expect("written");
    let output = tieline(&fresh.url, &["data", "import", file.to_str().expect("UTF-8")]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(
        said.contains("customers.csv") && said.contains("row 3: phone: write it with +"),
        "{said}"
    );
    assert!(!said.contains("0150"), "{said}");
    assert_eq!(count(&fresh.raw().await, "SELECT count(*) FROM customers").await, 3);
}

#[test]
fn serve_refuses_to_start_without_its_database() {
    let output = tieline("postgres://tieline:hidden-word@127.0.0.1:1/tieline", &["serve"]);
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(!output.status.success());
    assert!(
        said.contains("DATABASE_URL postgres://tieline:***@127.0.0.1:1/tieline cannot be used"),
        "{said}"
    );
    assert!(said.contains("DATABASE_URL = postgres://tieline:***@"), "{said}");
    assert!(!said.contains("hidden-word"), "{said}");
}
