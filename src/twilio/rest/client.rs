//! Twilio's REST API over HTTP.

use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _};
use jiff::Timestamp;
use rand::Rng as _;
use reqwest::{Method, Response, StatusCode};
use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::settings::RestSettings;
use super::{CallUpdate, Carrier, CarrierError, NewCall};
use crate::privacy::egress::{Egress, Outlet, Purpose, Redirects, refusal};

/// Twilio's REST API, asked as one account.
pub struct TwilioRest {
    outlet: Outlet,
    settings: RestSettings,
    in_flight: Semaphore,
}

/// What may be done when nobody knows whether a request was carried out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Again {
    /// The same once more: it does no harm.
    Harmless,
    /// Nothing.
    Never,
}

impl TwilioRest {
    /// `None` if the machine's TLS cannot be set up. Connects only where `egress` lets it.
    pub fn new(settings: RestSettings, egress: &Egress) -> Option<Self> {
        let outlet = egress
            .outlet(Purpose::Carrier, &settings.url, Redirects::Never, |client| {
                client
                    .connect_timeout(CONNECT_TIMEOUT)
                    .timeout(settings.timeout)
                    .user_agent(concat!("tieline/", env!("CARGO_PKG_VERSION")))
            })
            .ok()?;
        Some(Self {
            outlet,
            settings,
            in_flight: Semaphore::new(IN_FLIGHT),
        })
    }

    /// Asks, and again where that is right: after 429, which says that nothing was done, and after what does no harm.
    async fn ask(
        &self,
        method: Method,
        path: &str,
        form: &[(&str, &str)],
        again: Again,
    ) -> Result<Response, CarrierError> {
        // An error means that the semaphore was closed, which nobody does.
        let _turn = self.in_flight.acquire().await.map_err(|_| CarrierError::Busy)?;
        let path = format!("2010-04-01/Accounts/{}/{path}", self.settings.account_sid);
        let mut attempt = 0;
        loop {
            let mut request = self
                .outlet
                .request(method.clone(), &path)
                .basic_auth(&self.settings.user, Some(&self.settings.password));
            if method == Method::POST {
                let body = form_urlencoded::Serializer::new(String::new())
                    .extend_pairs(form)
                    .finish();
                request = request
                    .header("content-type", "application/x-www-form-urlencoded")
                    .body(body);
            }
            let failed = match request.send().await {
                Ok(response) if response.status() == StatusCode::TOO_MANY_REQUESTS => CarrierError::Busy,
                Ok(response) if response.status().is_server_error() && again == Again::Harmless => {
                    refused(response).await
                }
                Ok(response) if response.status().is_success() => return Ok(response),
                Ok(response) => return Err(refused(response).await),
                // Another attempt would be refused as well.
                Err(error) if refusal(&error).is_some() => return Err(CarrierError::Unreachable),
                Err(error) if error.is_connect() => CarrierError::Unreachable,
                Err(_) => CarrierError::Unanswered,
            };
            attempt += 1;
            let safe = again == Again::Harmless || matches!(failed, CarrierError::Busy | CarrierError::Unreachable);
            if !safe || attempt == ATTEMPTS {
                return Err(failed);
            }
            tracing::debug!(attempt, error = %failed, "the carrier is asked again: {failed}");
            self.back_off(attempt).await;
        }
    }

    /// Longer each time, and not the same for all who wait.
    async fn back_off(&self, attempt: u32) {
        let longest = self.settings.backoff * 2_u32.saturating_pow(attempt);
        let share = rand::rng().random_range(0.5..1.0);
        tokio::time::sleep_until(now() + longest.mul_f64(share)).await;
    }

    async fn place(&self, call: NewCall) -> Result<String, CarrierError> {
        let (ring, limit) = (call.ring.as_secs().to_string(), call.time_limit.as_secs().to_string());
        let mut form = vec![
            ("To", call.to.as_str()),
            ("From", &call.from),
            ("Url", &call.url),
            ("Method", "POST"),
            ("StatusCallback", &call.status_callback),
            ("StatusCallbackMethod", "POST"),
            ("Timeout", &ring),
            ("TimeLimit", &limit),
        ];
        form.extend(STATUS_EVENTS.iter().map(|event| ("StatusCallbackEvent", *event)));
        if let Some(url) = &call.answered_by {
            form.extend([
                ("MachineDetection", "DetectMessageEnd"),
                ("AsyncAmd", "true"),
                ("AsyncAmdStatusCallback", url),
                ("AsyncAmdStatusCallbackMethod", "POST"),
            ]);
        }
        let since = Timestamp::now();
        let asked = match self.ask(Method::POST, "Calls.json", &form, Again::Never).await {
            Ok(response) => json::<Created>(response).await,
            Err(error) => Err(error),
        };
        match asked {
            Ok(created) => Ok(created.sid),
            Err(error) if error.may_be_done() => self.placed(&call, since).await?.ok_or(error),
            Err(error) => Err(error),
        }
    }

    /// Whether a call like this was placed just now after all.
    async fn placed(&self, call: &NewCall, since: Timestamp) -> Result<Option<String>, CarrierError> {
        let day = since.to_zoned(jiff::tz::TimeZone::UTC).date().to_string();
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("To", call.to.as_str()), ("StartTime>", &day), ("PageSize", "20")])
            .finish();
        let path = format!("Calls.json?{query}");
        let response = self
            .ask(Method::GET, &path, &[], Again::Harmless)
            .await
            .map_err(|_| CarrierError::Unanswered)?;
        let calls = json::<Listed>(response).await?.calls;
        // The carrier's clock may be a little behind ours.
        let earliest = since.as_second() - CLOCKS_APART;
        let ours = calls.into_iter().find(|listed| {
            let created = jiff::fmt::rfc2822::parse(&listed.date_created);
            let new = created.is_ok_and(|created| created.timestamp().as_second() >= earliest);
            new && listed.from == call.from && listed.to == call.to && listed.direction == "outbound-api"
        });
        Ok(ours.map(|listed| listed.sid))
    }

    async fn change(&self, call_sid: &str, update: CallUpdate) -> Result<(), CarrierError> {
        let path = format!("Calls/{}.json", sid(call_sid)?);
        let (form, again) = match &update {
            // To end it twice ends it once.
            CallUpdate::HangUp => (("Status", "completed"), Again::Harmless),
            CallUpdate::Twiml(document) if document.chars().count() > MAX_TWIML => {
                return Err(CarrierError::Malformed);
            }
            // A call that has begun with the document would begin with it anew, and ring somebody twice.
            CallUpdate::Twiml(document) => (("Twiml", document.as_str()), Again::Never),
        };
        match self.ask(Method::POST, &path, &[form], again).await {
            Ok(_)
            | Err(CarrierError::Refused {
                code: ALREADY_ENDED, ..
            }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn message(&self, to: &str, body: &str) -> Result<String, CarrierError> {
        let from = self.settings.number.as_deref().ok_or(CarrierError::Malformed)?;
        if body.is_empty() || body.chars().count() > MAX_MESSAGE {
            return Err(CarrierError::Malformed);
        }
        let form = [("To", to), ("From", from), ("Body", body)];
        let response = self.ask(Method::POST, "Messages.json", &form, Again::Never).await?;
        Ok(json::<Created>(response).await?.sid)
    }

    async fn media(&self, recording: &str) -> Result<Vec<u8>, CarrierError> {
        let path = format!("Recordings/{}.wav", sid(recording)?);
        let response = self.ask(Method::GET, &path, &[], Again::Harmless).await?;
        body(response, MAX_RECORDING).await
    }

    async fn forget(&self, recording: &str) -> Result<(), CarrierError> {
        let path = format!("Recordings/{}.json", sid(recording)?);
        self.ask(Method::DELETE, &path, &[], Again::Harmless).await.map(drop)
    }
}

impl Carrier for TwilioRest {
    fn create_call(&self, call: NewCall) -> BoxFuture<'_, Result<String, CarrierError>> {
        self.place(call).boxed()
    }

    fn update_call<'a>(&'a self, call_sid: &'a str, update: CallUpdate) -> BoxFuture<'a, Result<(), CarrierError>> {
        self.change(call_sid, update).boxed()
    }

    fn send_message<'a>(&'a self, to: &'a str, body: &'a str) -> BoxFuture<'a, Result<String, CarrierError>> {
        self.message(to, body).boxed()
    }

    fn recording<'a>(&'a self, sid: &'a str) -> BoxFuture<'a, Result<Vec<u8>, CarrierError>> {
        self.media(sid).boxed()
    }

    fn delete_recording<'a>(&'a self, sid: &'a str) -> BoxFuture<'a, Result<(), CarrierError>> {
        self.forget(sid).boxed()
    }
}

/// Of an answer, what is read.
#[derive(Deserialize)]
struct Created {
    sid: String,
}

#[derive(Deserialize)]
struct Listed {
    calls: Vec<ListedCall>,
}

#[derive(Deserialize)]
struct ListedCall {
    sid: String,
    #[serde(default)]
    to: String,
    #[serde(default)]
    from: String,
    #[serde(default)]
    direction: String,
    #[serde(default)]
    date_created: String,
}

#[derive(Deserialize)]
struct Fault {
    #[serde(default)]
    code: u32,
}

async fn refused(response: Response) -> CarrierError {
    let status = response.status().as_u16();
    let fault = json::<Fault>(response).await;
    let code = fault.map_or(0, |fault| fault.code);
    CarrierError::Refused { status, code }
}

async fn json<T: for<'de> Deserialize<'de>>(response: Response) -> Result<T, CarrierError> {
    let body = body(response, MAX_JSON).await?;
    serde_json::from_slice(&body).map_err(|_| CarrierError::Unreadable)
}

async fn body(response: Response, limit: usize) -> Result<Vec<u8>, CarrierError> {
    let mut chunks = response.bytes_stream();
    let mut body = Vec::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| CarrierError::Unanswered)?;
        if body.len() + chunk.len() > limit {
            return Err(CarrierError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// An id that can stand in a path: nobody's text leads elsewhere.
fn sid(text: &str) -> Result<&str, CarrierError> {
    let good = (2..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if good { Ok(text) } else { Err(CarrierError::Malformed) }
}

#[expect(
    clippy::disallowed_methods,
    reason = "when to ask again is a fact of the monotonic clock"
)]
fn now() -> Instant {
    Instant::now()
}

const STATUS_EVENTS: &[&str] = &["initiated", "ringing", "answered", "completed"];
/// Twilio: the call is not in a state that can be changed.
const ALREADY_ENDED: u32 = 21_220;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Requests at the same time; Twilio answers more with 429.
const IN_FLIGHT: usize = 8;
/// Of one request, all in all.
const ATTEMPTS: u32 = 4;
/// Seconds that two clocks may differ, and a listing be late.
const CLOCKS_APART: i64 = 30;
/// Characters that Twilio takes.
const MAX_TWIML: usize = 4_000;
const MAX_MESSAGE: usize = 1_600;
const MAX_JSON: usize = 1 << 20;
/// An hour of telephone audio as 16-bit WAV is 58 MB; what callers say in one turn is far less.
const MAX_RECORDING: usize = 64 << 20;
