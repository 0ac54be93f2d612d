//! `tieline doctor --egress`: every machine the server can reach, and why.

use serde_json::Value;

use crate::run;

#[tokio::test]
async fn every_destination_is_shown_with_the_rule_that_lets_it() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let environment = [
        ("LLM_BASE_URL", "https://203.0.113.9/v1"),
        ("LLM_API_KEY", "5ecret"),
        ("PRIVACY", "cloud-llm"),
        ("STT_URL", "http://10.0.0.5:8000/v1"),
        ("TTS_URL", "http://100.64.0.7/v1"),
        ("EGRESS_ALLOW", "100.64.0.0/10"),
        ("DATABASE_URL", "postgres://u:5ecret@127.0.0.1:5433/d"),
        ("HF_ENDPOINT", "https://models.example.org"),
    ];
    let (code, text) = run(dir.path(), &["--egress"], &environment).await;
    assert_eq!(code, 0, "{text}");
    for parts in [
        ["llm", "203.0.113.9:443", "allowed", "PRIVACY=cloud-llm"],
        ["stt", "10.0.0.5:8000", "allowed", "private network"],
        ["tts", "100.64.0.7:80", "allowed", "EGRESS_ALLOW"],
        ["database", "127.0.0.1:5433", "allowed", "this machine"],
        [
            "models pull",
            "models.example.org:443",
            "allowed",
            "a command, not the server",
        ],
    ] {
        let row = text.lines().find(|line| line.starts_with(parts[0]));
        let row = row.unwrap_or_else(|| panic!("no {} in {text}", parts[0]));
        assert!(parts.iter().all(|part| row.contains(part)), "{parts:?} in {row}");
    }
    assert!(!text.contains("5ecret"), "{text}");
}

#[tokio::test]
async fn what_would_be_refused_is_told_and_told_apart() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let environment = [
        ("LLM_BASE_URL", "https://203.0.113.9/v1"),
        ("STT_URL", "http://169.254.169.254/v1"),
        ("TTS_URL", "http://localhost:9/v1"),
    ];
    let (code, text) = run(dir.path(), &["--egress", "--json"], &environment).await;
    assert_eq!(code, 1, "{text}");
    let told: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(
        (&told["ok"], &told["privacy"]),
        (&Value::Bool(false), &Value::from("on-prem"))
    );
    let row = |purpose: &str, verdict: &str| {
        let rows = told["destinations"].as_array().expect("rows").iter();
        let mut found = rows.filter(|row| row["purpose"] == purpose && row["verdict"] == verdict);
        found
            .next_back()
            .unwrap_or_else(|| panic!("no {purpose} {verdict} in {text}"))
    };
    let rule = |row: &Value| row["rule"].as_str().expect("a text").to_owned();
    assert!(rule(row("llm", "REFUSED")).contains("PRIVACY is on-prem"));
    assert!(rule(row("stt", "REFUSED")).contains("link-local"));
    // A name: with the addresses it has on this machine.
    assert_eq!(row("tts", "allowed")["destination"], "localhost:9");
    assert_eq!(rule(row("tts", "allowed")), "this machine");
}

#[tokio::test]
async fn settings_that_are_wrong_tell_nothing_of_destinations() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (code, text) = run(dir.path(), &["--egress"], &[("PRIVACY", "of course")]).await;
    assert_eq!(code, 1);
    assert!(
        text.contains("PRIVACY") && text.contains("on-prem or cloud-llm"),
        "{text}"
    );
}
