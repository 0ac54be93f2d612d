//! The account, the number and its webhooks, at a REST API of our own that keeps one number.

use std::sync::{Arc, Mutex};

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use base64::Engine as _;
use serde_json::{Value, json};

use crate::others::serve;
use crate::{Page, doctor};

/// The account and its one number.
struct Twilio {
    number: Value,
    account: Value,
    /// Forms that were posted.
    posted: Vec<Vec<(String, String)>>,
    date: String,
}

type Shared = Arc<Mutex<Twilio>>;

async fn start() -> (Shared, String) {
    let number = json!({
        "sid": NUMBER_SID, "phone_number": NUMBER, "capabilities": {"voice": true, "sms": true},
        "voice_url": "https://demo.twilio.com/welcome/voice/?token=5ecret", "voice_method": "GET",
        "status_callback": "", "status_callback_method": "POST",
        "voice_fallback_url": null, "voice_fallback_method": "POST",
        "voice_application_sid": "AP0123", "trunk_sid": null,
    });
    let twilio = Twilio {
        number,
        account: json!({"sid": ACCOUNT, "status": "active", "type": "Full", "auth_token": TOKEN}),
        posted: Vec::new(),
        date: jiff::fmt::rfc2822::to_string(&jiff::Zoned::now()).expect("a date"),
    };
    let shared = Arc::new(Mutex::new(twilio));
    let base = "/2010-04-01/Accounts";
    let router = Router::new()
        .route(&format!("{base}/{{file}}"), get(account))
        .route(&format!("{base}/{ACCOUNT}/IncomingPhoneNumbers.json"), get(numbers))
        .route(
            &format!("{base}/{ACCOUNT}/IncomingPhoneNumbers/{NUMBER_SID}.json"),
            post(update),
        )
        .with_state(Arc::clone(&shared));
    let address = serve(router).await;
    (shared, format!("http://{address}"))
}

fn allowed(headers: &HeaderMap) -> bool {
    let expected = base64::engine::general_purpose::STANDARD.encode(format!("{ACCOUNT}:{TOKEN}"));
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    given == Some(&format!("Basic {expected}"))
}

fn answer(twilio: &Twilio, headers: &HeaderMap, body: Value) -> Response {
    if !allowed(headers) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    ([(header::DATE, twilio.date.clone())], Json(body)).into_response()
}

async fn account(State(shared): State<Shared>, Path(file): Path<String>, headers: HeaderMap) -> Response {
    assert_eq!(file, format!("{ACCOUNT}.json"));
    let twilio = shared.lock().expect("no panic under the lock");
    answer(&twilio, &headers, twilio.account.clone())
}

async fn numbers(
    State(shared): State<Shared>,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Response {
    let twilio = shared.lock().expect("no panic under the lock");
    let wanted = query
        .iter()
        .any(|(key, value)| key == "PhoneNumber" && twilio.number["phone_number"] == **value);
    let found: Vec<&Value> = wanted.then_some(&twilio.number).into_iter().collect();
    answer(&twilio, &headers, json!({"page": 0, "incoming_phone_numbers": found}))
}

async fn update(State(shared): State<Shared>, headers: HeaderMap, Form(form): Form<Vec<(String, String)>>) -> Response {
    let mut twilio = shared.lock().expect("no panic under the lock");
    for (parameter, value) in &form {
        twilio.number[snake(parameter)] = json!(value);
    }
    twilio.posted.push(form);
    answer(&twilio, &headers, twilio.number.clone())
}

/// `VoiceUrl` is `voice_url` in the answers.
fn snake(parameter: &str) -> String {
    let mut snake = String::new();
    for c in parameter.chars() {
        if c.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

async fn look(api: &str, args: &[&str], environment: &[(&str, &str)]) -> Page {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let usual = [
        ("TWILIO_API_URL", api),
        ("PUBLIC_URL", "https://voice.invalid"),
        // No name is looked up, and nobody outside asked.
        ("HTTPS_PROXY", "http://127.0.0.1:1"),
        ("TWILIO_ACCOUNT_SID", ACCOUNT),
        ("TWILIO_AUTH_TOKEN", TOKEN),
        ("TWILIO_PHONE_NUMBER", NUMBER),
    ];
    let page = doctor(dir.path(), args, &[&usual, environment].concat()).await;
    for hidden in [TOKEN, "15550100200", "5ecret"] {
        assert!(!page.text.contains(hidden), "{hidden} in {}", page.text);
    }
    page
}

#[tokio::test]
async fn wrong_webhooks_are_shown_then_set_and_then_right() {
    let (twilio, api) = start().await;
    let page = look(&api, &[], &[]).await;
    page.says("ok", "twilio", "belong together", "");
    page.says("ok", "number", "+*********00", "");
    page.says("ok", "clock", "right by that of Twilio", "");
    let should =
        "VoiceUrl is https://demo.twilio.com/welcome/voice/, and should be https://voice.invalid/voice/incoming";
    page.says("fail", "webhooks", should, "tieline doctor --fix");
    page.says("fail", "webhooks", "VoiceMethod is GET, and should be POST", "--fix");
    page.says("fail", "webhooks", "StatusCallback is nothing", "--fix");
    page.says("warn", "webhooks", "VoiceFallbackUrl is nothing", "--fix");
    page.says(
        "fail",
        "webhooks",
        "VoiceApplicationSid is AP0123, and should be nothing",
        "--fix",
    );
    assert!(twilio.lock().expect("no panic under the lock").posted.is_empty());

    let page = look(&api, &["--fix"], &[]).await;
    let shown = "setting VoiceUrl from https://demo.twilio.com/welcome/voice/ to https://voice.invalid/voice/incoming";
    page.says("ok", "webhooks", shown, "");
    page.says(
        "ok",
        "webhooks",
        "calls to +*********00 come to https://voice.invalid/voice/incoming",
        "",
    );
    let posted = twilio.lock().expect("no panic under the lock").posted.clone();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let expected = [
        pair("VoiceUrl", "https://voice.invalid/voice/incoming"),
        pair("VoiceMethod", "POST"),
        pair("VoiceFallbackUrl", "https://voice.invalid/voice/fallback"),
        pair("StatusCallback", "https://voice.invalid/voice/status"),
        pair("VoiceApplicationSid", ""),
    ];
    assert_eq!(posted, [expected]);

    for args in [&[][..], &["--fix"]] {
        let page = look(&api, args, &[]).await;
        page.says("ok", "webhooks", "calls to +*********00 come to", "");
    }
    assert_eq!(
        twilio.lock().expect("no panic under the lock").posted.len(),
        1,
        "nothing was left to set"
    );
}

#[tokio::test]
async fn a_wrong_account_number_or_clock_is_told() {
    let (twilio, api) = start().await;
    let page = look(&api, &["--fix"], &[("TWILIO_AUTH_TOKEN", "wrong")]).await;
    page.says(
        "fail",
        "twilio",
        "does not accept TWILIO_ACCOUNT_SID with TWILIO_AUTH_TOKEN",
        "console.twilio.com",
    );
    let page = look(&api, &["--fix"], &[("TWILIO_PHONE_NUMBER", "+15550100299")]).await;
    page.says("fail", "number", "no number +*********99", "TWILIO_PHONE_NUMBER");
    // A number is never pointed at an address that only this network knows.
    let page = look(&api, &["--fix"], &[("PUBLIC_URL", "http://127.0.0.1:1")]).await;
    page.says("warn", "webhooks", "were left alone", "set PUBLIC_URL");
    assert!(twilio.lock().expect("no panic under the lock").posted.is_empty());

    twilio.lock().expect("no panic under the lock").account = json!({"status": "active", "type": "Trial"});
    twilio.lock().expect("no panic under the lock").date = "Sun, 06 Nov 1994 08:49:37 GMT".to_owned();
    let page = look(&api, &[], &[]).await;
    page.says("warn", "twilio", "trial account", "upgrade");
    page.says("fail", "clock", "ahead of that of Twilio", "timedatectl");
    twilio.lock().expect("no panic under the lock").account = json!({"status": "suspended", "type": "Full"});
    page_of_suspended(&api).await;
    let page = look(crate::NOBODY, &[], &[]).await;
    page.says("fail", "twilio", "nothing listens there", "api.twilio.com");
}

async fn page_of_suspended(api: &str) {
    look(api, &[], &[])
        .await
        .says("fail", "twilio", "the account is suspended", "console");
}

const ACCOUNT: &str = "AC0123456789abcdef0123456789abcdef";
const TOKEN: &str = "70ken70ken70ken";
const NUMBER: &str = "+15550100200";
const NUMBER_SID: &str = "PN0123456789abcdef0123456789abcdef";
