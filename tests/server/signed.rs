//! Who may ask: every door that is Twilio's, with right and wrong signatures, before anything else happens.

use sha2::{Digest as _, Sha256};
use tieline::config::Secret;
use tieline::http::TwilioAccount;
use tieline::twilio::signature::{Algorithm, candidates, sign, sign_with};
use tieline::twilio::status::CallStatus;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use crate::support::{
    ACCOUNT, AUTH_TOKEN, Setup, TestServer, encoded, form, fresh_store, soon, token_in, with_moved_borders,
};

/// All webhooks; the stream's upgrade has tests of its own.
const WEBHOOKS: [&str; 9] = [
    "/voice/incoming",
    "/api/phone/incoming",
    "/voice/fallback",
    "/voice/stream-ended",
    "/voice/stream-status",
    "/voice/status",
    "/api/phone/status",
    "/voice/amd",
    "/voice/recording-status",
];

const SIGNATURE: &str = "x-twilio-signature";
const SETTINGS: &str = "x-twilio-webhooks-signature-settings";
const FORM: &str = "application/x-www-form-urlencoded";

fn account(auth_token: Option<&str>, other_key: Option<&str>, algorithm: Algorithm) -> Setup {
    let twilio = TwilioAccount {
        auth_token: auth_token.map(Secret::new),
        other_key: other_key.map(Secret::new),
        algorithm,
        ..TwilioAccount::default()
    };
    Setup {
        twilio: Some(twilio),
        ..Setup::default()
    }
}

fn signed() -> Setup {
    account(Some(AUTH_TOKEN), None, Algorithm::Sha1)
}

/// A post with these headers, as they are.
async fn post(server: &TestServer, path: &str, kind: &str, body: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let mut request = server.http.post(server.url(path)).header("content-type", kind);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = soon("the answer", request.body(body.to_owned()).send()).await;
    let answer = answer.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("a text"))
}

/// The status of an upgrade signed with this.
async fn upgrade(server: &TestServer, signature: &str) -> u16 {
    let url = format!("ws://{}/voice/stream", server.address);
    let mut request = url.into_client_request().expect("a request");
    let header = signature.parse().expect("a header");
    request.headers_mut().insert(SIGNATURE, header);
    match soon("the upgrade", Box::pin(tokio_tungstenite::connect_async(request))).await {
        Ok((_, answer)) => answer.status().as_u16(),
        Err(tokio_tungstenite::tungstenite::Error::Http(answer)) => answer.status().as_u16(),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn every_webhook_wants_a_signature() {
    let server = TestServer::start(signed()).await;
    for path in WEBHOOKS {
        let fields = form("CA1");
        let good = sign(AUTH_TOKEN, &server.url(path), &fields);
        let elsewhere = sign(AUTH_TOKEN, &server.url("/voice/other"), &fields);
        let flipped = format!("{}{}", if good.starts_with('A') { 'B' } else { 'A' }, &good[1..]);
        let longer = format!("{good}AAAA");
        let wrong = ["", " ", "not base64", AUTH_TOKEN, &flipped, &longer, &elsewhere];
        for header in wrong {
            let answer = post(&server, path, FORM, &encoded(&fields), &[(SIGNATURE, header)]).await;
            assert_eq!(answer, (403, "forbidden".to_owned()), "{path} {header:?}");
        }
        assert_eq!(post(&server, path, FORM, &encoded(&fields), &[]).await.0, 403, "{path}");
        let body = encoded(&fields);
        for changed in [
            format!("{body}&Extra="),
            body.replace("CA1", "CA2"),
            body.replace("ringing", ""),
        ] {
            let answer = post(&server, path, FORM, &changed, &[(SIGNATURE, &good)]).await;
            assert_eq!(answer.0, 403, "{path} {changed}");
        }
        let (status, body) = post(&server, path, FORM, &body, &[(SIGNATURE, &good)]).await;
        assert!(matches!(status, 200 | 204), "{path}: {status} {body}");
    }
}

#[tokio::test]
async fn a_signed_form_whose_borders_were_moved_is_refused() {
    let server = TestServer::start(signed()).await;
    for (n, path) in WEBHOOKS.into_iter().enumerate() {
        let fields = form(&format!("CA5ea1e6d0c3b2a1908f7e6d5c4b3a29{n:02}"));
        let url = server.url(path);
        let signature = sign(AUTH_TOKEN, &url, &fields);
        for forged in with_moved_borders(&fields, "CallSid") {
            // The very signature, as if it had been overheard.
            assert_eq!(sign(AUTH_TOKEN, &url, &forged), signature, "{forged:?}");
            let answer = post(&server, path, FORM, &encoded(&forged), &[(SIGNATURE, &signature)]).await;
            assert_eq!(answer.0, 400, "{path} {forged:?}");
        }
        let answer = post(&server, path, FORM, &encoded(&fields), &[(SIGNATURE, &signature)]).await;
        assert!(matches!(answer.0, 200 | 204), "{path}: {answer:?}");
    }
    for (length, status) in [(40, 200), (41, 400)] {
        let fields = form(&"C".repeat(length));
        let answer = server.post("/voice/incoming", &fields, Some(AUTH_TOKEN)).await;
        assert_eq!(answer.0, status, "{length} characters");
    }
}

#[tokio::test]
async fn without_a_key_nobody_is_let_in() {
    let server = TestServer::start(account(None, None, Algorithm::Sha1)).await;
    for path in WEBHOOKS {
        let fields = form("CA1");
        for token in [None, Some("")] {
            assert_eq!(server.post(path, &fields, token).await.0, 403, "{path}");
        }
    }
    let stream = format!("ws://{}/voice/stream", server.address);
    assert_eq!(upgrade(&server, &sign("", &stream, &[])).await, 403);
    assert_eq!(server.app.registry.live(), 0);
}

#[tokio::test]
async fn two_keys_are_good_while_one_replaces_the_other() {
    let server = TestServer::start(account(Some("new-token"), Some(AUTH_TOKEN), Algorithm::Sha1)).await;
    let stream = format!("ws://{}/voice/stream", server.address);
    for (token, webhook, socket) in [("new-token", 200, 101), (AUTH_TOKEN, 200, 101), ("third", 403, 403)] {
        assert_eq!(
            server.post("/voice/incoming", &form("CA1"), Some(token)).await.0,
            webhook
        );
        assert_eq!(upgrade(&server, &sign(token, &stream, &[])).await, socket);
    }
}

#[tokio::test]
async fn the_algorithm_is_the_configured_one_whatever_the_request_says() {
    let path = "/voice/incoming";
    let settings = |algorithm: &str| format!("key=webhooks_sharedkey_1,algorithm={algorithm}");
    for pinned in [Algorithm::Sha1, Algorithm::Sha256] {
        let server = TestServer::start(account(Some(AUTH_TOKEN), None, pinned)).await;
        let (url, fields) = (server.url(path), form("CA1"));
        for used in [Algorithm::Sha1, Algorithm::Sha256] {
            let signature = sign_with(used, AUTH_TOKEN, &url, &fields);
            let names = ["HMAC_SHA1", "HMAC_SHA256", "HMAC_MD5", "none"];
            let said: Vec<Option<String>> = [None]
                .into_iter()
                .chain(names.map(|name| Some(settings(name))))
                .collect();
            for (n, said) in said.iter().enumerate() {
                let mut headers = vec![(SIGNATURE, signature.as_str())];
                headers.extend(said.as_deref().map(|said| (SETTINGS, said)));
                // Saying nothing means SHA-1.
                let says_pinned = if pinned == Algorithm::Sha1 { n < 2 } else { n == 2 };
                let expected = if used == pinned && says_pinned { 200 } else { 403 };
                let answer = post(&server, path, FORM, &encoded(&fields), &headers).await;
                assert_eq!(answer.0, expected, "{pinned:?} {used:?} {said:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_json_body_is_proved_by_its_hash_in_the_signed_url() {
    let server = TestServer::start(signed()).await;
    let body = format!(r#"{{"CallSid":"CA1","AccountSid":"{ACCOUNT}","CallStatus":"ringing","Odd":[1],"N":7}}"#);
    let hash = |body: &str| -> String { Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect() };
    let other = body.replace("ringing", "failed");
    let json = "application/json";
    for (path, sent, expected) in [
        (format!("/voice/status?bodySHA256={}", hash(&body)), &body, 204),
        (format!("/voice/status?bodySHA256={}", hash(&body)), &other, 403),
        (format!("/voice/status?bodySHA256={}", hash(&other)), &body, 403),
        ("/voice/status?bodySHA256=".to_owned(), &body, 403),
        ("/voice/status".to_owned(), &body, 403),
    ] {
        let signature = sign(AUTH_TOKEN, &server.url(&path), &[]);
        let answer = post(&server, &path, json, sent, &[(SIGNATURE, &signature)]).await;
        assert_eq!(answer.0, expected, "{path} {sent}");
    }
    assert_eq!(server.app.progress.status_of("CA1"), Some(CallStatus::Ringing));
    // A form is not read as anything else to get around its signature.
    let bare = sign(AUTH_TOKEN, &server.url("/voice/status"), &[]);
    let answer = post(
        &server,
        "/voice/status",
        "text/plain",
        &encoded(&form("CA1")),
        &[(SIGNATURE, &bare)],
    )
    .await;
    assert_eq!(answer.0, 403);
}

#[tokio::test]
async fn each_public_address_signs_and_is_answered_with() {
    let server = TestServer::start(Setup {
        public_url: Some("https://one.example.org"),
        also_public: &["https://two.example.org/phone", "http://10.0.0.5:8080"],
        ..signed()
    })
    .await;
    let path = "/voice/incoming";
    for (n, (base, stream)) in [
        ("https://one.example.org", "wss://one.example.org/voice/stream"),
        (
            "https://two.example.org/phone",
            "wss://two.example.org/phone/voice/stream",
        ),
        ("http://10.0.0.5:8080", "ws://10.0.0.5:8080/voice/stream"),
    ]
    .into_iter()
    .enumerate()
    {
        let fields = form(&format!("CA{n}"));
        let signature = sign(AUTH_TOKEN, &format!("{base}{path}"), &fields);
        let (status, twiml) = post(&server, path, FORM, &encoded(&fields), &[(SIGNATURE, &signature)]).await;
        assert_eq!(status, 200, "{base}");
        token_in(&twiml);
        for part in [
            format!("<Stream url=\"{stream}\" statusCallback=\"{base}/voice/stream-status\""),
            format!("<Connect action=\"{base}/voice/stream-ended\""),
            format!(">{base}/voice/fallback</Redirect>"),
        ] {
            assert!(twiml.contains(&part), "{part} is not in {twiml}");
        }
        assert_eq!(upgrade(&server, &sign(AUTH_TOKEN, stream, &[])).await, 101, "{stream}");
    }
    let fields = form("CA9");
    let signature = sign(AUTH_TOKEN, &format!("https://three.example.org{path}"), &fields);
    let host = ("host", "three.example.org");
    let headers = [(SIGNATURE, signature.as_str()), host, ("x-forwarded-host", host.1)];
    assert_eq!(post(&server, path, FORM, &encoded(&fields), &headers).await.0, 403);
}

#[tokio::test]
async fn an_upgrade_is_signed_over_its_wss_address_with_or_without_slash_and_port() {
    let server = TestServer::start(Setup {
        public_url: Some("https://voice.example.org"),
        ..signed()
    })
    .await;
    let urls = candidates("wss://voice.example.org/voice/stream");
    assert_eq!(urls.len(), 4);
    for url in &urls {
        assert_eq!(upgrade(&server, &sign(AUTH_TOKEN, url, &[])).await, 101, "{url}");
        assert_eq!(upgrade(&server, &sign("another", url, &[])).await, 403, "{url}");
    }
    for other in [
        "https://voice.example.org/voice/stream",
        "ws://voice.example.org/voice/stream",
        "wss://voice.example.org/voice",
    ] {
        assert_eq!(upgrade(&server, &sign(AUTH_TOKEN, other, &[])).await, 403, "{other}");
    }
    assert_eq!(upgrade(&server, "").await, 403);
}

#[tokio::test]
async fn a_wrong_signature_is_refused_before_the_database_is_asked() {
    let (store, _dir) = fresh_store().await;
    // From here on whatever asks it fails.
    store.close().await;
    let server = TestServer::start(Setup {
        store: Some(store),
        ..signed()
    })
    .await;
    let mut fields = form("CA1");
    fields.push(("AnsweredBy".to_owned(), "human".to_owned()));
    for path in ["/voice/status", "/voice/amd"] {
        assert_eq!(server.post(path, &fields, Some(AUTH_TOKEN)).await.0, 500, "{path}");
        for wrong in [None, Some("another")] {
            assert_eq!(server.post(path, &fields, wrong).await.0, 403, "{path}");
        }
    }
    // A caller is not turned away for it.
    let (status, twiml) = server.post("/voice/incoming", &fields, Some(AUTH_TOKEN)).await;
    assert_eq!(status, 200);
    token_in(&twiml);
}
