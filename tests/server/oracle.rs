//! Twilio's own Python library agrees with ours, on random requests and on every TwiML document. `scripts/twilio_oracle.sh`
//! installs it and runs this.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tieline::twilio::signature::{Algorithm, Body, candidates, form_pairs, sign_with, verify};
use tieline::twilio::twiml;

/// Twilio's library in a process of its own.
struct Oracle {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Oracle {
    fn start() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python = root.join(".cache/venv-twilio/bin/python");
        assert!(python.exists(), "run scripts/twilio_oracle.sh");
        let mut child = Command::new(python)
            .arg(root.join("tests/server/oracle.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python starts");
        Self {
            questions: child.stdin.take().expect("piped"),
            answers: BufReader::new(child.stdout.take().expect("piped")),
            child,
        }
    }

    fn ask(&mut self, question: &Value) -> Value {
        writeln!(self.questions, "{question}").expect("it listens");
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("readable");
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("no answer to {question}"))
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A request as it arrives.
#[derive(Debug, Clone)]
struct Request {
    token: String,
    url: String,
    body: String,
    json: bool,
    settings: Option<&'static str>,
}

impl Request {
    fn random(random: &mut StdRng) -> Self {
        let json = random.random_bool(0.15);
        let mut url = random_url(random);
        let body = if json { text(random, 60) } else { random_form(random) };
        if json {
            let hashed = if random.random_bool(0.7) {
                body.clone()
            } else {
                text(random, 9)
            };
            let hash: String = Sha256::digest(hashed)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            let hash = if random.random_bool(0.1) {
                hash.to_uppercase()
            } else {
                hash
            };
            url.push_str(if url.contains('?') { "&" } else { "?" });
            url.push_str(&format!("bodySHA256={hash}"));
        }
        Self {
            token: text(random, 20) + "t",
            url,
            body,
            json,
            settings: SETTINGS.choose(random).copied().flatten(),
        }
    }

    /// One that differs in something, and perhaps means the same all the same.
    fn changed(&self, random: &mut StdRng) -> Self {
        let mut other = self.clone();
        match random.random_range(0..7) {
            0 => other.token.push('x'),
            1 => other.url = with_other_port(&self.url, random),
            2 => other.url.push(if self.url.contains('?') { '&' } else { '/' }),
            3 => other.body.push_str("&Extra="),
            4 => other.body = self.body.rsplit_once('&').map_or("", |(most, _)| most).to_owned(),
            // The order and the repetition of what is there already do not matter.
            5 if !self.json => {
                let last = self.body.rsplit('&').next().unwrap_or_default();
                other.body = format!("{last}&{}", self.body);
            }
            _ => other.settings = SETTINGS.choose(random).copied().flatten(),
        }
        other
    }

    fn question(&self, ask: &str, signature: &str) -> Value {
        json!({"ask": ask, "token": self.token, "url": self.url, "body": self.body, "json": self.json,
               "settings": self.settings, "signature": signature})
    }

    fn sign(&self) -> Option<String> {
        let pairs = if self.json {
            Vec::new()
        } else {
            form_pairs(self.body.as_bytes())
        };
        let algorithm = Algorithm::from_settings(self.settings)?;
        Some(sign_with(algorithm, &self.token, &self.url, &pairs))
    }

    fn verifies(&self, signature: &str) -> bool {
        let pairs = form_pairs(self.body.as_bytes());
        let body = if self.json {
            Body::Raw(self.body.as_bytes())
        } else {
            Body::Form(&pairs)
        };
        let urls = candidates(&self.url);
        Algorithm::from_settings(self.settings)
            .is_some_and(|algorithm| verify(&[&self.token], algorithm, &urls, body, signature))
    }
}

#[test]
#[ignore = "wants Twilio's Python library: scripts/twilio_oracle.sh"]
fn signatures_agree_on_a_thousand_random_requests() {
    let (mut oracle, mut random) = (Oracle::start(), StdRng::seed_from_u64(SEED));
    let (mut signed, mut valid, mut invalid) = (0, 0, 0);
    for n in 1..=REQUESTS {
        let request = Request::random(&mut random);
        let ours = request.sign();
        if let Some(ours) = ours.as_deref().filter(|_| !request.json) {
            assert_eq!(oracle.ask(&request.question("sign", "")), ours, "{request:?}");
            signed += 1;
        }
        let signature = ours.unwrap_or_else(|| "MDEyMzQ1Njc4OTAxMjM0NTY3ODk=".to_owned());
        let flipped = format!(
            "{}{}",
            if signature.starts_with('A') { 'B' } else { 'A' },
            &signature[1..]
        );
        let changed = request.changed(&mut random);
        for (arrived, signature) in [(&request, &signature), (&request, &flipped), (&changed, &signature)] {
            let theirs = oracle.ask(&arrived.question("validate", signature));
            let theirs = theirs.as_bool().expect("a truth value");
            assert_eq!(arrived.verifies(signature), theirs, "{arrived:?} signed {request:?}");
            if theirs { valid += 1 } else { invalid += 1 }
        }
        if n % 250 == 0 {
            println!("oracle: {n} of {REQUESTS} requests agree, {signed} signed, {valid} valid, {invalid} invalid");
        }
    }
    assert!(
        signed > 500 && valid > 500 && invalid > 500,
        "{signed} {valid} {invalid}"
    );
}

#[test]
#[ignore = "wants Twilio's Python library: scripts/twilio_oracle.sh"]
fn twiml_is_what_twilios_library_writes() {
    let (mut oracle, mut random) = (Oracle::start(), StdRng::seed_from_u64(SEED));
    let mut same = |question: Value, ours: &str| {
        let theirs = oracle.ask(&question);
        let theirs = theirs.as_str().expect("a document");
        assert_eq!(Element::read(ours), Element::read(theirs), "{ours}\n{theirs}");
    };
    same(json!({"ask": "hangup"}), &twiml::hangup());
    same(json!({"ask": "reject"}), &twiml::reject_busy());
    for _ in 0..DOCUMENTS {
        let said = text(&mut random, 40);
        same(json!({"ask": "say", "text": said}), &twiml::say_and_hangup(&said));
        let urls: Vec<String> = (0..4).map(|_| random_url(&mut random)).collect();
        let parameters: Vec<(String, String)> = (0..random.random_range(0..4))
            .map(|n| (format!("p{n}{}", text(&mut random, 9)), text(&mut random, 40) + "\t\n"))
            .collect();
        let parameters: Vec<(&str, &str)> = parameters
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let connect = twiml::Connect {
            stream: &urls[0],
            parameters: &parameters,
            action: random.random_bool(0.7).then_some(urls[1].as_str()),
            status_callback: random.random_bool(0.7).then_some(urls[2].as_str()),
            fallback: &urls[3],
        };
        let ours = twiml::connect_stream(&connect).expect("a document");
        let question = json!({"ask": "connect", "stream": connect.stream, "parameters": parameters, "action": connect.action,
            "status_callback": connect.status_callback, "fallback": connect.fallback});
        same(question, &ours);
    }
    println!("oracle: {DOCUMENTS} documents of each kind are the same XML");
}

/// An XML element without what does not matter: the order of attributes, how a character is written.
#[derive(Debug, PartialEq, Eq)]
struct Element {
    name: String,
    attributes: BTreeMap<String, String>,
    text: String,
    children: Vec<Self>,
}

impl Element {
    fn read(xml: &str) -> Self {
        let document = roxmltree::Document::parse(xml).expect("XML");
        Self::of(document.root_element())
    }

    fn of(node: roxmltree::Node<'_, '_>) -> Self {
        let attributes = node.attributes();
        Self {
            name: node.tag_name().name().to_owned(),
            attributes: attributes
                .map(|a| (a.name().to_owned(), a.value().to_owned()))
                .collect(),
            text: node.text().unwrap_or_default().to_owned(),
            children: node
                .children()
                .filter(roxmltree::Node::is_element)
                .map(Self::of)
                .collect(),
        }
    }
}

fn random_url(random: &mut StdRng) -> String {
    let scheme = ["https", "https", "http"].choose(random).expect("one");
    let host = [
        "voice.example.org",
        "Voice.Example.ORG",
        "xn--bcher-kva.example",
        "10.0.0.5",
        "localhost",
    ];
    let port = ["", "", ":443", ":80", ":8443"].choose(random).expect("one");
    let mut url = format!("{scheme}://{}{port}", host.choose(random).expect("one"));
    for _ in 0..random.random_range(0..4) {
        url.push('/');
        url.push_str(PATHS.choose(random).expect("one"));
    }
    if random.random_bool(0.5) {
        let query: Vec<&str> = QUERIES.choose_multiple(random, 3).copied().collect();
        url.push_str("/?");
        url.push_str(&query.join("&"));
    }
    url
}

/// The same URL with, without or with another port.
fn with_other_port(url: &str, random: &mut StdRng) -> String {
    let (scheme, rest) = url.split_once("://").expect("a URL");
    let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let host = authority.split(':').next().expect("a host");
    let port = ["", ":443", ":80", ":8443", ":1"].choose(random).expect("one");
    format!("{scheme}://{host}{port}{rest}")
}

/// A form as it is sent: names twice and in both cases, empty values, every kind of character.
fn random_form(random: &mut StdRng) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    for _ in 0..random.random_range(0..12) {
        let name = if random.random_bool(0.7) {
            (*NAMES.choose(random).expect("one")).to_owned()
        } else {
            text(random, 6)
        };
        form.append_pair(&name, &text(random, 12));
    }
    form.finish()
}

/// Up to so many characters that break careless code, and that XML can hold.
fn text(random: &mut StdRng, most: usize) -> String {
    let length = random.random_range(0..=most);
    (0..length)
        .map(|_| match random.random_range(0..10) {
            0..=4 => char::from(random.random_range(b'!'..=b'~')),
            5 => ' ',
            6 => *['é', 'ß', 'Ã', 'İ', '\u{301}', '\u{a0}', '\u{ad}']
                .choose(random)
                .expect("one"),
            7 => *['漢', '한', 'ع', '\u{200d}', '\u{202e}', '\u{feff}', '\u{fffd}']
                .choose(random)
                .expect("one"),
            8 => *['😀', '𝄞', '👩', '\u{10fffd}'].choose(random).expect("one"),
            _ => *['&', '=', '+', '%', '"', '\'', '<', '>', ';', '#']
                .choose(random)
                .expect("one"),
        })
        .collect()
}

const SEED: u64 = 5;
const REQUESTS: u32 = 1_000;
const DOCUMENTS: u32 = 200;
const SETTINGS: [Option<&str>; 12] = [
    None,
    None,
    None,
    Some(""),
    Some("key=webhooks_sharedkey_1"),
    Some("key=webhooks_sharedkey_1,algorithm=HMAC_SHA1"),
    Some("key=webhooks_sharedkey_1,algorithm=HMAC_SHA256"),
    Some("algorithm=HMAC_SHA256"),
    Some(" algorithm = hmac_sha256 ,key=1"),
    Some("algorithm=,algorithm=HMAC_SHA256"),
    Some("algorithm=HMAC_MD5"),
    Some("xalgorithm=HMAC_SHA256"),
];
const PATHS: [&str; 8] = [
    "voice",
    "incoming",
    "a%20b",
    "%C3%A9",
    "~x_y-z.php",
    "a+b",
    "%2F",
    "caf\u{e9}",
];
const QUERIES: [&str; 8] = [
    "a=1",
    "b=%26",
    "c=",
    "d",
    "e=x+y",
    "A=2",
    "f=%E2%82%AC",
    "g=https://h/p?q=1",
];
const NAMES: [&str; 10] = [
    "CallSid",
    "callsid",
    "CALLSID",
    "Caller",
    "Called",
    "CallToken",
    "From",
    "MediaUrl",
    "B",
    "a",
];
