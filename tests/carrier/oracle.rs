//! Our requests against those of Twilio's own client (PyPI `twilio`), made to the same server.
//!
//! `scripts/twilio_oracle.sh` installs it and runs this.

use std::path::Path;
use std::process::Stdio;

use tieline::twilio::rest::{CallUpdate, Carrier as _};

use crate::client::call;
use crate::http_server::Asked;
use crate::support::{ACCOUNT, soon};
use crate::twilio::{KEY, OUR_NUMBER, SECRET, Twilio};

#[tokio::test]
#[ignore = "needs .cache/venv-twilio, which scripts/twilio_oracle.sh makes"]
async fn twilios_own_client_makes_the_same_requests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let twilio = Twilio::start().await;
    let client = twilio.client();
    client.create_call(call()).await.expect("placed");
    client.update_call("CA1", CallUpdate::HangUp).await.expect("ended");
    let twiml = "<Response><Dial>+15550188001</Dial></Response>".to_owned();
    client
        .update_call("CA1", CallUpdate::Twiml(twiml))
        .await
        .expect("changed");
    client
        .send_message("+15551230001", "Grüße & <bye>")
        .await
        .expect("sent");
    client.recording("RE1").await.expect("fetched");
    client.delete_recording("RE1").await.expect("deleted");
    let ours: Vec<_> = twilio.asked().iter().map(shape).collect();

    let theirs = Twilio::start().await;
    let run = tokio::process::Command::new(root.join(".cache/venv-twilio/bin/python"))
        .arg(root.join("tests/carrier/twilio_client.py"))
        .args([&format!("http://{}", theirs.address), ACCOUNT, KEY, SECRET, OUR_NUMBER])
        .stdin(Stdio::null())
        .output();
    let output = soon("Twilio's client", run)
        .await
        .expect("scripts/twilio_oracle.sh --install was run");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let theirs: Vec<_> = theirs.asked().iter().map(shape).collect();
    assert_eq!(ours, theirs);
}

/// Method, path, authorization, and the form's fields by name.
fn shape(asked: &Asked) -> (String, String, Option<String>, Vec<(String, String)>) {
    let mut form: Vec<(String, String)> = form_urlencoded::parse(&asked.body).into_owned().collect();
    form.sort();
    let authorization = asked.header("authorization").map(str::to_owned);
    (asked.method.clone(), asked.path.clone(), authorization, form)
}
