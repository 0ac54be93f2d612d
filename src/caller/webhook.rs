//! The HTTP side of a simulated call: the voice webhook before it, the trace beside it.

use std::time::Duration;

use futures_util::StreamExt as _;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::trace::{EventLines, TraceEvent};
use super::wire::Ids;
use super::{CallError, Plan, Trust};
use crate::twilio::signature;
use crate::twilio::twiml::{StreamTarget, parse_connect_stream};

/// The client for webhook and trace. It follows no redirect and uses no proxy: the call goes where it is sent.
pub(super) fn client(trust: &Trust) -> Result<reqwest::Client, CallError> {
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT)
        .user_agent("TwilioProxy/1.1");
    trust.http(client)?.build().map_err(CallError::Client)
}

/// Posts the voice webhook, signed when there is a token, and reads where its TwiML sends the call.
pub(super) async fn post(
    http: &reqwest::Client,
    plan: &Plan,
    ids: &Ids,
    url: &str,
    signed_url: &str,
) -> Result<StreamTarget, CallError> {
    let form = form(plan, ids);
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(&form)
        .finish();
    let mut request = http
        .post(url)
        .timeout(WEBHOOK_TIMEOUT)
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded; charset=UTF-8")
        .body(body);
    if let Some(token) = &plan.auth_token {
        request = request.header(SIGNATURE, signature::sign(token, signed_url, &form));
    }
    let failed = |source: reqwest::Error| CallError::Webhook {
        url: url.to_owned(),
        source: source.without_url(),
    };
    let mut response = request.send().await.map_err(failed)?;
    if !response.status().is_success() {
        return Err(CallError::Refused {
            url: url.to_owned(),
            status: response.status().as_u16(),
        });
    }
    let content_type = response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if !["text/xml", "application/xml", "text/html"]
        .iter()
        .any(|xml| content_type.starts_with(xml))
    {
        return Err(CallError::ContentType {
            url: url.to_owned(),
            content_type: content_type.to_owned(),
        });
    }
    let mut twiml = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        twiml.extend_from_slice(&chunk);
        if twiml.len() > TWIML_BYTES {
            return Err(CallError::TooLong { url: url.to_owned() });
        }
    }
    Ok(parse_connect_stream(&String::from_utf8_lossy(&twiml))?)
}

/// The form of an incoming call: what Twilio always sends and most of what it usually sends. Empty values and the
/// percent signs inside `CallToken` are there because they break careless signature checks.
fn form(plan: &Plan, ids: &Ids) -> Vec<(String, String)> {
    let pairs = [
        ("AccountSid", ids.account.as_str()),
        ("ApiVersion", "2010-04-01"),
        ("CallSid", &ids.call),
        ("CallStatus", "ringing"),
        ("CallToken", "%7B%22parentCallInfoToken%22%3A%22simulated%22%7D"),
        ("Called", &plan.to),
        ("CalledCity", ""),
        ("CalledCountry", "US"),
        ("Caller", &plan.from),
        ("CallerCity", ""),
        ("CallerCountry", "US"),
        ("Direction", "inbound"),
        ("From", &plan.from),
        ("FromCity", "SÃO PAULO"),
        ("StirVerstat", "TN-Validation-Passed-A"),
        ("To", &plan.to),
        ("ToZip", ""),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

/// What the trace brings.
#[derive(Debug)]
pub(super) enum TraceItem {
    /// An event of the server.
    Event(TraceEvent),
    /// There is no trace, for this reason.
    Refused(String),
}

/// Where the trace of a call is, and what opens it.
pub(super) struct TraceSource {
    pub(super) http: reqwest::Client,
    pub(super) url: String,
    pub(super) token: String,
}

impl TraceSource {
    /// Asks once; the reason if there is no trace (yet).
    pub(super) async fn ask(&self) -> Result<reqwest::Response, String> {
        let request = self
            .http
            .get(&self.url)
            .header(AUTHORIZATION, format!("Bearer {}", self.token));
        match tokio::time::timeout(TRACE_PATIENCE, request.send()).await {
            Ok(Ok(response)) if response.status().is_success() => Ok(response),
            Ok(Ok(response)) => Err(format!("the server answered {}", response.status())),
            Ok(Err(error)) => Err(error.without_url().to_string()),
            Err(_) => Err("the server did not answer".to_owned()),
        }
    }

    /// Reads the trace until it or the call ends. The server may know the call only from its `start` message on, so a
    /// refusal is final only after two seconds.
    pub(super) async fn follow(self, mut answer: Result<reqwest::Response, String>, items: mpsc::Sender<TraceItem>) {
        let mut pause = tokio::time::interval(TRACE_RETRY);
        for _ in 0..TRACE_ATTEMPTS {
            if let Ok(response) = answer {
                return read_trace(response, &items).await;
            }
            let _: Instant = pause.tick().await;
            answer = self.ask().await;
        }
        // A closed channel means that the call is over and nobody is interested.
        let _ = items.send(TraceItem::Refused(answer.err().unwrap_or_default())).await;
    }
}

async fn read_trace(response: reqwest::Response, items: &mpsc::Sender<TraceItem>) {
    let mut lines = EventLines::default();
    let mut bytes = response.bytes_stream();
    while let Some(Ok(chunk)) = bytes.next().await {
        for event in lines.push(&chunk) {
            let last = event == TraceEvent::End;
            if items.send(TraceItem::Event(event)).await.is_err() || last {
                return;
            }
        }
    }
}

/// The URLs of one call by webhook.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Route {
    /// What the webhook's signature covers.
    pub(super) signed: String,
    scheme: &'static str,
    authority: String,
    public_authority: Option<String>,
}

impl Route {
    /// The route to `webhook`, which the server knows under `public_url`.
    pub(super) fn new(webhook: &str, public_url: Option<&str>) -> Result<Self, CallError> {
        let wrong = |url: &str| CallError::Url {
            url: url.to_owned(),
            expected: "http:// or https://",
        };
        let (scheme, authority, rest) = split(webhook).ok_or_else(|| wrong(webhook))?;
        let scheme = match scheme {
            "http" => "ws",
            "https" => "wss",
            _ => return Err(wrong(webhook)),
        };
        let (signed, public_authority) = match public_url {
            None => (webhook.to_owned(), None),
            Some(public) => {
                let (_, public_authority, _) = split(public).ok_or_else(|| wrong(public))?;
                (
                    format!("{}{rest}", public.trim_end_matches('/')),
                    Some(public_authority.to_owned()),
                )
            }
        };
        Ok(Self {
            signed,
            scheme,
            authority: authority.to_owned(),
            public_authority,
        })
    }

    /// The URL of the stream as Twilio signs it (absolute, without a query), and the URL at which it is dialled here.
    pub(super) fn stream(&self, url: &str) -> (String, String) {
        let url = url.split(['?', '#']).next().unwrap_or_default();
        if url.starts_with('/') {
            let dialled = format!("{}://{}{url}", self.scheme, self.authority);
            let signed = self
                .public_authority
                .as_ref()
                .map(|public| format!("wss://{public}{url}"));
            return (signed.unwrap_or_else(|| dialled.clone()), dialled);
        }
        match split(url) {
            Some((_, authority, rest)) if Some(authority) == self.public_authority.as_deref() => {
                (url.to_owned(), format!("{}://{}{rest}", self.scheme, self.authority))
            }
            Some(_) | None => (url.to_owned(), url.to_owned()),
        }
    }

    /// Where the trace of a call is.
    pub(super) fn trace(&self, call_sid: &str) -> String {
        let scheme = if self.scheme == "wss" { "https" } else { "http" };
        format!("{scheme}://{}/voice/trace/{call_sid}", self.authority)
    }
}

fn split(url: &str) -> Option<(&str, &str, &str)> {
    let (scheme, after) = url.split_once("://")?;
    let (authority, rest) = after.split_at(after.find(['/', '?', '#']).unwrap_or(after.len()));
    (!authority.is_empty()).then_some((scheme, authority, rest))
}

/// The header that carries the signature.
pub(super) const SIGNATURE: &str = "X-Twilio-Signature";

/// Twilio connects within 10 s and takes 15 s in all.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

const WEBHOOK_TIMEOUT: Duration = Duration::from_secs(15);

/// Longest TwiML document.
const TWIML_BYTES: usize = 64 * 1024;

/// How long one request for the trace may take.
const TRACE_PATIENCE: Duration = Duration::from_secs(1);
const TRACE_RETRY: Duration = Duration::from_millis(250);

const TRACE_ATTEMPTS: u32 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_direct_route_signs_what_it_dials() {
        let route = Route::new("http://127.0.0.1:8080/voice/incoming?a=1", None).expect("route");
        assert_eq!(route.signed, "http://127.0.0.1:8080/voice/incoming?a=1");
        let stream = "wss://other/voice/stream".to_owned();
        assert_eq!(
            route.stream("wss://other/voice/stream?tok=lost"),
            (stream.clone(), stream)
        );
        let stream = "ws://127.0.0.1:8080/voice/stream".to_owned();
        assert_eq!(route.stream("/voice/stream"), (stream.clone(), stream));
        assert_eq!(route.trace("CA1"), "http://127.0.0.1:8080/voice/trace/CA1");
    }

    #[test]
    fn a_public_url_is_signed_and_the_near_host_is_dialled() {
        let route = Route::new(
            "http://127.0.0.1:8080/voice/incoming",
            Some("https://voice.example.org/"),
        )
        .expect("route");
        assert_eq!(route.signed, "https://voice.example.org/voice/incoming");
        let (signed, dialled) = route.stream("wss://voice.example.org/voice/stream");
        assert_eq!(signed, "wss://voice.example.org/voice/stream");
        assert_eq!(dialled, "ws://127.0.0.1:8080/voice/stream");
        assert_eq!(
            route.stream("/s"),
            (
                "wss://voice.example.org/s".to_owned(),
                "ws://127.0.0.1:8080/s".to_owned()
            )
        );
    }

    #[test]
    fn other_urls_are_refused() {
        for url in ["", "voice/incoming", "ws://h/x", "http://", "ftp://h"] {
            assert!(matches!(Route::new(url, None), Err(CallError::Url { .. })), "{url}");
        }
        assert!(Route::new("http://h", Some("voice.example.org")).is_err());
    }
}
