use super::*;

/// A signature that Twilio's own library made (twilio 9.13.0, and V0 from its documentation).
struct Vector {
    id: &'static str,
    token: &'static str,
    url: &'static str,
    sent: Sent,
    algorithm: Algorithm,
    signature: &'static str,
}

#[derive(Clone, Copy)]
enum Sent {
    Form(&'static str),
    Json(&'static str),
}

impl Vector {
    fn pairs(&self) -> Vec<(String, String)> {
        match self.sent {
            Sent::Form(body) => form_pairs(body.as_bytes()),
            Sent::Json(_) => Vec::new(),
        }
    }

    fn verifies(&self, pairs: &[(String, String)], url: &str, header: &str) -> bool {
        let body = match self.sent {
            Sent::Form(_) => Body::Form(pairs),
            Sent::Json(body) => Body::Raw(body.as_bytes()),
        };
        verify(&[self.token], self.algorithm, &[url.to_owned()], body, header)
    }
}

fn vector(prefix: &str) -> &'static Vector {
    let found = VECTORS.iter().find(|vector| vector.id.starts_with(prefix));
    found.expect("vector")
}

#[test]
fn every_vector_verifies() {
    assert_eq!(VECTORS.len(), 11);
    for vector in VECTORS {
        let (id, pairs) = (vector.id, vector.pairs());
        assert!(vector.verifies(&pairs, vector.url, vector.signature), "{id}");
        let signed = sign_with(vector.algorithm, vector.token, vector.url, &pairs);
        assert_eq!(signed, vector.signature, "{id}");
    }
    assert_ne!(
        vector("V3-").signature,
        vector("V3c").signature,
        "the scheme is signed too"
    );
}

#[test]
fn every_changed_signature_is_refused() {
    for vector in VECTORS {
        let mut raw = BASE64.decode(vector.signature).expect("base64");
        raw[3] ^= 1;
        let mut longer = BASE64.decode(vector.signature).expect("base64");
        longer.resize(33, 0);
        let short = BASE64.encode(&longer[..19]);
        for header in [&BASE64.encode(raw), "", "not base64!", &BASE64.encode(longer), &short] {
            assert!(
                !vector.verifies(&vector.pairs(), vector.url, header),
                "{} {header}",
                vector.id
            );
        }
    }
}

#[test]
fn every_changed_request_is_refused() {
    for vector in VECTORS.iter().filter(|vector| matches!(vector.sent, Sent::Form(_))) {
        let pairs = vector.pairs();
        let mut more = pairs.clone();
        more.push(("Extra".to_owned(), String::new()));
        assert!(
            !vector.verifies(&more, vector.url, vector.signature),
            "{}: added",
            vector.id
        );
        for left_out in 0..pairs.len() {
            let (name, value) = &pairs[left_out];
            let mut fewer = pairs.clone();
            fewer.retain(|pair| pair != &(name.clone(), value.clone()));
            assert!(
                !vector.verifies(&fewer, vector.url, vector.signature),
                "{}: no {name}",
                vector.id
            );
        }
        let elsewhere = vector.url.replace("example", "exbmple");
        assert!(
            !vector.verifies(&pairs, &elsewhere, vector.signature),
            "{}: host",
            vector.id
        );
        let other_token = format!("{}0", vector.token);
        let body = Body::Form(&pairs);
        let urls = [vector.url.to_owned()];
        assert!(!verify(
            &[&other_token],
            vector.algorithm,
            &urls,
            body,
            vector.signature
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
    assert!(!spaced.verifies(&pairs, spaced.url, spaced.signature));

    let token = vector("V1");
    let mut pairs = token.pairs();
    let inner = pairs
        .iter_mut()
        .find(|(name, _)| name == "CallToken")
        .expect("CallToken");
    let twice = form_pairs(format!("x={}", inner.1).as_bytes());
    inner.1 = twice[0].1.clone();
    assert!(!token.verifies(&pairs, token.url, token.signature));
}

#[test]
fn a_raw_body_needs_its_hash_in_the_url() {
    let json = vector("V4");
    let (token, url) = ([json.token], [json.url.to_owned()]);
    let Sent::Json(body) = json.sent else {
        panic!("a JSON body")
    };
    let body = body.as_bytes();
    assert!(verify(&token, Algorithm::Sha1, &url, Body::Raw(body), json.signature));
    assert!(!verify(&token, Algorithm::Sha1, &url, Body::Raw(b"{}"), json.signature));
    assert!(!verify(&token, Algorithm::Sha1, &url, Body::Raw(b""), json.signature));

    let bare = ["https://voice.example.org/twilio/events".to_owned()];
    let signature = sign(json.token, &bare[0], &[]);
    assert!(!verify(&token, Algorithm::Sha1, &bare, Body::Raw(body), &signature));
    assert!(verify(&token, Algorithm::Sha1, &bare, Body::Raw(b""), &signature));
}

#[test]
fn the_algorithm_is_the_callers_choice() {
    let v8 = vector("V8");
    let pairs = v8.pairs();
    let (keys, urls, body) = ([v8.token], [v8.url.to_owned()], Body::Form(&pairs));
    assert!(verify(&keys, Algorithm::Sha256, &urls, body, v8.signature));
    assert!(!verify(&keys, Algorithm::Sha1, &urls, body, v8.signature));
    let sha1 = sign(v8.token, v8.url, &pairs);
    assert!(!verify(&keys, Algorithm::Sha256, &urls, body, &sha1));
    assert_eq!(Algorithm::from_settings(None), Some(Algorithm::Sha1));
    assert_eq!(Algorithm::from_settings(Some("")), Some(Algorithm::Sha1));
    assert_eq!(
        Algorithm::from_settings(Some("key=a, algorithm=HMAC_SHA256")),
        Some(Algorithm::Sha256)
    );
    for unknown in ["algorithm=HMAC_MD5", "key=k,algorithm=none", "algorithm=HMAC_SHA256;"] {
        assert_eq!(Algorithm::from_settings(Some(unknown)), None, "{unknown}");
    }
}

#[test]
fn tokens_rotate_and_an_empty_one_opens_nothing() {
    let v7 = vector("V7");
    let urls = [v7.url.to_owned()];
    let opens = |tokens: &[&str], signature: &str| verify(tokens, Algorithm::Sha1, &urls, Body::None, signature);
    assert!(opens(&["new", v7.token], v7.signature) && opens(&[v7.token, "new"], v7.signature));
    assert!(!opens(&["new"], v7.signature));
    assert!(!opens(&[], v7.signature));
    assert!(!opens(&[""], &sign("", v7.url, &[])));
    assert!(!verify(&[v7.token], Algorithm::Sha1, &[], Body::None, v7.signature));
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

    let token = [vector("V3-").token];
    let opens = |url: &str, signature: &str| {
        let urls = candidates(url);
        verify(&token, Algorithm::Sha1, &urls, Body::None, signature)
    };
    let upgrade = "wss://voice.example.org/twilio/media";
    for signed in [
        upgrade,
        "wss://voice.example.org/twilio/media/",
        "wss://voice.example.org:443/twilio/media",
        "wss://voice.example.org:443/twilio/media/",
    ] {
        assert!(opens(upgrade, &sign(token[0], signed, &[])), "{signed}");
    }
    assert!(opens(upgrade, vector("V3-").signature) && opens(upgrade, vector("V3b").signature));
    for other in [
        "https://voice.example.org/twilio/media",
        "wss://voice.example.org:80/twilio/media",
        "wss://voice.example.org/twilio/media//",
        "wss://voice.example.org/twilio/media?a=1",
        "wss://VOICE.example.org/twilio/media",
    ] {
        assert!(!opens(upgrade, &sign(token[0], other, &[])), "{other}");
    }
    assert!(!opens(
        "https://voice.example.org/twilio/media",
        vector("V3-").signature
    ));
}

const TOKEN: &str = "2f7c1a90b4e3d6587f0e9a1b2c3d4e5f";

const fn sha1(id: &'static str, url: &'static str, sent: Sent, signature: &'static str) -> Vector {
    Vector {
        id,
        token: TOKEN,
        url,
        sent,
        algorithm: Algorithm::Sha1,
        signature,
    }
}

const VECTORS: &[Vector] = &[
    Vector {
        token: "12345",
        ..sha1(
            "V0: the documentation's",
            "https://example.com/myapp.php?foo=1&bar=2",
            Sent::Form(
                "CallSid=CA1234567890ABCDE&Caller=%2B14158675310&Digits=1234&From=%2B14158675310&To=%2B18005551212",
            ),
            "L/OH5YylLD5NRKLltdqwSvS0BnU=",
        )
    },
    sha1(
        "V1: an incoming call",
        "https://voice.example.org/twilio/voice",
        Sent::Form(
            "AccountSid=ACffeeddccbbaa99887766554433221100&ApiVersion=2010-04-01&\
             CallSid=CA00112233445566778899aabbccddeeff&CallStatus=ringing&\
             CallToken=%257B%2522parentCallInfoToken%2522%253A%2522eyJ%2522%257D&Called=%2B15551239999&CalledCity=&\
             Caller=%2B15551230001&Direction=inbound&From=%2B15551230001&FromCity=S%C3%83O+PAULO&\
             StirVerstat=TN-Validation-Passed-A&To=%2B15551239999",
        ),
        "ZwCx+g3wk65YtLzi1JHgfsL+Lu0=",
    ),
    sha1(
        "V2: query, form and outer spaces",
        "https://voice.example.org/twilio/action?call=CA00112233445566778899aabbccddeeff&step=2",
        Sent::Form("CallSid=CA00112233445566778899aabbccddeeff&Digits=1&SpeechResult=++hello+%26+welcome++"),
        "fx8Moi9ImVCkw/FVrvBRM8r8EYM=",
    ),
    sha1(
        "V3-upgrade",
        "wss://voice.example.org/twilio/media",
        Sent::Form(""),
        "DFXUem53IjrPyfy+d36azqOLaAQ=",
    ),
    sha1(
        "V3b: upgrade with a slash",
        "wss://voice.example.org/twilio/media/",
        Sent::Form(""),
        "a9bqPYoeWtGgLlWVwDZJMqFyJhE=",
    ),
    sha1(
        "V3c: no upgrade",
        "https://voice.example.org/twilio/media",
        Sent::Form(""),
        "R4MHTDXLFSr/TPA0de3dr8jOHMk=",
    ),
    sha1(
        "V4: JSON",
        "https://voice.example.org/twilio/events?bodySHA256=07a3be48bbbf01befa11c8ae8165ad7bcaf04d69e1269a55f9c0fa7009cfdf56",
        Sent::Json("{\"CallSid\":\"CA00112233445566778899aabbccddeeff\",\"event\":\"x\"}"),
        "Oclilutt1fSYxm6zRgG9EUk8dwI=",
    ),
    sha1(
        "V5: one name, several values",
        "https://voice.example.org/twilio/voice",
        Sent::Form("CallSid=CA1&MediaUrl=https://b&MediaUrl=https://a&MediaUrl=https://b"),
        "osi6e0sIKBagH082pvuFlPqJNb0=",
    ),
    sha1(
        "V6: capitals come first",
        "https://voice.example.org/twilio/voice",
        Sent::Form("b=1&B=2&a=3"),
        "pPgLemmDiAdoWytIJr7vlcicBRQ=",
    ),
    sha1(
        "V7: a GET with an escape",
        "https://voice.example.org/twilio/status?tenant=a%20b&k=1",
        Sent::Form(""),
        "sdgpVYyOuZzCbcNBY04W7BMAPY0=",
    ),
    Vector {
        algorithm: Algorithm::Sha256,
        ..sha1(
            "V8: a shared key",
            "https://voice.example.org/twilio/voice",
            Sent::Form("CallSid=CA1"),
            "h1Bkb80rob/v51/qkvCV1DnbxEmCvnfwuXoAZwjVNhU=",
        )
    },
];
