//! A server whose calls can be handed over and that may place some.

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tieline::call::switchboard::Switchboard;
use tieline::config::{Config, Outbound, Strings};
use tieline::dialog::tool::sms::Texts;
use tieline::store::{AuditRecord, RecordedCall, Store};

use crate::http_server::HttpServer;
use crate::support::{Setup, TestServer, form_with, fresh_store, pace, soon};
use crate::twilio::{OUR_NUMBER, Twilio};

pub(crate) struct Line {
    pub(crate) server: TestServer,
    pub(crate) twilio: Twilio,
    pub(crate) store: Store,
    pub(crate) switchboard: Arc<Switchboard>,
    pub(crate) _dir: TempDir,
}

impl Line {
    pub(crate) async fn open(settings: &[(&str, &str)]) -> Self {
        Self::with(settings, AGENT, None).await
    }

    pub(crate) async fn with(settings: &[(&str, &str)], agent: &str, llm: Option<&HttpServer>) -> Self {
        let (store, dir) = fresh_store().await;
        let twilio = Twilio::start().await;
        let rules = rules(settings);
        let switchboard = switchboard(&twilio, &store, rules.clone());
        let texts = Texts::new(Arc::clone(switchboard.carrier()), store.clone(), &rules);
        let server = TestServer::start(Setup {
            agent: Some(agent.to_owned()),
            store: Some(store.clone()),
            switchboard: Some(Arc::clone(&switchboard)),
            texts,
            llm: llm.map(HttpServer::url),
            ..Setup::default()
        })
        .await;
        Self {
            server,
            twilio,
            store,
            switchboard,
            _dir: dir,
        }
    }

    /// Posts a webhook of Twilio's with fields of its own.
    pub(crate) async fn webhook(&self, url: &str, call_sid: &str, fields: &[(&str, &str)]) -> String {
        let path = url.strip_prefix(BASE).unwrap_or(url);
        let (status, body) = self.server.post(path, &form_with(call_sid, fields), None).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// Another server on the same database, which remembers nothing else.
    pub(crate) async fn restarted(&self) -> TestServer {
        let rules = rules(&[("TRANSFER_NUMBERS", PERSON)]);
        TestServer::start(Setup {
            agent: Some(AGENT.to_owned()),
            store: Some(self.store.clone()),
            switchboard: Some(switchboard(&self.twilio, &self.store, rules)),
            ..Setup::default()
        })
        .await
    }

    /// The database itself, beside the store.
    pub(crate) async fn raw(&self) -> sqlx::AnyPool {
        let url = crate::support::database(&self._dir);
        sqlx::AnyPool::connect(&url).await.expect("the database")
    }

    /// What the audit trail has, the oldest first: action, outcome, detail.
    pub(crate) async fn audit(&self) -> Vec<(String, String, String)> {
        let mut events = self.store.audit_events(1_000).await.expect("readable");
        // That a tool was run, and a key made, is of no interest here.
        events.retain(|event| !["tool", "kek"].contains(&event.action.as_str()));
        events.reverse();
        let plain = |event: AuditRecord| (event.action, event.outcome, event.detail);
        events.into_iter().map(plain).collect()
    }

    /// Waits until the audit trail has this.
    pub(crate) async fn audited(&self, wanted: (&str, &str, &str)) {
        let poll = async {
            let mut pace = pace(Duration::from_millis(5));
            loop {
                let found = self.audit().await;
                if found
                    .iter()
                    .any(|(a, b, c)| (a.as_str(), b.as_str(), c.as_str()) == wanted)
                {
                    return;
                }
                pace.tick().await;
            }
        };
        soon("an event in the audit trail", poll).await;
    }

    /// A call once it has ended in this way.
    pub(crate) async fn ended(&self, call_sid: &str, outcome: &str) -> RecordedCall {
        let poll = async {
            let mut pace = pace(Duration::from_millis(5));
            loop {
                let found = self.store.call(call_sid).await.expect("readable");
                if let Some(found) = found.filter(|found| found.call.outcome.as_deref() == Some(outcome)) {
                    return found;
                }
                pace.tick().await;
            }
        };
        soon("the end of the call in the database", poll).await
    }
}

pub(crate) fn switchboard(twilio: &Twilio, store: &Store, rules: Outbound) -> Arc<Switchboard> {
    Arc::new(Switchboard::new(
        Arc::new(twilio.client()),
        Some(store.clone()),
        rules,
        BASE.to_owned(),
        Some(OUR_NUMBER.to_owned()),
    ))
}

/// As the operator would write them.
pub(crate) fn rules(settings: &[(&str, &str)]) -> Outbound {
    let account = [
        ("PUBLIC_URL", BASE),
        ("TWILIO_ACCOUNT_SID", "AC0123456789abcdef0123456789abcdef"),
        ("TWILIO_AUTH_TOKEN", "t0ken"),
        ("TWILIO_PHONE_NUMBER", OUR_NUMBER),
        ("OUTBOUND_HOURS", "00:00-23:59"),
    ];
    let mut all = account.to_vec();
    all.retain(|(key, _)| !settings.iter().any(|(name, _)| name == key));
    let strings: Strings = all.into_iter().chain(settings.iter().copied()).collect();
    Config::parse(&strings).expect("valid").outbound
}

/// An attribute in a TwiML document, unescaped.
pub(crate) fn attribute(twiml: &str, tag: &str, name: &str) -> String {
    let document = roxmltree::Document::parse(twiml).expect("XML");
    let node = document.descendants().find(|node| node.has_tag_name(tag));
    let node = node.unwrap_or_else(|| panic!("no {tag} in {twiml}"));
    node.attribute(name)
        .unwrap_or_else(|| panic!("no {name} in {twiml}"))
        .to_owned()
}

pub(crate) const BASE: &str = "https://voice.example.org";
pub(crate) const PERSON: &str = "+15550188001";
pub(crate) const AGENT: &str = r#"
name = "line"
greeting = "Hello from the line."
system_prompt = "You are a test."

[phrases]
hand_over = "A person takes over."
no_one_free = "Nobody is free."
anything_else = "Anything else?"

[outgoing]
allowed = true
greeting = "Hello {{ context.name }}, your car is ready."
message = "{{ context.name }}, please call us back."

[[answers]]
says = ["hours"]
say = "We are open all day."

[[forms]]
name = "booking"
description = "Books a visit."
says = ["book*"]

[[forms.slots]]
name = "code"
kind = "digits"
min = 4
max = 4
label = "the code"
ask = "What is the code?"
"#;
