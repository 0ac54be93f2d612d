//! The egress guard on real sockets: names that lead elsewhere in the middle, addresses in URLs, redirects, proxies.
//!
//! 203.0.113.0/24 is for documentation (RFC 5737): nobody is there, and the guard must see to it that nobody is asked.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde_json::json;
use tieline::config::Llm;
use tieline::dialog::llm::{LlmClient, LlmError};
use tieline::dialog::tool::http::HttpTools;
use tieline::dialog::tool::{ToolCall, ToolResult};
use tieline::privacy::egress::{Egress, Mode, Names, Policy, Purpose, Redirects, refusal};
use tieline::twilio::rest::{CallUpdate, Carrier as _, CarrierError, RestSettings, TwilioRest};

use crate::llm_calls::{chunk, reply};
use crate::script::{Answer, Server, soon};

/// A resolver that answers with the next list; the last one stays.
#[derive(Clone, Default)]
struct Resolver {
    answers: Arc<Mutex<VecDeque<Vec<IpAddr>>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Resolver {
    fn telling(answers: &[&[&str]]) -> Self {
        let list = |addresses: &&[&str]| addresses.iter().map(|one| one.parse().expect("an address")).collect();
        let answers = answers.iter().map(list).collect();
        Self {
            answers: Arc::new(Mutex::new(answers)),
            asked: Arc::default(),
        }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no panic under the lock").clone()
    }
}

impl Names for Resolver {
    fn look_up<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        self.asked
            .lock()
            .expect("no panic under the lock")
            .push(name.to_owned());
        let mut answers = self.answers.lock().expect("no panic under the lock");
        let next = if answers.len() > 1 {
            answers.pop_front()
        } else {
            answers.front().cloned()
        };
        std::future::ready(Ok(next.unwrap_or_default())).boxed()
    }
}

fn client(url: &str, egress: &Egress) -> LlmClient {
    let settings = Llm {
        base_url: Some(url.to_owned()),
        api_key: None,
        model: "fake".to_owned(),
        temperature: 0.5,
        max_tokens: 50,
        redact: false,
    };
    LlmClient::new(&settings, egress)
        .expect("a client")
        .expect("an endpoint")
}

fn counted(egress: &Egress, purpose: Purpose) -> (u64, u64) {
    let count = egress.counts().into_iter().find(|count| count.purpose == purpose);
    let count = count.expect("every purpose is counted");
    (count.allowed, count.refused)
}

fn sentence() -> Answer {
    let text = chunk(&json!({"content": "Good morning."}), &json!("stop"));
    Answer::stream(&format!("{text}data: [DONE]\n\n"))
}

async fn unreachable(client: &LlmClient) -> String {
    let told = reply(client).await;
    let [Err(LlmError::Unreachable(reason))] = &told[..] else {
        panic!("not refused: {told:?}")
    };
    reason.clone()
}

#[tokio::test]
async fn an_llm_whose_name_leads_home_first_and_outside_then_is_refused() {
    let server = Server::start([sentence(), sentence()]).await;
    let names = Resolver::telling(&[&["127.0.0.1"], &["203.0.113.9"]]);
    let egress = Egress::with_names(Policy::default(), names.clone());
    let client = client(&format!("http://llm.example.org:{}/v1", server.address.port()), &egress);
    let told = reply(&client).await;
    assert!(told.iter().all(Result::is_ok) && told.len() == 2, "{told:?}");
    // The server closes after each answer, so that the next request is another connection.
    let reason = unreachable(&client).await;
    assert_eq!(
        reason,
        "llm.example.org is not contacted: it is at 203.0.113.9, a public address, and PRIVACY is on-prem"
    );
    assert_eq!(server.asked().len(), 1);
    assert!(names.asked().iter().all(|name| name == "llm.example.org"));
    let (allowed, refused) = counted(&egress, Purpose::Llm);
    assert!(allowed == 1 && refused >= 1, "{allowed} {refused}");
}

#[tokio::test]
async fn a_name_with_an_address_at_home_is_reached_there_and_nowhere_else() {
    let server = Server::start([sentence()]).await;
    let names = Resolver::telling(&[&["203.0.113.9", "2001:db8::9", "127.0.0.1"]]);
    let egress = Egress::with_names(Policy::default(), names);
    let client = client(&format!("http://llm.example.org:{}/v1", server.address.port()), &egress);
    let told = reply(&client).await;
    assert!(told.iter().all(Result::is_ok), "{told:?}");
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn addresses_in_urls_are_judged_before_they_are_connected_to() {
    for (url, part) in [
        ("https://203.0.113.9/v1", "a public address"),
        ("http://203.0.113.9/v1", "a public address"),
        ("https://[2001:db8::1]/v1", "a public address"),
        ("https://[::ffff:203.0.113.9]/v1", "a public address"),
        ("http://0xcb007109/v1", "203.0.113.9"),
        ("http://169.254.169.254/v1", "link-local"),
        ("http://0.0.0.0/v1", "unspecified"),
    ] {
        let egress = Egress::default();
        let reason = unreachable(&client(url, &egress)).await;
        assert!(
            reason.contains("is not contacted") && reason.contains(part),
            "{url}: {reason}"
        );
        assert_eq!(counted(&egress, Purpose::Llm).0, 0, "{url}");
    }
    let server = Server::start([sentence()]).await;
    let egress = Egress::default();
    let told = reply(&client(&format!("http://{}/v1", server.address), &egress)).await;
    assert!(told.iter().all(Result::is_ok), "{told:?}");
    assert_eq!(counted(&egress, Purpose::Llm), (1, 0));
}

#[tokio::test]
async fn the_cloud_is_not_contacted_in_the_clear() {
    let policy = Policy {
        mode: Mode::CloudLlm,
        allow: Vec::new(),
    };
    let egress = Egress::with_names(policy, Resolver::telling(&[&["203.0.113.9"]]));
    let reason = unreachable(&client("http://llm.example.org/v1", &egress)).await;
    assert!(reason.contains("without encryption"), "{reason}");
}

#[tokio::test]
async fn a_tool_whose_name_was_rebound_fails_once() {
    #[derive(serde::Deserialize)]
    struct File {
        tools: Vec<tieline::dialog::tool::spec::HttpToolSpec>,
    }
    let server = Server::start([Answer::json(200, &json!({"plan": "gold"}))]).await;
    let names = Resolver::telling(&[&["127.0.0.1"], &["203.0.113.9"]]);
    let egress = Egress::with_names(Policy::default(), names.clone());
    let file = format!(
        "[[tools]]\nname = \"find\"\ndescription = \"x\"\nurl = \"http://crm.example.org:{}/m\"\n",
        server.address.port()
    );
    let file: File = toml::from_str(&file).expect("a good tool");
    let tools = HttpTools::new(&file.tools, |_| None, &egress).expect("good tools");
    let call = ToolCall {
        tool: "find".to_owned(),
        args: serde_json::Map::new(),
        key: "k".to_owned(),
    };
    assert_eq!(soon(tools.run(&call)).await.expect("the tool").outcome, "ok");
    let told = soon(tools.run(&call)).await.expect("the tool");
    assert_eq!(told, ToolResult::plain(ToolResult::FAILED));
    assert_eq!(counted(&egress, Purpose::Tool), (1, 1), "a refusal is not tried again");
    assert_eq!(names.asked(), ["crm.example.org", "crm.example.org"]);
}

#[tokio::test]
async fn twilios_name_may_lead_anywhere_and_no_other_may() {
    let rest = |url: &str, egress: &Egress| {
        let settings = RestSettings {
            account_sid: "AC1".to_owned(),
            user: "AC1".to_owned(),
            password: "x".to_owned(),
            url: url.to_owned(),
            number: None,
            backoff: std::time::Duration::from_millis(1),
            timeout: std::time::Duration::from_secs(5),
        };
        TwilioRest::new(settings, egress).expect("a client")
    };
    let names = Resolver::telling(&[&["203.0.113.9"]]);
    let egress = Egress::with_names(Policy::default(), names.clone());
    let asked = soon(rest("https://api.nottwilio.com", &egress).update_call("CA1", CallUpdate::HangUp)).await;
    assert_eq!(asked, Err(CarrierError::Unreachable));
    assert_eq!(
        counted(&egress, Purpose::Carrier),
        (0, 1),
        "a refusal is not tried again"
    );
    assert_eq!(names.asked(), ["api.nottwilio.com"]);
    // Twilio's own is asked, by https only: here it leads to a port of this machine where nobody is.
    let egress = Egress::with_names(Policy::default(), Resolver::telling(&[&["127.0.0.1"]]));
    let asked = soon(rest("https://api.twilio.com:1", &egress).update_call("CA1", CallUpdate::HangUp)).await;
    assert_eq!(asked, Err(CarrierError::Unreachable));
    assert!(counted(&egress, Purpose::Carrier).0 >= 1);
}

#[tokio::test]
async fn an_outlet_leads_to_one_server_only() {
    let (server, other) = (Server::start([]).await, Server::start([]).await);
    server.answer_always(Answer::new(
        302,
        &format!("Location: http://{}/x\r\nContent-Length: 0\r\n", other.address),
        b"",
    ));
    let egress = Egress::default();
    for redirects in [Redirects::Never, Redirects::SamePlace] {
        let base = format!("http://{}/base/", server.address);
        let outlet = egress
            .outlet(Purpose::Tool, &base, redirects, |client| client)
            .expect("an outlet");
        let answer = soon(outlet.get("/path").send()).await.expect("an answer");
        assert_eq!(answer.status().as_u16(), 302, "{redirects:?}");
        let elsewhere = format!("http://{}/", other.address).parse().expect("a URL");
        let request = reqwest::Request::new(reqwest::Method::GET, elsewhere);
        assert!(outlet.execute(request).is_err());
    }
    assert_eq!(server.asked()[0].path, "/base/path");
    assert!(other.asked().is_empty());
}

#[tokio::test]
async fn what_is_set_up_does_not_open_the_gate() {
    let proxy = Server::start([]).await;
    let egress = Egress::with_names(Policy::default(), Resolver::telling(&[&["203.0.113.9"]]));
    let outlet = egress.outlet(Purpose::Stt, "http://stt.example.org/v1", Redirects::Never, |client| {
        let proxy = reqwest::Proxy::all(format!("http://{}", proxy.address)).expect("a proxy");
        client.proxy(proxy)
    });
    let error = soon(outlet.expect("an outlet").get("x").send())
        .await
        .expect_err("refused");
    assert!(proxy.asked().is_empty(), "a proxy would look the name up by itself");
    assert!(refusal(&error).is_some(), "{error:?}");
}
