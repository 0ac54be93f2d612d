//! The media socket: who may open it, and what it makes of strange messages.

use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::engines::USUAL;
use crate::phone::{Phone, Seen, silence, voice};
use crate::support::{APOLOGY, AUTH_TOKEN, Setup, TestServer, until};

const POLICY_VIOLATION: Option<u16> = Some(1008);

async fn server() -> TestServer {
    TestServer::start(Setup {
        auth_token: Some(AUTH_TOKEN),
        ..Setup::default()
    })
    .await
}

/// Jobs of the transcriber beyond the one of the warm-up.
fn transcribed(server: &TestServer) -> Vec<usize> {
    let jobs = server.stt.jobs();
    jobs[1..]
        .iter()
        .map(|samples| samples.parse().expect("a number"))
        .collect()
}

/// The call goes on: something said is transcribed and answered. (There is no LLM here, so the answer is the apology.)
async fn goes_on(phone: &mut Phone) {
    let turn = phone.exchange().await;
    assert_eq!((turn.caller.as_deref(), turn.heard.as_str()), (Some(USUAL), APOLOGY));
}

#[tokio::test]
async fn a_stream_without_its_own_token_is_closed_unheard() {
    let server = server().await;
    let other = server.token("CA2").await;
    let own = server.token("CA1").await;
    for token in ["", "wrong", other.as_str(), &own[1..], &own.to_uppercase()] {
        let mut phone = Phone::dial(&server, "CA1").await;
        phone.start(token).await;
        phone.say().await;
        assert_eq!(phone.closed().await, POLICY_VIOLATION, "{token:?}");
    }
    let mut phone = Phone::dial(&server, "CA1").await;
    let mut start = phone.start_message(&own);
    start["start"]["accountSid"] = json!("AC99");
    phone.send(start).await;
    assert_eq!(phone.closed().await, POLICY_VIOLATION);
    let mut phone = Phone::dial(&server, "CA1").await;
    let mut start = phone.start_message(&own);
    start["start"]
        .as_object_mut()
        .expect("an object")
        .remove("customParameters");
    phone.send(start).await;
    assert_eq!(phone.closed().await, POLICY_VIOLATION);
    assert!(transcribed(&server).is_empty());
    assert_eq!(server.app.registry.live(), 0);
    // None of this spent the token.
    let mut phone = Phone::dial(&server, "CA1").await;
    phone.start(&own).await;
    assert!(matches!(phone.next().await, Seen::Media(_)));
}

#[tokio::test]
async fn a_token_opens_one_stream() {
    let server = server().await;
    let token = server.token("CA1").await;
    let mut first = Phone::dial(&server, "CA1").await;
    first.start(&token).await;
    first.next().await;
    let mut second = Phone::dial(&server, "CA1").await;
    second.start(&token).await;
    assert_eq!(second.closed().await, POLICY_VIOLATION);
    first.hang_up().await;
    let mut third = Phone::dial(&server, "CA1").await;
    third.start(&token).await;
    assert_eq!(third.closed().await, POLICY_VIOLATION);
}

#[tokio::test]
async fn a_stream_of_another_format_or_of_nonsense_is_closed() {
    let server = server().await;
    let token = server.token("CA1").await;
    for (field, value) in [
        ("encoding", json!("audio/l16")),
        ("sampleRate", json!(16_000)),
        ("channels", json!(2)),
    ] {
        let mut phone = Phone::dial(&server, "CA1").await;
        let mut start = phone.start_message(&token);
        start["start"]["mediaFormat"][field] = value;
        phone.send(start).await;
        assert_eq!(phone.closed().await, POLICY_VIOLATION, "{field}");
    }
    let mut phone = Phone::dial(&server, "CA1").await;
    phone.text("GET / HTTP/1.1").await;
    assert_eq!(phone.closed().await, POLICY_VIOLATION);
}

#[tokio::test]
async fn media_before_start_is_not_heard() {
    let server = server().await;
    let token = server.token("CA1").await;
    let mut phone = Phone::dial(&server, "CA1").await;
    phone.frames(&voice(2_000)).await;
    phone.media_ms = 0;
    phone.start(&token).await;
    phone
        .until("the greeting", |seen| matches!(seen, Seen::Mark(_)).then_some(()))
        .await;
    phone.say().await;
    until("a transcript", || !transcribed(&server).is_empty()).await;
    let samples = transcribed(&server)[0];
    assert!(samples < 16_000, "{samples} samples: more than was said after start");
    phone.hang_up().await;
}

#[tokio::test]
async fn payloads_of_any_length_are_heard() {
    let server = server().await;
    let mut phone = Phone::greeted(&server, "CA1").await;
    let said = voice(1_100);
    let mut at = 0;
    for length in [1, 159, 160, 161, 8_000] {
        phone.media(&said[at..at + length]).await;
        at += length;
    }
    phone.media(&silence(600)).await;
    assert_eq!(phone.turn().await.caller.as_deref(), Some(USUAL));
    let samples = transcribed(&server)[0];
    // 8481 samples and the pause, at twice the rate.
    assert!((16_000..=24_000).contains(&samples), "{samples}");
    phone.hang_up().await;
}

#[tokio::test]
async fn strange_messages_change_nothing() {
    let server = server().await;
    let mut phone = Phone::greeted(&server, "CA1").await;
    let start = phone.start_message("another token");
    let strange = [
        json!({"event": "media", "streamSid": "MZ", "media": {"payload": "%%%"}}),
        json!({"event": "media", "streamSid": "MZ", "media": {"payload": ""}}),
        json!({"event": "media", "streamSid": "MZ", "media": {"payload": "AAA"}}),
        json!({"event": "media", "streamSid": "MZ", "media": {}}),
        json!({"event": "media", "streamSid": "MZ"}),
        json!({"event": "media", "media": "text"}),
        json!({"event": "media", "media": {"payload": 7}}),
        json!({"event": "mark"}),
        json!({"event": "mark", "mark": {}}),
        json!({"event": "dtmf", "dtmf": {"digit": "✓"}}),
        json!({"event": "dtmf", "dtmf": {"digit": ""}}),
        json!({"event": "dtmf"}),
        json!({"event": "connected"}),
        json!({"event": "tomorrow", "tomorrow": {"x": [1, 2, 3]}}),
        json!({"event": 7}),
        json!({}),
        json!([]),
        json!("stop"),
        start,
    ];
    for message in strange {
        phone.send(message).await;
    }
    for text in ["", "stop", "{", "\u{0}", "{\"event\":\"stop\""] {
        phone.text(text).await;
    }
    phone.raw(Message::binary(vec![0; 1_000])).await;
    phone.raw(Message::Ping(vec![1, 2, 3].into())).await;
    goes_on(&mut phone).await;
    phone.hang_up().await;
}

#[tokio::test]
async fn numbers_may_stand_where_strings_belong_and_the_other_way_round() {
    let server = server().await;
    let token = server.token("CA1").await;
    let mut phone = Phone::dial(&server, "CA1").await;
    let mut start = phone.start_message(&token);
    start["sequenceNumber"] = json!(1);
    start["start"]["mediaFormat"] = json!({"encoding": "audio/x-mulaw", "sampleRate": "8000", "channels": "1"});
    phone.send(start).await;
    phone
        .until("the greeting", |seen| matches!(seen, Seen::Mark(_)).then_some(()))
        .await;
    use base64::Engine as _;
    for (n, frame) in [voice(400), silence(600)].concat().chunks(160).enumerate() {
        let payload = base64::prelude::BASE64_STANDARD.encode(frame);
        let media = json!({"track": "inbound", "chunk": n, "timestamp": n * 20, "payload": payload});
        phone
            .send(json!({"event": "media", "sequenceNumber": n + 2, "streamSid": "MZ", "media": media}))
            .await;
    }
    until("a transcript", || transcribed(&server).len() == 1).await;
    phone.hang_up().await;
}

#[tokio::test]
async fn lost_audio_counts_as_silence() {
    let server = server().await;
    let mut phone = Phone::greeted(&server, "CA1").await;
    phone.frames(&voice(400)).await;
    phone.media_ms += 600;
    phone.frames(&silence(20)).await;
    assert_eq!(phone.turn().await.caller.as_deref(), Some(USUAL));
    phone.hang_up().await;
}

#[tokio::test]
async fn a_message_over_64_kib_closes_and_one_of_64_kib_does_not() {
    let server = server().await;
    let mut phone = Phone::greeted(&server, "CA1").await;
    let padded = |length: usize| {
        let frame = r#"{"event":"tomorrow","x":""}"#;
        frame.replace("\"\"", &format!("\"{}\"", "x".repeat(length - frame.len())))
    };
    phone.text(&padded(64 * 1024)).await;
    goes_on(&mut phone).await;
    phone.text(&padded(64 * 1024 + 1)).await;
    phone.closed().await;
    until("the end", || server.app.registry.live() == 0).await;
}

#[tokio::test]
async fn a_stop_without_a_close_ends_the_call_and_so_does_a_close_without_a_stop() {
    let server = server().await;
    let mut phone = Phone::greeted(&server, "CA1").await;
    phone.stop().await;
    phone.closed().await;
    until("the end", || server.app.registry.live() == 0).await;

    let mut phone = Phone::greeted(&server, "CA2").await;
    phone.raw(Message::Close(None)).await;
    phone.closed().await;
    until("the end", || server.app.registry.live() == 0).await;

    drop(Phone::greeted(&server, "CA3").await);
    until("the end", || server.app.registry.live() == 0).await;
}

#[tokio::test]
async fn a_hangup_in_the_middle_of_a_turn_ends_the_call() {
    let server = server().await;
    let mut phone = Phone::greeted(&server, "CA1").await;
    phone.frames(&voice(300)).await;
    phone.hang_up().await;
    until("the end", || server.app.registry.live() == 0).await;
    assert!(transcribed(&server).is_empty());
}

#[tokio::test]
async fn keys_that_are_not_finished_do_not_end_what_is_said() {
    let server = server().await;
    let mut phone = Phone::greeted(&server, "CA1").await;
    phone.frames(&voice(200)).await;
    for digit in "0123456789*ABCD".chars() {
        phone.dtmf(digit).await;
    }
    phone.frames(&voice(200)).await;
    phone.frames(&silence(600)).await;
    assert_eq!(phone.turn().await.caller.as_deref(), Some(USUAL));
    phone.hang_up().await;
}

#[tokio::test]
async fn a_hundred_calls_at_once_are_greeted_and_ended() {
    let server = TestServer::start(Setup {
        max_calls: 100,
        ..Setup::default()
    })
    .await;
    let calls = (0..100).map(|n| {
        let (server, call) = (&server, format!("CA{n:03}"));
        async move { Phone::greeted(server, &call).await }
    });
    let phones = futures_util::future::join_all(calls).await;
    assert_eq!(server.app.registry.live(), 100);
    futures_util::future::join_all(phones.into_iter().map(Phone::hang_up)).await;
    until("the end of all", || server.app.registry.live() == 0).await;
}
