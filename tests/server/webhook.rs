//! The voice webhook and its fall-through.

use std::time::Duration;

use tieline::turn::policy::Policy;

use crate::phone::Phone;
use crate::support::{AUTH_TOKEN, Setup, TestServer, encoded, form, policy, token_in, until};

fn signed() -> Setup {
    Setup {
        auth_token: Some(AUTH_TOKEN),
        ..Setup::default()
    }
}

#[tokio::test]
async fn the_answer_connects_a_stream_and_falls_through_to_the_fallback() {
    let server = TestServer::start(signed()).await;
    for path in ["/voice/incoming", "/api/phone/incoming"] {
        let call = format!("CA{}", path.len());
        let (status, twiml) = server.webhook(path, &call).await;
        assert_eq!(status, 200);
        let (address, token) = (server.address, token_in(&twiml));
        assert_eq!(
            twiml,
            format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response>\
                 <Connect action=\"http://{address}/voice/stream-ended\" method=\"POST\">\
                 <Stream url=\"ws://{address}/voice/stream\" statusCallback=\"http://{address}/voice/stream-status\" \
                 statusCallbackMethod=\"POST\"><Parameter name=\"tok\" value=\"{token}\"/></Stream></Connect>\
                 <Redirect method=\"POST\">http://{address}/voice/fallback</Redirect></Response>"
            )
        );
        assert!(token.len() >= 43, "256 bits");
    }
}

#[tokio::test]
async fn the_answer_is_xml_that_nobody_stores() {
    let server = TestServer::start(Setup::default()).await;
    let request = server
        .http
        .post(server.url("/voice/incoming"))
        .body(encoded(&form("CA1")));
    let answer = request.send().await.expect("an answer");
    assert_eq!(answer.headers()["content-type"], "text/xml; charset=utf-8");
    assert_eq!(answer.headers()["cache-control"], "no-store");
}

#[tokio::test]
async fn only_what_twilio_signed_is_answered() {
    let server = TestServer::start(signed()).await;
    for path in ["/voice/incoming", "/api/phone/incoming", "/voice/fallback"] {
        assert_eq!(server.post(path, &form("CA1"), Some(AUTH_TOKEN)).await.0, 200, "{path}");
        assert_eq!(
            server.post(path, &form("CA1"), Some("another token")).await.0,
            403,
            "{path}"
        );
        let (status, body) = server.post(path, &form("CA1"), None).await;
        assert_eq!(status, 403, "{path}");
        assert!(!body.contains(AUTH_TOKEN) && !body.contains("CA1"), "{body}");
    }
    // The signature covers every field.
    let signature = tieline::twilio::signature::sign(AUTH_TOKEN, &server.url("/voice/incoming"), &form("CA1"));
    let request = server
        .http
        .post(server.url("/voice/incoming"))
        .body(encoded(&form("CA2")));
    let answer = request.header("x-twilio-signature", signature).send().await;
    assert_eq!(answer.expect("an answer").status(), 403);
}

#[tokio::test]
async fn an_unsigned_upgrade_is_refused() {
    let server = TestServer::start(signed()).await;
    let refused = tokio_tungstenite::connect_async(format!("ws://{}/voice/stream", server.address)).await;
    let Err(tokio_tungstenite::tungstenite::Error::Http(answer)) = refused else {
        panic!("not an HTTP answer")
    };
    assert_eq!(answer.status(), 403);
    Phone::greeted(&server, "CA1").await.hang_up().await;
}

/// `TRANSPORT` was changed while a call went on: it gets a stream, if it is not over.
#[tokio::test]
async fn a_step_of_a_call_without_streams_leads_to_the_fallback() {
    let server = TestServer::start(signed()).await;
    let (status, twiml) = server.webhook("/voice/process-speech?step=3&part=0", "CA1").await;
    let fallback = format!("<Redirect method=\"POST\">{}</Redirect>", server.url("/voice/fallback"));
    assert!(status == 200 && twiml.contains(&fallback), "{status} {twiml}");
}

#[tokio::test]
async fn webhooks_are_posts() {
    let server = TestServer::start(Setup::default()).await;
    for path in ["/voice/incoming", "/api/phone/incoming", "/voice/fallback"] {
        let answer = server.http.get(server.url(path)).send().await.expect("an answer");
        assert_eq!(answer.status(), 405, "{path}");
    }
}

#[tokio::test]
async fn a_form_without_usable_ids_is_refused() {
    let server = TestServer::start(Setup::default()).await;
    let long = "C".repeat(65);
    for call in ["", "C", "CA 1", "CA1\n", "CA<1>", "CA/../1", long.as_str()] {
        assert_eq!(server.webhook("/voice/incoming", call).await.0, 400, "{call:?}");
    }
    for missing in ["CallSid", "AccountSid"] {
        let mut fields = form("CA1");
        fields.retain(|(key, _)| key != missing);
        assert_eq!(server.post("/voice/incoming", &fields, None).await.0, 400, "{missing}");
    }
    let rubbish = server.http.post(server.url("/voice/incoming")).body(vec![0xFF; 100]);
    assert_eq!(rubbish.send().await.expect("an answer").status(), 400);
}

#[tokio::test]
async fn a_body_over_64_kib_is_refused() {
    let server = TestServer::start(signed()).await;
    let mut fields = form("CA1");
    fields.push(("Padding".to_owned(), "x".repeat(64 * 1024)));
    assert_eq!(server.post("/voice/incoming", &fields, Some(AUTH_TOKEN)).await.0, 413);
    fields.last_mut().expect("the padding").1.truncate(60 * 1024);
    assert_eq!(server.post("/voice/incoming", &fields, Some(AUTH_TOKEN)).await.0, 200);
}

#[tokio::test]
async fn when_all_lines_are_busy_a_call_is_rejected() {
    let server = TestServer::start(Setup {
        max_calls: 1,
        ..Setup::default()
    })
    .await;
    let phone = Phone::greeted(&server, "CA1").await;
    let (status, twiml) = server.webhook("/voice/incoming", "CA2").await;
    assert_eq!(status, 200);
    assert!(
        twiml.contains("<Response><Reject reason=\"busy\"/></Response>"),
        "{twiml}"
    );
    phone.hang_up().await;
    until("the line is free", || server.app.registry.live() == 0).await;
    server.token("CA2").await;
}

#[tokio::test]
async fn a_retried_webhook_gets_the_same_token() {
    let server = TestServer::start(signed()).await;
    let token = server.token("CA1").await;
    assert_eq!(server.token("CA1").await, token);
    assert_ne!(server.token("CA2").await, token);
}

#[tokio::test]
async fn the_public_url_decides_what_is_signed_and_dialled() {
    for (public, stream, fallback) in [
        (
            "https://voice.example.org",
            "wss://voice.example.org/voice/stream",
            "https://voice.example.org/voice/fallback",
        ),
        (
            "https://example.org:8443/phone/",
            "wss://example.org:8443/phone/voice/stream",
            "https://example.org:8443/phone/voice/fallback",
        ),
        (
            "http://10.0.0.5:8080",
            "ws://10.0.0.5:8080/voice/stream",
            "http://10.0.0.5:8080/voice/fallback",
        ),
    ] {
        let server = TestServer::start(Setup {
            public_url: Some(public),
            ..signed()
        })
        .await;
        let (status, twiml) = server.webhook("/voice/incoming", "CA1").await;
        assert_eq!(status, 200, "{public}");
        assert!(twiml.contains(&format!("<Stream url=\"{stream}\" ")), "{twiml}");
        assert!(twiml.contains(&format!(">{fallback}</Redirect>")), "{twiml}");
        // What is signed for the address it was reached at does not count.
        let signature = tieline::twilio::signature::sign(AUTH_TOKEN, &server.url("/voice/incoming"), &form("CA2"));
        let request = server
            .http
            .post(server.url("/voice/incoming"))
            .body(encoded(&form("CA2")));
        let answer = request.header("x-twilio-signature", signature).send().await;
        assert_eq!(answer.expect("an answer").status(), 403);
        Phone::greeted(&server, "CA3").await.hang_up().await;
    }
}

#[tokio::test]
async fn calls_of_another_account_are_refused() {
    let server = TestServer::start(Setup {
        account_sid: Some("AC99"),
        ..signed()
    })
    .await;
    assert_eq!(server.webhook("/voice/incoming", "CA1").await.0, 403);
}

#[tokio::test]
async fn a_broken_stream_is_connected_again_three_times_in_all() {
    let server = TestServer::start(signed()).await;
    let mut token = server.token("CA1").await;
    for stream in 1..=3 {
        let mut phone = Phone::dial(&server, "CA1").await;
        phone.start(&token).await;
        phone.next().await;
        drop(phone);
        until("the loss is noticed", || server.app.registry.live() == 0).await;
        let (status, twiml) = server.webhook("/voice/fallback", "CA1").await;
        assert_eq!(status, 200);
        if stream < 3 {
            let fresh = token_in(&twiml);
            assert_ne!(fresh, token);
            token = fresh;
        } else {
            assert!(twiml.contains("<Say>Sorry, that went wrong.</Say><Hangup/>"), "{twiml}");
        }
    }
}

#[tokio::test]
async fn a_call_whose_stream_never_opens_is_given_up_with_an_apology() {
    let server = TestServer::start(signed()).await;
    server.token("CA1").await;
    for again in 1..=3 {
        let (status, twiml) = server.webhook("/voice/fallback", "CA1").await;
        assert_eq!(status, 200);
        if again < 3 {
            token_in(&twiml);
        } else {
            assert!(twiml.contains("<Say>Sorry, that went wrong.</Say><Hangup/>"), "{twiml}");
        }
    }
}

#[tokio::test]
async fn a_stream_that_breaks_late_does_not_end_its_successor() {
    let server = TestServer::start(signed()).await;
    let half_dead = Phone::greeted(&server, "CA1").await;
    // Twilio has given the stream up; this server does not know yet.
    let (_, twiml) = server.webhook("/voice/fallback", "CA1").await;
    half_dead.hang_up().await;
    let mut second = Phone::dial(&server, "CA1").await;
    second.start(&token_in(&twiml)).await;
    assert!(matches!(second.next().await, crate::phone::Seen::Media(_)));
    second.hang_up().await;
}

#[tokio::test]
async fn a_live_call_survives_the_end_of_its_old_stream() {
    let server = TestServer::start(signed()).await;
    let half_dead = Phone::greeted(&server, "CA1").await;
    let (_, twiml) = server.webhook("/voice/fallback", "CA1").await;
    let mut second = Phone::dial(&server, "CA1").await;
    second.start(&token_in(&twiml)).await;
    second.next().await;
    half_dead.hang_up().await;
    assert_eq!(server.app.registry.live(), 1);
    second.hang_up().await;
}

#[tokio::test]
async fn a_call_we_ended_is_hung_up() {
    let server = TestServer::start(Setup {
        policy: Policy {
            max_call: Duration::from_millis(300),
            ..policy()
        },
        ..signed()
    })
    .await;
    let mut phone = Phone::greeted(&server, "CA1").await;
    assert_eq!(phone.turn().await.outcome, "completed");
    phone.closed().await;
    until("the end", || server.app.registry.live() == 0).await;
    let (status, twiml) = server.webhook("/voice/fallback", "CA1").await;
    assert_eq!(status, 200);
    assert!(twiml.contains("<Response><Hangup/></Response>"), "{twiml}");
}

#[tokio::test]
async fn a_call_the_caller_ended_is_hung_up() {
    let server = TestServer::start(signed()).await;
    let mut fields = form("CA1");
    let status = fields.iter_mut().find(|(key, _)| key == "CallStatus");
    "completed".clone_into(&mut status.expect("a status").1);
    let (_, twiml) = server.post("/voice/fallback", &fields, Some(AUTH_TOKEN)).await;
    assert!(twiml.contains("<Response><Hangup/></Response>"), "{twiml}");
}

#[tokio::test]
async fn a_fallback_for_a_call_of_another_node_connects_it() {
    let server = TestServer::start(signed()).await;
    let (_, twiml) = server.webhook("/voice/fallback", "CA77").await;
    let mut phone = Phone::dial(&server, "CA77").await;
    phone.start(&token_in(&twiml)).await;
    phone.next().await;
    phone.hang_up().await;
}
