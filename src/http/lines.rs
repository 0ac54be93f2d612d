//! Other carriers' webhooks and streams: SignalWire, Telnyx, Plivo, Exotel. Each is off until its key is configured.
//!
//! A webhook proves whose it is, by the carrier's own scheme, and is answered with a stream of a single-use token, as at
//! Twilio. SignalWire's stream brings the token as a parameter; elsewhere it is in the stream's path, with the call.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{FromRequest as _, Path, Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get, post};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use subtle::ConstantTimeEq as _;

use crate::call::registry::{Parties, Refused};
use crate::config::Secret;
use crate::http::incoming::{TOKEN, blocks, is_number};
use crate::http::media::{Proof, open};
use crate::http::refusals::foreign;
use crate::http::status::{is_over_call, is_repeated_call};
use crate::http::{App, refuse, twiml};
use crate::twilio::dialect::Dialect;
use crate::twilio::form::{Form, is_call};
use crate::twilio::signature::{self, Algorithm, Body};
use crate::twilio::{answers, proof};

/// What the other carriers prove themselves with; without it a carrier's routes are not there.
#[derive(Debug, Clone, Default)]
pub struct Lines {
    /// SignalWire's signing key.
    pub signalwire: Option<Secret>,
    /// Telnyx' public key.
    pub telnyx: Option<[u8; 32]>,
    /// Plivo's auth token.
    pub plivo: Option<Secret>,
    /// What Exotel's applet is to bring.
    pub exotel: Option<Secret>,
}

pub(super) fn routes() -> Router<Arc<App>> {
    let mut router = Router::new()
        .route("/signalwire/stream", get(signalwire_stream))
        .route("/exotel/incoming", get(exotel_incoming))
        .route("/exotel/incoming/{secret}", get(exotel_incoming))
        .route("/exotel/stream/{call}/{token}", stream(Dialect::Exotel));
    for (dialect, name) in [
        (Dialect::SignalWire, "signalwire"),
        (Dialect::Telnyx, "telnyx"),
        (Dialect::Plivo, "plivo"),
    ] {
        router = router
            .route(&format!("/{name}/incoming"), webhook(dialect, incoming, true))
            .route(&format!("/{name}/fallback"), webhook(dialect, fallback, false));
        if dialect != Dialect::SignalWire {
            router = router.route(&format!("/{name}/stream/{{call}}/{{token}}"), stream(dialect));
        }
    }
    router
}

/// A verified webhook.
struct Ring {
    dialect: Dialect,
    call: String,
    account: String,
    parties: Parties,
    /// What the carrier shows of who calls; `None` for calls that were placed, which are nobody's to block.
    shown: Option<String>,
    /// The carrier says that the call is over.
    over: bool,
    /// How the carrier reaches this server.
    base: String,
}

/// `first`: it is how a call begins, so that one which has begun opens nothing. Another goes on with a call that is not over.
fn webhook(dialect: Dialect, answer: fn(&App, &Ring) -> Response, first: bool) -> MethodRouter<Arc<App>> {
    post(move |State(app): State<Arc<App>>, request: Request| async move {
        let ring = match ring(&app, dialect, request).await {
            Ok(ring) => ring,
            Err(refusal) => return refusal,
        };
        if first && is_blocked(&app, &ring) {
            return twiml(answers::reject(dialect));
        }
        let past = if first {
            is_repeated_call(&app, &ring.call, ring.over).await
        } else {
            app.registry.was_finished(&ring.call) || is_over_call(&app, &ring.call, ring.over).await
        };
        if past {
            return twiml(crate::twilio::twiml::hangup());
        }
        answer(&app, &ring)
    })
}

fn stream(dialect: Dialect) -> MethodRouter<Arc<App>> {
    get(
        move |State(app): State<Arc<App>>, Path((call, token)): Path<(String, String)>, upgrade: WebSocketUpgrade| async move {
            if is_on(&app, dialect) {
                open(app, upgrade, dialect, Proof::Path { call, token }).await
            } else {
                refuse(StatusCode::NOT_FOUND, "this line is not configured")
            }
        },
    )
}

async fn signalwire_stream(State(app): State<Arc<App>>, upgrade: WebSocketUpgrade) -> Response {
    if is_on(&app, Dialect::SignalWire) {
        open(app, upgrade, Dialect::SignalWire, Proof::Parameter).await
    } else {
        refuse(StatusCode::NOT_FOUND, "this line is not configured")
    }
}

fn is_on(app: &App, dialect: Dialect) -> bool {
    match dialect {
        Dialect::Twilio => true,
        Dialect::SignalWire => app.lines.signalwire.is_some(),
        Dialect::Telnyx => app.lines.telnyx.is_some(),
        Dialect::Plivo => app.lines.plivo.is_some(),
        Dialect::Exotel => app.lines.exotel.is_some(),
    }
}

/// Whether the line that is called takes no calls from this caller.
fn is_blocked(app: &App, ring: &Ring) -> bool {
    let staff = app.services.staff.borrow();
    let agent = match &ring.parties.to {
        Some(number) => staff.agents.at(number),
        None => staff.agents.default(),
    };
    let blocked = ring.shown.as_ref().is_some_and(|from| blocks(agent, from));
    if blocked {
        tracing::info!(
            call = ring.call,
            "call {} was refused: its caller is blocked",
            ring.call
        );
    }
    blocked
}

/// A call rings.
fn incoming(app: &App, ring: &Ring) -> Response {
    let name = ring.dialect.name();
    tracing::info!(call = ring.call, line = name, "call {} rings at {name}", ring.call);
    connect(app, ring)
}

/// A stream has ended and the carrier asks what now.
fn fallback(app: &App, ring: &Ring) -> Response {
    if app.registry.should_reconnect(&ring.call) {
        tracing::warn!(
            call = ring.call,
            "the stream of call {} broke; connecting it again",
            ring.call
        );
        return connect(app, ring);
    }
    tracing::error!(
        call = ring.call,
        "the stream of call {} broke too often; giving the call up",
        ring.call
    );
    let staff = app.services.staff.borrow();
    twiml(answers::say_and_hangup(
        ring.dialect,
        &staff.agents.default().phrases.apology,
    ))
}

fn connect(app: &App, ring: &Ring) -> Response {
    match expect(app, ring) {
        Ok(stream) => {
            let fallback = format!("{}/{}/fallback", ring.base, ring.dialect.name());
            let parameters: Vec<(&str, &str)> = stream.token.iter().map(|token| (TOKEN, token.as_str())).collect();
            twiml(answers::connect(ring.dialect, &stream.url, &parameters, &fallback))
        }
        Err(Refused::Full) => {
            tracing::warn!(
                call = ring.call,
                "call {} was refused: all lines are busy (MAX_CALLS)",
                ring.call
            );
            twiml(answers::busy(ring.dialect))
        }
        Err(Refused::Draining) => refuse(StatusCode::SERVICE_UNAVAILABLE, "the server is draining"),
        Err(Refused::Foreign) => foreign(app, &ring.call),
    }
}

struct Stream {
    url: String,
    /// Where it is not in the URL.
    token: Option<String>,
}

fn expect(app: &App, ring: &Ring) -> Result<Stream, Refused> {
    let token = app
        .registry
        .expect(&ring.call, &ring.account, ring.parties.clone(), now())?;
    let base = format!("{}/{}/stream", ring.base.replacen("http", "ws", 1), ring.dialect.name());
    Ok(if ring.dialect == Dialect::SignalWire {
        Stream {
            url: base,
            token: Some(token),
        }
    } else {
        Stream {
            url: format!("{base}/{}/{token}", ring.call),
            token: None,
        }
    })
}

/// Reads a webhook that is a form, after its proof.
async fn ring(app: &Arc<App>, dialect: Dialect, request: Request) -> Result<Ring, Response> {
    let (uri, headers) = (request.uri().clone(), request.headers().clone());
    if !is_on(app, dialect) {
        return Err(refuse(StatusCode::NOT_FOUND, "this line is not configured"));
    }
    let body = Bytes::from_request(request, app)
        .await
        .map_err(|_| refuse(StatusCode::PAYLOAD_TOO_LARGE, "the form is too large or was cut off"))?;
    let form = Form::urlencoded(&body);
    let base = base(app, &headers).ok_or_else(|| refuse(StatusCode::BAD_REQUEST, "the request has no usable Host"))?;
    if !is_proved(app, dialect, &headers, &format!("{base}{uri}"), &body, form.pairs()) {
        let line = dialect.name();
        tracing::warn!(
            line,
            "a request to the {line} line does not prove to be from there; check PUBLIC_URL and its key"
        );
        return Err(refuse(StatusCode::FORBIDDEN, "forbidden"));
    }
    if !form.is_whole(dialect) {
        return Err(refuse(StatusCode::BAD_REQUEST, "CallStatus or To is missing"));
    }
    read(dialect, &form, base).ok_or_else(|| refuse(StatusCode::BAD_REQUEST, "the call's id is missing or malformed"))
}

fn is_proved(
    app: &App,
    dialect: Dialect,
    headers: &HeaderMap,
    url: &str,
    body: &[u8],
    form: &[(String, String)],
) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
    match dialect {
        Dialect::SignalWire => app.lines.signalwire.as_ref().is_some_and(|key| {
            let given = ["x-signalwire-signature", "x-twilio-signature"].map(text);
            // Its libraries take either header.
            let urls = signature::candidates(url);
            let verify =
                |given: &str| signature::verify(&[key.expose()], Algorithm::Sha1, &urls, Body::Form(form), given);
            given.into_iter().any(verify)
        }),
        Dialect::Telnyx => app.lines.telnyx.as_ref().is_some_and(|key| {
            let (at, given) = (text("telnyx-timestamp"), text("telnyx-signature-ed25519"));
            proof::telnyx(key, at, body, given, jiff::Timestamp::now().as_second())
        }),
        Dialect::Plivo => app.lines.plivo.as_ref().is_some_and(|token| {
            let nonce = text("x-plivo-signature-v3-nonce");
            // The second one is by the main account, where the call is a subaccount's.
            let given = ["x-plivo-signature-v3", "x-plivo-signature-ma-v3"].map(text);
            given
                .into_iter()
                .any(|given| proof::plivo(token.expose(), url, form, nonce, given))
        }),
        Dialect::Twilio | Dialect::Exotel => false,
    }
}

fn read(dialect: Dialect, form: &Form, base: String) -> Option<Ring> {
    let (call, from, to) = match dialect {
        Dialect::Plivo => ("CallUUID", "From", "To"),
        Dialect::Exotel => ("CallSid", "CallFrom", "CallTo"),
        Dialect::Twilio | Dialect::SignalWire | Dialect::Telnyx => ("CallSid", "From", "To"),
    };
    let account = match dialect {
        Dialect::SignalWire => form.field("AccountSid")?,
        // Their streams do not name the account of the webhook: the token is bound to the line.
        Dialect::Twilio | Dialect::Telnyx | Dialect::Plivo | Dialect::Exotel => "",
    };
    let call = match dialect {
        // Its ids are long and have colons; the signature covers every byte.
        Dialect::Telnyx => form.field(call).filter(|id| is_call(id)),
        Dialect::Twilio | Dialect::SignalWire | Dialect::Plivo | Dialect::Exotel => form.id(call),
    };
    let from = form.field(from).unwrap_or_default();
    let placed = form
        .field("Direction")
        .is_some_and(|direction| direction.starts_with("outbound"));
    Some(Ring {
        dialect,
        call: call?.to_owned(),
        account: dialect.account(account),
        shown: (!placed).then(|| number(from).unwrap_or_else(|| from.to_owned())),
        parties: Parties {
            from: number(from),
            to: form.field(to).and_then(number),
        },
        over: form.field("CallStatus") == Some("completed"),
        base,
    })
}

/// In E.164; Plivo leaves the plus sign out.
fn number(text: &str) -> Option<String> {
    let number = if text.starts_with('+') || text.starts_with('0') {
        text.to_owned()
    } else {
        format!("+{text}")
    };
    is_number(&number).then_some(number)
}

/// Exotel's applet asks where the stream goes, with the call in the query. Its secret stands in the path or is the
/// password of Basic authentication.
async fn exotel_incoming(
    State(app): State<Arc<App>>,
    secret: Option<Path<String>>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let Some(expected) = &app.lines.exotel else {
        return refuse(StatusCode::NOT_FOUND, "this line is not configured");
    };
    let given = secret
        .map(|Path(secret)| secret)
        .or_else(|| basic_password(&headers))
        .unwrap_or_default();
    if !bool::from(expected.expose().as_bytes().ct_eq(given.as_bytes())) {
        tracing::warn!("a request to the exotel line does not bring EXOTEL_SECRET and was refused");
        return refuse(StatusCode::FORBIDDEN, "forbidden");
    }
    let Some(base) = base(&app, &headers) else {
        return refuse(StatusCode::BAD_REQUEST, "the request has no usable Host");
    };
    let form = Form::urlencoded(uri.query().unwrap_or_default().as_bytes());
    let Some(ring) = read(Dialect::Exotel, &form, base) else {
        return refuse(StatusCode::BAD_REQUEST, "the call's id is missing or malformed");
    };
    // It knows no answer that rejects a call: without a stream its flow goes on.
    if is_blocked(&app, &ring) {
        return refuse(StatusCode::FORBIDDEN, "not taken");
    }
    tracing::info!(call = ring.call, line = "exotel", "call {} rings at exotel", ring.call);
    match expect(&app, &ring) {
        Ok(stream) => {
            let answer = serde_json::json!({ "url": stream.url }).to_string();
            let headers = [
                (header::CONTENT_TYPE, "application/json"),
                (header::CACHE_CONTROL, "no-store"),
            ];
            (headers, answer).into_response()
        }
        // Without a stream the flow goes on to the applet that the site has put behind this one.
        Err(Refused::Full | Refused::Draining) => {
            tracing::warn!(
                call = ring.call,
                "call {} was refused: all lines are busy or draining",
                ring.call
            );
            refuse(StatusCode::SERVICE_UNAVAILABLE, "no line is free")
        }
        Err(Refused::Foreign) => foreign(&app, &ring.call),
    }
}

fn basic_password(headers: &HeaderMap) -> Option<String> {
    let given = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let pair = BASE64_STANDARD.decode(given.strip_prefix("Basic ")?).ok()?;
    let pair = String::from_utf8(pair).ok()?;
    pair.split_once(':').map(|(_, password)| password.to_owned())
}

/// How carriers reach this server. `PUBLIC_URL` decides; a request's own `Host` only where none is set, which is local.
fn base(app: &App, headers: &HeaderMap) -> Option<String> {
    if let Some(url) = &app.public_url {
        return Some(url.as_str().trim_end_matches('/').to_owned());
    }
    let host = headers.get(header::HOST)?.to_str().ok()?;
    Some(format!("http://{host}"))
}

#[expect(
    clippy::disallowed_methods,
    reason = "when a token was issued is a fact of the monotonic clock"
)]
fn now() -> Instant {
    Instant::now()
}
