use std::collections::BTreeMap;

use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Vector {
    id: String,
    token: String,
    url: String,
    params: Option<BTreeMap<String, Vec<String>>>,
    raw_body: Option<String>,
    content_type: Option<String>,
    algorithm: Option<String>,
    sig: String,
}

impl Vector {
    fn pairs(&self) -> Vec<(String, String)> {
        match (&self.params, &self.raw_body) {
            (Some(params), _) => params
                .iter()
                .flat_map(|(name, values)| values.iter().map(|value| (name.clone(), value.clone())))
                .collect(),
            (None, Some(raw)) if self.content_type.is_none() => form_pairs(raw.as_bytes()),
            (None, _) => Vec::new(),
        }
    }

    fn algorithm(&self) -> Algorithm {
        let header = self.algorithm.as_ref().map(|name| format!("key=WK1,algorithm={name}"));
        Algorithm::from_settings(header.as_deref()).expect("known algorithm")
    }

    fn verifies(&self, pairs: &[(String, String)], url: &str, header: &str) -> bool {
        let body = match (&self.content_type, &self.raw_body) {
            (Some(_), Some(raw)) => Body::Raw(raw.as_bytes()),
            _ => Body::Form(pairs),
        };
        verify(&[&self.token], self.algorithm(), &[url.to_owned()], body, header)
    }
}

fn vectors() -> Vec<Vector> {
    serde_json::from_str(include_str!("../../tests/data/twilio_vectors.json")).expect("vectors")
}

fn vector(prefix: &str) -> Vector {
    vectors()
        .into_iter()
        .find(|vector| vector.id.starts_with(prefix))
        .expect("vector")
}

#[test]
fn every_vector_verifies() {
    assert_eq!(vectors().len(), 11);
    for vector in vectors() {
        assert!(
            vector.verifies(&vector.pairs(), &vector.url, &vector.sig),
            "{}",
            vector.id
        );
        if vector.algorithm() == Algorithm::Sha1 {
            assert_eq!(
                sign(&vector.token, &vector.url, &vector.pairs()),
                vector.sig,
                "{}",
                vector.id
            );
        }
    }
}

#[test]
fn every_changed_signature_is_refused() {
    for vector in vectors() {
        let mut raw = BASE64.decode(&vector.sig).expect("base64");
        raw[3] ^= 1;
        let mut longer = BASE64.decode(&vector.sig).expect("base64");
        longer.resize(33, 0);
        let short = BASE64.encode(&longer[..19]);
        for header in [&BASE64.encode(raw), "", "not base64!", &BASE64.encode(longer), &short] {
            assert!(
                !vector.verifies(&vector.pairs(), &vector.url, header),
                "{} {header}",
                vector.id
            );
        }
    }
}

#[test]
fn every_changed_request_is_refused() {
    for vector in vectors().into_iter().filter(|vector| vector.content_type.is_none()) {
        let pairs = vector.pairs();
        let mut more = pairs.clone();
        more.push(("Extra".to_owned(), String::new()));
        assert!(
            !vector.verifies(&more, &vector.url, &vector.sig),
            "{}: added",
            vector.id
        );
        for left_out in 0..pairs.len() {
            let (name, value) = &pairs[left_out];
            let mut fewer = pairs.clone();
            fewer.retain(|pair| pair != &(name.clone(), value.clone()));
            assert!(
                !vector.verifies(&fewer, &vector.url, &vector.sig),
                "{}: no {name}",
                vector.id
            );
        }
        let elsewhere = vector.url.replace("example", "exbmple");
        assert!(!vector.verifies(&pairs, &elsewhere, &vector.sig), "{}: host", vector.id);
        let other_token = format!("{}0", vector.token);
        let body = Body::Form(&pairs);
        assert!(!verify(
            &[&other_token],
            vector.algorithm(),
            std::slice::from_ref(&vector.url),
            body,
            &vector.sig
        ));
    }
}

#[test]
fn values_are_decoded_once_and_never_trimmed() {
    let spaced = vector("V2");
    let mut pairs = spaced.pairs();
    for (_, value) in &mut pairs {
        *value = value.trim().to_owned();
    }
    assert!(!spaced.verifies(&pairs, &spaced.url, &spaced.sig));

    let token = vector("V1");
    let mut pairs = token.pairs();
    let inner = pairs
        .iter_mut()
        .find(|(name, _)| name == "CallToken")
        .expect("CallToken");
    let twice = form_pairs(format!("x={}", inner.1).as_bytes());
    inner.1 = twice[0].1.clone();
    assert!(!token.verifies(&pairs, &token.url, &token.sig));
}

#[test]
fn a_raw_body_needs_its_hash_in_the_url() {
    let json = vector("V4");
    let (token, url) = ([json.token.as_str()], [json.url.clone()]);
    let body = json.raw_body.as_deref().expect("body").as_bytes();
    assert!(verify(&token, Algorithm::Sha1, &url, Body::Raw(body), &json.sig));
    assert!(!verify(&token, Algorithm::Sha1, &url, Body::Raw(b"{}"), &json.sig));
    assert!(!verify(&token, Algorithm::Sha1, &url, Body::Raw(b""), &json.sig));

    let bare = ["https://voice.example.org/twilio/events".to_owned()];
    let signature = sign(&json.token, &bare[0], &[]);
    assert!(!verify(&token, Algorithm::Sha1, &bare, Body::Raw(body), &signature));
    assert!(verify(&token, Algorithm::Sha1, &bare, Body::Raw(b""), &signature));
}

#[test]
fn the_algorithm_is_the_callers_choice() {
    let v8 = vector("V8");
    let pairs = v8.pairs();
    assert!(!verify(
        &[&v8.token],
        Algorithm::Sha1,
        std::slice::from_ref(&v8.url),
        Body::Form(&pairs),
        &v8.sig
    ));
    assert_eq!(Algorithm::from_settings(None), Some(Algorithm::Sha1));
    assert_eq!(Algorithm::from_settings(Some("")), Some(Algorithm::Sha1));
    assert_eq!(
        Algorithm::from_settings(Some("key=a, algorithm=HMAC_SHA256")),
        Some(Algorithm::Sha256)
    );
    assert_eq!(Algorithm::from_settings(Some("algorithm=HMAC_MD5")), None);
}

#[test]
fn tokens_rotate_and_an_empty_one_opens_nothing() {
    let v7 = vector("V7");
    let urls = [v7.url.clone()];
    assert!(verify(&["new", &v7.token], Algorithm::Sha1, &urls, Body::None, &v7.sig));
    assert!(!verify(&[], Algorithm::Sha1, &urls, Body::None, &v7.sig));
    assert!(!verify(
        &[""],
        Algorithm::Sha1,
        &urls,
        Body::None,
        &sign("", &v7.url, &[])
    ));
    assert!(!verify(&[&v7.token], Algorithm::Sha1, &[], Body::None, &v7.sig));
}

#[test]
fn an_upgrade_is_tried_with_and_without_slash_and_port() {
    let expected = [
        "wss://h/media",
        "wss://h/media/",
        "wss://h:443/media",
        "wss://h:443/media/",
    ];
    assert_eq!(candidates("wss://h/media"), expected);
    assert_eq!(
        candidates("ws://u:p@h:8080/m/#rc=2"),
        ["ws://h:8080/m/", "ws://h:8080/m", "ws://h/m/", "ws://h/m"]
    );
    assert_eq!(
        candidates("https://h:8443/v?a=%20"),
        ["https://h:8443/v?a=%20", "https://h/v?a=%20"]
    );
    assert_eq!(candidates("http://[::1]/v"), ["http://[::1]/v", "http://[::1]:80/v"]);
    assert_eq!(candidates("nonsense"), ["nonsense"]);

    let slashed = vector("V3b");
    let urls = candidates("wss://voice.example.org/twilio/media");
    assert!(verify(
        &[&slashed.token],
        Algorithm::Sha1,
        &urls,
        Body::None,
        &slashed.sig
    ));
    let https = candidates("https://voice.example.org/twilio/media");
    assert!(!verify(
        &[&slashed.token],
        Algorithm::Sha1,
        &https,
        Body::None,
        &slashed.sig
    ));
    assert!(!verify(
        &[&slashed.token],
        Algorithm::Sha1,
        &https,
        Body::None,
        &vector("V3-").sig
    ));
}
