//! `tieline data import` and `tieline serve`, as an operator meets them.

use std::process::{Command, Output};

use crate::fresh::{Fresh, KEK, count, on_both};
use crate::private::fill;

on_both! {
    import_says_what_it_did
    import_says_what_is_wrong
    verify_names_what_was_altered
    a_voicemail_is_exported_and_the_audit_trail_says_so
    the_audit_trail_is_followed_and_listed
    keys_are_made_for_roles
}

/// In an empty directory, so that no `.env` is read.
fn tieline(url: &str, args: &[&str]) -> Output {
    let dir = tempfile::tempdir().expect("a temporary directory");
    Command::new(env!("CARGO_BIN_EXE_tieline"))
        .args(args)
        .current_dir(dir.path())
        .env_clear()
        .env("DATABASE_URL", url)
        .env("KEK", KEK)
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

fn said(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

async fn verify_names_what_was_altered(fresh: Fresh) {
    fill(&fresh.open().await).await;
    // The rows name files that were never written.
    sqlx::query("DELETE FROM voicemails")
        .execute(&fresh.raw().await)
        .await
        .expect("written");
    sqlx::query("DELETE FROM data_keys WHERE id LIKE 'voicemail/%'")
        .execute(&fresh.raw().await)
        .await
        .expect("written");
    let output = tieline(&fresh.url, &["data", "verify"]);
    let (out, err) = said(&output);
    assert!(
        output.status.success() && out.ends_with(" records looked at, 0 deleted for good, 0 faults\n"),
        "{out}{err}"
    );
    sqlx::query("UPDATE turns SET turn_sealed = '1:x' WHERE call_sid = 'CA2' AND number = 3")
        .execute(&fresh.raw().await)
        .await
        .expect("written");
    let output = tieline(&fresh.url, &["data", "verify"]);
    let (out, err) = said(&output);
    assert_eq!(output.status.code(), Some(1), "{out}{err}");
    assert!(
        out.starts_with("turns.turn_sealed of CA2/3 was altered, or belongs to another record\n"),
        "{out}"
    );
    let output = tieline(&fresh.url, &["data", "reference", "--customer", "482615"]);
    let (out, _) = said(&output);
    assert!(
        out.starts_with("customer/") && out.trim_end().len() == "customer/".len() + 32,
        "{out}"
    );
    assert_eq!(
        said(&tieline(&fresh.url, &["data", "reference", "--member", "mb123456"]))
            .0
            .find("patient/"),
        Some(0)
    );
    assert!(!tieline(&fresh.url, &["data", "reference"]).status.success());
}

async fn a_voicemail_is_exported_and_the_audit_trail_says_so(fresh: Fresh) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = fresh.open().await;
    fill(&store).await;
    let data = dir.path().join("data");
    std::fs::create_dir_all(data.join("voicemail")).expect("a directory");
    std::fs::write(data.join("voicemail/a1.wav"), "RIFF of an earlier version").expect("written");
    let mailbox = tieline::call::voicemail::Mailbox::new(data.join("voicemail"), store.clone());
    mailbox.seal_plain_files().await.expect("sealed");
    let target = dir.path().join("heard.wav");
    let (data, file) = (data.to_str().expect("UTF-8"), target.to_str().expect("UTF-8"));
    let export = |id: &str| {
        Command::new(env!("CARGO_BIN_EXE_tieline"))
            .args(["data", "voicemail", id, file])
            .current_dir(dir.path())
            .env_clear()
            .envs([("DATABASE_URL", fresh.url.as_str()), ("KEK", KEK), ("DATA_DIR", data)])
            .output()
            .expect("the program starts")
    };
    let (out, err) = said(&export("a1"));
    assert!(out.contains("not encrypted any more"), "{out}{err}");
    assert_eq!(std::fs::read(&target).expect("a file"), b"RIFF of an earlier version");
    let event = store.audit_events(1).await.expect("listed").remove(0);
    assert_eq!(
        (event.action.as_str(), event.subject.as_str(), event.detail.as_str()),
        ("export", "a1", "voicemail")
    );
    assert!(
        said(&export("a1")).1.contains("cannot be made"),
        "nothing is overwritten"
    );
    assert!(
        said(&export("zz")).1.contains("there is no voicemail"),
        "and nothing is made up"
    );
}

async fn the_audit_trail_is_followed_and_listed(fresh: Fresh) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("customers.csv");
    std::fs::write(&file, "customer_number,name,phone\nC1,Ann,\n").expect("written");
    tieline(&fresh.url, &["data", "import", file.to_str().expect("UTF-8")]);
    let (head, err) = said(&tieline(&fresh.url, &["data", "audit", "head"]));
    assert!(head.starts_with("1:") && head.trim_end().len() == 66, "{head}{err}");
    let (out, err) = said(&tieline(&fresh.url, &["data", "audit", "list", "--action", "import"]));
    let event: serde_json::Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("one line: {out}{err}"));
    assert_eq!(event["detail"], "customers: 1 rows: 1 added, 0 changed, 0 unchanged");
    let whose = |field: &str| event[field].as_str().expect("a text").to_owned();
    assert!(
        whose("actor").ends_with(" (command line)") && whose("origin").starts_with("command line on "),
        "{out}"
    );
    // That it was listed is in it, too.
    let verify = |anchor: &str| tieline(&fresh.url, &["data", "audit", "verify", "--anchor", anchor]);
    let output = verify(head.trim_end());
    let (out, err) = said(&output);
    assert!(
        output.status.success() && out.starts_with("audit trail: 2 events, 0 faults, ends at 2:"),
        "{out}{err}"
    );
    let (out, _) = said(&tieline(&fresh.url, &["data", "verify"]));
    assert!(out.contains("audit trail: 2 events, 0 faults, ends at 2:"), "{out}");
    let output = verify(&head.trim_end().replace("1:", "9:"));
    assert!(said(&output).0.contains("it was anchored at 9") && output.status.code() == Some(1));
    let output = verify("1:abc");
    assert!(said(&output).1.contains("64 hexadecimal digits"), "{}", said(&output).1);
    let raw = fresh.raw().await;
    let on = if fresh.dir().is_some() { "" } else { " ON audit_events" };
    for statement in [
        format!("DROP TRIGGER audit_events_stay{on}"),
        "UPDATE audit_events SET actor = 'somebody else' WHERE seq = 1".to_owned(),
    ] {
        sqlx::query(sqlx::AssertSqlSafe(statement))
            .execute(&raw)
            .await
            .expect("written");
    }
    for command in [&["data", "audit", "verify"][..], &["data", "verify"]] {
        let output = tieline(&fresh.url, command);
        let (out, _) = said(&output);
        assert_eq!(output.status.code(), Some(1), "{out}");
        assert!(
            out.contains("audit event 1 was altered, or put there by somebody else\n"),
            "{out}"
        );
        assert!(
            !out.contains("somebody else'") && out.contains("audit trail: 2 events, 1 faults"),
            "{out}"
        );
    }
}

async fn keys_are_made_for_roles(fresh: Fresh) {
    let make = |args: &[&str]| {
        let all = [&["keys", "create", "--name", "desk"], args].concat();
        let output = tieline(&fresh.url, &all);
        (output.status.success(), said(&output))
    };
    for (args, scopes) in [
        (&["--role", "viewer"][..], "read"),
        (&["--role", "reviewer"], "read,phi"),
        (
            &["--role", "operator", "--scopes", "break-glass"],
            "read,operate,break-glass",
        ),
        (&["--role", "admin"], "admin"),
        (&["--role", "auditor"], "audit"),
        (&["--scopes", "read,operate"], "read,operate"),
    ] {
        let (good, (out, err)) = make(args);
        assert!(
            good && out.contains(&format!("good for {scopes} until")),
            "{args:?}: {out}{err}"
        );
        let event = fresh.open().await.audit_events(1).await.expect("listed").remove(0);
        assert_eq!((event.action.as_str(), event.detail.as_str()), ("create-key", scopes));
    }
    for (args, told) in [
        (&[][..], "--role"),
        (&["--role", "owner"], "viewer, reviewer, operator, admin, auditor"),
        (&["--scopes", "all"], "read, operate, admin, phi, audit, break-glass"),
    ] {
        let (good, (_, err)) = make(args);
        assert!(!good && err.contains(told), "{args:?}: {err}");
    }
}

#[test]
fn the_first_to_open_a_database_makes_its_key_and_says_where() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let run = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_tieline"))
            .args(args)
            .current_dir(dir.path())
            .env_clear()
            .env("DATA_DIR", "here")
            .output()
            .expect("the program starts");
        (output.status.success(), said(&output))
    };
    let (_, (out, err)) = run(&["keys", "list"]);
    assert!(
        out.starts_with("there are no keys")
            && err.contains("made the key that all records are encrypted with: here/kek.key"),
        "{err}"
    );
    let key = std::fs::read_to_string(dir.path().join("here/kek.key")).expect("a key");
    let (good, (out, err)) = run(&["keys", "rotate-kek"]);
    assert!(
        good && out.contains("here/kek.key still holds ") && err.is_empty(),
        "{out}{err}"
    );
    let (_, (out_of_trail, _)) = run(&["data", "audit", "list", "--action", "kek"]);
    let outcomes: Vec<String> = out_of_trail
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["outcome"].to_string())
        .collect();
    assert_eq!(outcomes, ["\"rotated\"", "\"created\""]);
    let now = std::fs::read_to_string(dir.path().join("here/kek.key")).expect("a key");
    let lines = |text: &str| {
        text.lines()
            .filter(|line| !line.starts_with('#'))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(lines(&now)[1..], lines(&key));
    assert!(
        lines(&now)
            .iter()
            .all(|key| !format!("{out}{err}").contains(key.as_str()))
    );
    std::fs::remove_file(dir.path().join("here/kek.key")).expect("removed");
    let (good, (_, err)) = run(&["serve"]);
    assert!(
        !good && err.contains("its key is missing") && err.contains("Put the right key back"),
        "{err}"
    );
    assert!(!dir.path().join("here/kek.key").exists());
}
