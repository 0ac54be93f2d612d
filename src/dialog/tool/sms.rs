//! Text messages to callers. The agent's file has the text, the caller has said yes before it is sent (the file is checked for
//! that), and it goes to their own number.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use super::builtin::INVALID;
use super::{ToolCall, ToolResult};
use crate::config::Outbound;
use crate::store::{AuditEvent, Store, masked, phone};
use crate::twilio::rest::Carrier;

/// What came of one message, once it is known.
type Act = Arc<OnceCell<&'static str>>;

/// Sends text messages, a few each day. Clones share what was sent.
#[derive(Clone)]
pub struct Texts {
    carrier: Arc<dyn Carrier>,
    store: Store,
    /// To whom beside the caller.
    numbers: Vec<String>,
    per_day: u32,
    /// What came of each act, by its key: the same act again sends nothing.
    sent: Arc<Mutex<HashMap<String, Act>>>,
}

impl Texts {
    /// The tool's name.
    pub const TOOL: &'static str = "send_sms";

    /// `None` if the settings want no messages. The database counts them.
    pub fn new(carrier: Arc<dyn Carrier>, store: Store, rules: &Outbound) -> Option<Self> {
        rules.sms.then(|| Self {
            carrier,
            store,
            numbers: rules.sms_numbers.clone(),
            per_day: rules.sms_per_day,
            sent: Arc::default(),
        })
    }

    /// Sends a message for a call; `sent`, `not_sent`, or what is wrong with the arguments.
    pub async fn send(&self, call_sid: &str, caller: Option<&str>, call: &ToolCall) -> ToolResult {
        let text = call
            .args
            .get("text")
            .and_then(|text| text.as_str())
            .unwrap_or_default()
            .trim();
        if text.is_empty() || text.chars().count() > LONGEST {
            return ToolResult::plain(INVALID);
        }
        let given = call.args.get("phone").and_then(|to| to.as_str());
        let Some(to) = given.or(caller).and_then(phone) else {
            return ToolResult::plain("not_sent");
        };
        let allowed = caller == Some(to.as_str()) || self.numbers.contains(&to);
        if !allowed {
            self.audit(call_sid, "refused", &format!("{} not-allowed", masked(&to)))
                .await;
            tracing::warn!(
                call = call_sid,
                "a text message was not sent: it was to a number that is not allowed"
            );
            return ToolResult::plain("not_sent");
        }
        let act = self.act(&call.key);
        let outcome = act.get_or_init(|| self.deliver(call_sid, &to, text)).await;
        ToolResult::plain(outcome)
    }

    async fn deliver(&self, call_sid: &str, to: &str, text: &str) -> &'static str {
        let detail = masked(to);
        let counted = AuditEvent {
            actor: "agent",
            action: "sms",
            subject: call_sid,
            outcome: "counted",
            detail: &detail,
            origin: "call",
        };
        match self.store.audit_within(&counted, self.per_day).await {
            Ok(true) => {}
            Ok(false) => {
                self.audit(call_sid, "refused", &format!("{detail} too-many")).await;
                tracing::warn!(call = call_sid, "a text message was not sent: SMS_PER_DAY is reached");
                return "not_sent";
            }
            Err(error) => {
                tracing::error!(call = call_sid, %error, "a text message was not sent, as it could not be counted: {error}");
                return "not_sent";
            }
        }
        match self.carrier.send_message(to, text).await {
            Ok(_) => {
                self.audit(call_sid, "sent", &detail).await;
                "sent"
            }
            Err(error) => {
                self.audit(call_sid, "failed", &detail).await;
                tracing::error!(call = call_sid, %error, "a text message was not sent: {error}");
                "not_sent"
            }
        }
    }

    fn act(&self, key: &str) -> Act {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        if sent.len() >= REMEMBERED {
            sent.retain(|_, act| !act.initialized());
        }
        Arc::clone(sent.entry(key.to_owned()).or_default())
    }

    async fn audit(&self, call_sid: &str, outcome: &str, detail: &str) {
        let event = AuditEvent {
            actor: "agent",
            action: "sms",
            subject: call_sid,
            outcome,
            detail,
            origin: "call",
        };
        if let Err(error) = self.store.audit(&event).await {
            tracing::error!(call = call_sid, outcome, %error, "a text message is not in the audit trail: {error}");
        }
    }
}

/// Characters in one message; Twilio would take more, callers would not.
const LONGEST: usize = 480;
/// Acts whose outcome is kept: those of many days.
const REMEMBERED: usize = 4_096;
