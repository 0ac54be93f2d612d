//! What is wrong on this machine: settings, files, models, the port, the database.

use std::os::unix::fs::PermissionsExt as _;

use tokio::net::TcpListener;
use tokio::process::Command;

use crate::{doctor, run};

#[tokio::test]
async fn every_wrong_key_is_told_with_its_remedy_and_no_secret() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join(".env");
    let text = "LLM_BASEURL=http://127.0.0.1:8081/v1\nENDPOINT_DELAY=600\nVAD_MODE=9\nAGENT=nobody\n\
                TWILIO_ACCOUNT_SID=5f1e0c0ffee0c0ffee0c0ffee0c0ffee\nTWILIO_AUTH_TOKEN=5ecretsecretsecret\n\
                PUBLIC_URL=voice.example.org\n";
    std::fs::write(&file, text).expect("written");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).expect("set");
    let page = doctor(dir.path(), &["--offline"], &[]).await;
    assert_eq!(page.code, 1);
    page.says(
        "fail",
        "settings",
        "ENDPOINT_DELAY from .env is \"600\"",
        "Write ENDPOINT_DELAY=600ms",
    );
    page.says("fail", "settings", "VAD_MODE", "Write VAD_MODE=2");
    page.says("fail", "settings", "TWILIO_ACCOUNT_SID", "Write TWILIO_ACCOUNT_SID=AC");
    page.says("fail", "settings", "PUBLIC_URL", "Write PUBLIC_URL=https://");
    page.says("warn", "settings", "did you mean LLM_BASE_URL?", "correct its name");
    page.says("warn", "env file", "(0644)", "chmod 600 .env");
    page.says("fail", "agents", "nobody", "AGENT");
    for hidden in ["5ecret", "5f1e0c0ffee"] {
        assert!(!page.text.contains(hidden), "{}", page.text);
    }
    std::fs::write(&file, "TWILIO_AUTH_TOKEN=5ecret secret\nLOG=info\n").expect("written");
    let page = doctor(dir.path(), &["--offline"], &[]).await;
    page.says(
        "fail",
        "settings",
        ".env:1: TWILIO_AUTH_TOKEN is not of the form KEY=value",
        "single quotes",
    );
    assert!(!page.text.contains("5ecret"), "{}", page.text);
}

#[tokio::test]
async fn models_that_are_missing_or_cut_off_are_to_be_pulled() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(dir.path().join("ggml-tiny.en.bin"), "cut off").expect("written");
    let models = dir.path().to_str().expect("UTF-8");
    let page = doctor(
        dir.path(),
        &["--offline"],
        &[("MODELS_DIR", models), ("TTS_VOICE", "joe")],
    )
    .await;
    page.says(
        "fail",
        "models",
        "ggml-tiny.en.bin has 7 bytes",
        "tieline models pull tiny.en",
    );
    page.says("fail", "models", "silero", "tieline models pull silero-vad");
    page.says(
        "fail",
        "models",
        "TTS_VOICE: there is no model named `joe`",
        "models list",
    );
    page.says("warn", "env file", "there is no .env", "cp .env.example .env");
}

#[tokio::test]
async fn a_port_in_use_and_one_that_is_not_here_are_told() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let bind = listener.local_addr().expect("an address").to_string();
    let serving = tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    let page = doctor(dir.path(), &["--offline"], &[("BIND", &bind)]).await;
    page.says("fail", "port", &format!("BIND {bind} is in use"), "ss -ltnp");
    let page = doctor(dir.path(), &["--offline"], &[("AUDIOSOCKET_BIND", &bind)]).await;
    page.says("fail", "port", &format!("AUDIOSOCKET_BIND {bind}"), "stop what uses it");
    serving.abort();
    let page = doctor(dir.path(), &["--offline"], &[("BIND", "192.0.2.1:8080")]).await;
    page.says(
        "fail",
        "port",
        "cannot be listened on",
        "this machine has no such address",
    );
}

#[tokio::test]
async fn a_database_that_cannot_be_written_is_told_and_none_is_made() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("file");
    std::fs::write(
        &file,
        "not a database, but long enough to be looked into for one, page after page",
    )
    .expect("written");
    for wrong in [file.join("below.db"), file.clone(), dir.path().to_owned()] {
        let url = format!("sqlite:{}", wrong.display());
        let page = doctor(dir.path(), &["--offline"], &[("DATABASE_URL", &url)]).await;
        page.says("fail", "database", &url, "Make the directory writable");
    }
    let url = "postgres://u:5ecret@127.0.0.1:1/d";
    let page = doctor(dir.path(), &["--offline"], &[("DATABASE_URL", url)]).await;
    page.says(
        "fail",
        "database",
        "postgres://u:***@127.0.0.1:1/d",
        "See that PostgreSQL runs there",
    );
    assert!(!page.text.contains("5ecret"), "{}", page.text);

    let page = doctor(dir.path(), &["--offline"], &[("DATA_DIR", "not/yet")]).await;
    page.says("ok", "database", "sqlite:not/yet/tieline.db is new", "");
    assert!(!dir.path().join("not").exists());
}

#[tokio::test]
async fn a_key_that_others_may_read_and_one_that_is_missing_are_told() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let made = Command::new(env!("CARGO_BIN_EXE_tieline"))
        .args(["keys", "list"])
        .env_clear()
        .current_dir(dir.path())
        .output()
        .await
        .expect("it runs");
    assert!(made.status.success());
    let key = dir.path().join("data/kek.key");
    doctor(dir.path(), &["--offline"], &[])
        .await
        .says("ok", "database", "tables are up to date", "");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).expect("changed");
    let page = doctor(dir.path(), &["--offline"], &[]).await;
    page.says(
        "fail",
        "database",
        "may be used by others than its owner (mode 0644)",
        "chmod 600",
    );
    std::fs::remove_file(&key).expect("removed");
    let page = doctor(dir.path(), &["--offline"], &[]).await;
    page.says("fail", "database", "its key is missing", "Put the right key back");
    assert!(!key.exists(), "a look makes none");
}

#[tokio::test]
async fn a_right_set_up_is_well_and_the_page_is_for_people() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(dir.path().join(".env"), "AGENT=eligibility\nTWILIO_AUTH_TOKEN=t0ken\n").expect("written");
    std::fs::set_permissions(dir.path().join(".env"), std::fs::Permissions::from_mode(0o600)).expect("set");
    let (code, text) = run(dir.path(), &["--full", "--offline"], &[]).await;
    assert_eq!(code, 0, "{text}");
    for part in [
        "\nok    agents      eligibility answers",
        "were loaded, and work",
        "onnxruntime loads",
        "espeak-ng has its data",
        "BIND 127.0.0.1:0 is free",
        " 0 wrong",
    ] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    assert!(!text.contains('\x1b'), "no colour where no terminal is: {text}");
}
