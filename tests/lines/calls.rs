//! A whole call in each carrier's words, and who may hold one.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tieline::store::{NewApiKey, Scope};
use tieline::twilio::dialect::Dialect;

use crate::engines::Order;
use crate::handset::{CARRIERS, EXOTEL_SECRET, Handset, Seen, form, get, headers, lines, post, ring, webhook};
use crate::http_server::tokens;
use crate::phone::{silence, voice};
use crate::support::{FROM, Setup, TestServer, fresh_store, soon, until};

const POLICY_VIOLATION: Option<u16> = Some(1008);

fn setup() -> Setup {
    Setup {
        lines: lines(),
        ..Setup::default()
    }
}

/// A greeting, two turns, a third that is interrupted, a key, and a hangup.
async fn a_call(dialect: Dialect) {
    let (server, llm) = TestServer::with_llm(setup()).await;
    llm.answer([
        tokens(&["We open at nine."]),
        tokens(&["And close at five."]),
        tokens(&["Here comes a very long story."]),
        tokens(&["Fine."]),
    ]);
    server.stt.hear(&[
        "when do you open",
        "and when do you close",
        "tell me more",
        "stop please",
    ]);
    let mut handset = Handset::call(&server, dialect, "call-0001").await;
    assert_eq!(handset.turn().await.outcome, "completed", "the greeting");

    for (said, heard) in [
        ("when do you open", "We open at nine."),
        ("and when do you close", "And close at five."),
    ] {
        handset.say().await;
        let turn = handset.turn().await;
        let happened = (turn.caller.as_deref(), turn.heard.as_str(), turn.outcome.as_str());
        assert_eq!(happened, (Some(said), heard, "completed"), "{}", dialect.name());
    }

    server.tts.give([Order::Tone(Duration::from_secs(5))]);
    handset.say().await;
    let mut story = 0;
    // Of which 400 ms wait at the carrier: what was heard by now is more than a beginning.
    handset
        .until("the story", |seen| {
            if let Seen::Media(audio) = seen {
                story += audio.len();
            }
            (story > 8_000).then_some(())
        })
        .await;
    handset.speak(&voice(400)).await;
    handset
        .until("the clear", |seen| matches!(seen, Seen::Clear).then_some(()))
        .await;
    handset.speak(&silence(600)).await;
    let cut = handset.turn().await;
    assert_eq!(
        (cut.caller.as_deref(), cut.outcome.as_str()),
        (Some("stop please"), "interrupted")
    );
    assert!(cut.heard.len() < "Here comes a very long story.".len(), "{}", cut.heard);
    assert_eq!(handset.turn().await.heard, "Fine.");

    let jobs = server.stt.jobs().len();
    for key in "739#".chars() {
        handset.dtmf(key).await;
    }
    let typed = handset.turn().await;
    assert!(
        typed.caller.is_none() && server.stt.jobs().len() == jobs,
        "keys are not transcribed"
    );

    handset.hang_up().await;
    until("the end", || server.app.registry.live() == 0).await;
    let (status, body) = webhook(&server, dialect, "fallback", "call-0001").await;
    if dialect == Dialect::Exotel {
        assert_eq!(status, 404, "Exotel asks no fallback");
    } else {
        // The caller hung up: should the carrier ask all the same, the call may be taken up again.
        assert!(status == 200 && body.contains("<Stream"), "{status} {body}");
    }
}

#[tokio::test]
async fn a_call_from_signalwire() {
    a_call(Dialect::SignalWire).await;
}

#[tokio::test]
async fn a_call_from_telnyx() {
    a_call(Dialect::Telnyx).await;
}

#[tokio::test]
async fn a_call_from_plivo() {
    a_call(Dialect::Plivo).await;
}

#[tokio::test]
async fn a_call_from_exotel() {
    a_call(Dialect::Exotel).await;
}

/// Telnyx' ids are long and have colons.
#[tokio::test]
async fn a_call_from_telnyx_is_read_and_controlled_by_the_api() {
    let (store, _dir) = fresh_store().await;
    let server = TestServer::start(Setup {
        store: Some(store.clone()),
        ..setup()
    })
    .await;
    let new = NewApiKey {
        name: "test".to_owned(),
        scopes: Scope::ALL.into(),
        lifetime: None,
    };
    let (_, key) = store.create_api_key(&new).await.expect("a key");
    let ask = async |method: Method, path: &str| {
        let request = server.http.request(method, server.url(path)).bearer_auth(key.expose());
        let answer = soon("the answer", request.send()).await.expect("an answer");
        (
            answer.status().as_u16(),
            answer.json::<Value>().await.unwrap_or_default(),
        )
    };
    let call = format!(
        "v3:{}",
        "T02llQxIyaRkhfRKxgAP8nY511EhFLizdvdUKJiSw8d6A9BborherQ".repeat(2)
    );
    let mut handset = Handset::call(&server, Dialect::Telnyx, &call).await;
    handset.turn().await;
    let (status, answer) = ask(Method::GET, &format!("/api/phone/call-status/{call}")).await;
    assert_eq!((status, &answer["status"]), (200, &json!("in-progress")), "{answer}");
    let (status, answer) = ask(Method::POST, &format!("/api/calls/{call}/hangup")).await;
    assert_eq!((status, &answer["call_sid"]), (202, &json!(call)), "{answer}");
    until("the end", || server.app.registry.live() == 0).await;
    let (status, answer) = ask(Method::GET, &format!("/api/calls/{call}")).await;
    assert_eq!((status, &answer["call"]["call_sid"]), (200, &json!(call)), "{answer}");
    let (status, answer) = ask(Method::GET, &format!("/api/task-orders?call_sid={call}")).await;
    assert_eq!((status, &answer["items"]), (200, &json!([])), "{answer}");
    assert!(
        webhook(&server, Dialect::Telnyx, "incoming", &call)
            .await
            .1
            .contains("<Hangup/>")
    );
    let (status, answer) = ask(Method::GET, &format!("/api/audit?subject={call}&outcome=refused")).await;
    assert_eq!(
        (status, &answer["items"][0]["detail"]),
        (200, &json!("repeated")),
        "{answer}"
    );
}

#[tokio::test]
async fn a_token_opens_one_stream_of_its_own_line_and_call() {
    let server = TestServer::start(setup()).await;
    for dialect in CARRIERS {
        let name = dialect.name();
        let (call, other) = (format!("{name}-1"), format!("{name}-2"));
        let answer = ring(&server, dialect, &call).await;
        let again = ring(&server, dialect, &call).await;
        assert_eq!(
            (&answer.url, &answer.token),
            (&again.url, &again.token),
            "a webhook that is repeated"
        );
        let foreign = ring(&server, dialect, &other).await;

        // Another call's token, in the path or as the parameter.
        if dialect == Dialect::SignalWire {
            let mut handset = Handset::dial(dialect, &answer.url, &call).await;
            handset.start(foreign.token.as_deref()).await;
            assert_eq!(handset.closed().await, POLICY_VIOLATION, "{name}: another call's token");
        } else {
            let token = foreign.url.rsplit('/').next().expect("a token");
            let base = answer.url.rsplit_once('/').expect("a token").0;
            for token in [token, "guess", ""] {
                let refused = Handset::try_to_dial(dialect, &format!("{base}/{token}"), &call).await;
                let expected = if token.is_empty() { 404 } else { 403 };
                assert_eq!(refused.err(), Some(expected), "{name}: {token}");
            }
        }

        // The right path, and a start message of another call. (Telnyx' has another name for it anyway.)
        if dialect != Dialect::Telnyx {
            let mut handset = Handset::dial(dialect, &answer.url, &other).await;
            handset.start(answer.token.as_deref()).await;
            assert_eq!(handset.closed().await, POLICY_VIOLATION, "{name}: another call");
        }

        // The same path at another line.
        if dialect == Dialect::Telnyx {
            let elsewhere = answer.url.replace("/telnyx/", "/plivo/");
            let refused = Handset::try_to_dial(Dialect::Plivo, &elsewhere, &call).await;
            assert_eq!(refused.err(), Some(403), "{name}: another line");
        }

        // None of this spent the token; the stream it opens does.
        let mut handset = Handset::dial(dialect, &answer.url, &call).await;
        handset.start(answer.token.as_deref()).await;
        handset
            .until("the greeting", |seen| matches!(seen, Seen::Media(_)).then_some(()))
            .await;
        if dialect == Dialect::SignalWire {
            let mut second = Handset::dial(dialect, &answer.url, &call).await;
            second.start(answer.token.as_deref()).await;
            assert_eq!(second.closed().await, POLICY_VIOLATION, "{name}: a token that was used");
        } else {
            let refused = Handset::try_to_dial(dialect, &answer.url, &call).await;
            assert_eq!(refused.err(), Some(403), "{name}: a token that was used");
        }
        handset.hang_up().await;
    }
}

#[tokio::test]
async fn audio_that_is_none_of_ours_is_refused() {
    let server = TestServer::start(setup()).await;
    for (dialect, format, field, value) in [
        (Dialect::SignalWire, "mediaFormat", "encoding", json!("audio/L16")),
        (Dialect::Telnyx, "media_format", "encoding", json!("G722")),
        (Dialect::Telnyx, "media_format", "sample_rate", json!(16_000)),
        (Dialect::Plivo, "mediaFormat", "encoding", json!("audio/x-l16")),
        (Dialect::Exotel, "media_format", "sample_rate", json!("16000")),
    ] {
        let call = format!("{}-1", dialect.name());
        let answer = ring(&server, dialect, &call).await;
        let mut handset = Handset::dial(dialect, &answer.url, &call).await;
        let mut start = handset.start_message(answer.token.as_deref());
        start["start"][format][field] = value;
        handset.send(start).await;
        assert_eq!(handset.closed().await, POLICY_VIOLATION, "{}: {field}", dialect.name());
    }
    assert_eq!(server.app.registry.live(), 0);
}

#[tokio::test]
async fn a_call_that_finds_no_line_is_told_so() {
    let server = TestServer::start(Setup {
        max_calls: 1,
        ..setup()
    })
    .await;
    ring(&server, Dialect::Telnyx, "call-1").await;
    for (dialect, expected) in [
        (Dialect::SignalWire, (200, r#"<Reject reason="busy"/>"#)),
        (Dialect::Telnyx, (200, r#"<Reject reason="busy"/>"#)),
        (Dialect::Plivo, (200, r#"<Hangup reason="busy"/>"#)),
        (Dialect::Exotel, (503, "no line")),
    ] {
        let call = format!("{}-2", dialect.name());
        let (status, body) = webhook(&server, dialect, "incoming", &call).await;
        assert!(
            status == expected.0 && body.contains(expected.1),
            "{}: {status} {body}",
            dialect.name()
        );
    }
    server.app.registry.drain();
    for dialect in CARRIERS {
        assert_eq!(
            webhook(&server, dialect, "incoming", "call-3").await.0,
            503,
            "{}",
            dialect.name()
        );
    }
}

#[tokio::test]
async fn a_blocked_caller_is_refused_on_any_line_before_the_call_is_begun() {
    let (store, _dir) = fresh_store().await;
    let blocked = format!("\n[line]\nblocked = [\"{}*\", \"withheld\"]\n", &FROM[..8]);
    let server = TestServer::start(Setup {
        agent: Some(format!("{DESK}{blocked}")),
        store: Some(store.clone()),
        ..setup()
    })
    .await;
    // No answer waits for a database.
    store.close().await;
    for (dialect, refusal) in [
        (Dialect::SignalWire, r#"<Reject reason="rejected"/>"#),
        (Dialect::Telnyx, r#"<Reject reason="rejected"/>"#),
        (Dialect::Plivo, r#"<Hangup reason="rejected"/>"#),
    ] {
        let field = |name, value: &str| (name, value.to_owned());
        for (n, (from, direction, refused)) in [
            (field("From", FROM), "inbound", true),
            (field("From", "anonymous"), "inbound", true),
            (field("From", "sip:desk@example.org"), "inbound", false),
            (field("From", "+15550200123"), "inbound", false),
            (field("From", FROM), "outbound-api", false),
        ]
        .into_iter()
        .enumerate()
        {
            let call = format!("{}-{n}", dialect.name());
            let mut form = form(dialect, &call);
            form.retain(|(name, _)| name != "From");
            form.extend([from, ("Direction", direction.to_owned())].map(|(name, value)| (name.to_owned(), value)));
            let path = format!("/{}/incoming", dialect.name());
            let proof = headers(dialect, &server.url(&path), &form, jiff::Timestamp::now().as_second());
            let (status, body) = post(&server, &path, &form, &proof).await;
            assert_eq!(status, 200, "{call}: {body}");
            assert_eq!(body.contains(refusal), refused, "{call}: {body}");
            assert_eq!(server.app.registry.knows(&call), !refused, "{call}");
        }
    }
    // Exotel goes on with its own flow where it gets no stream. It leaves the country out of its numbers.
    let path = |from| format!("/exotel/incoming/{EXOTEL_SECRET}?CallSid=exotel-{from}&CallFrom={from}");
    for (from, status) in [("", 403), ("anonymous", 403), ("09876543210", 200)] {
        assert_eq!(get(&server, &path(from), None).await.0, status, "{from}");
        assert_eq!(server.app.registry.knows(&format!("exotel-{from}")), status == 200);
    }
}

const DESK: &str = "name = \"desk\"\ngreeting = \"Hello.\"\nsystem_prompt = \"You are a test.\"\n";
