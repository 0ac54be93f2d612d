//! `PUBLIC_URL`: whether it leads here, past redirects, certificates and proxies, and whether a WebSocket comes through.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use reqwest::header::{
    CONNECTION, DATE, HeaderMap, HeaderValue, LOCATION, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use reqwest::{Client, Response};
use url::Url;

use super::clock::Dated;
use super::page::Line;
use crate::config::{Config, Secret, Transport, is_local};
use crate::http::Identity;
use crate::twilio::signature::{self, Algorithm};

/// What answered at `PUBLIC_URL`.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reached {
    /// This server.
    Here,
    /// A tieline, but another one.
    Other,
    /// Something that is not tieline.
    Stranger,
    /// A redirect, to the place given.
    Redirect(String),
    /// An HTTP status that is neither success nor redirect.
    Status(u16),
    /// Nothing.
    Nothing(Trouble),
}

/// Why nothing answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    Name,
    Refused,
    Timeout,
    Certificate(String),
    Other(String),
}

/// Whether a WebSocket opens at the media socket.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Upgraded {
    Yes,
    Status(u16),
    Nothing(Trouble),
}

/// What the server takes for Twilio's signature.
pub(super) struct Key<'a> {
    pub(super) algorithm: Algorithm,
    /// `None` where nothing is signed.
    pub(super) secret: Option<&'a Secret>,
}

/// What is known of the address.
pub(super) struct Seen {
    pub(super) reached: Reached,
    /// Asked only if the address leads here.
    pub(super) upgraded: Option<Upgraded>,
    pub(super) dated: Option<Dated>,
}

/// Asks `PUBLIC_URL` who it is, and opens a WebSocket there if it is `ours`.
pub(super) async fn look(url: &Url, key: &Key<'_>, ours: &Identity) -> Seen {
    let base = url.as_str().trim_end_matches('/');
    let asked = match client() {
        Ok(client) => client
            .get(format!("{base}{}", Identity::PATH))
            .send()
            .await
            .map(|answer| (client, answer)),
        Err(error) => Err(error),
    };
    let (client, answer) = match asked {
        Ok(both) => both,
        Err(error) => {
            let reached = Reached::Nothing(trouble(&error));
            return Seen {
                reached,
                upgraded: None,
                dated: None,
            };
        }
    };
    let date = answer.headers().get(DATE).and_then(|date| date.to_str().ok());
    // By its own clock a machine is never wrong.
    let dated = Dated::of(url.host_str().unwrap_or_default(), date).filter(|_| !is_local(url));
    let reached = reached(answer, ours).await;
    let upgraded = if reached == Reached::Here {
        Some(upgrade(&client, base, key).await)
    } else {
        None
    };
    Seen {
        reached,
        upgraded,
        dated,
    }
}

fn client() -> Result<Client, reqwest::Error> {
    Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(PATIENCE)
        .http1_only()
        .user_agent("tieline-doctor")
        .build()
}

async fn reached(answer: Response, ours: &Identity) -> Reached {
    let status = answer.status();
    if status.is_redirection() {
        let to = answer.headers().get(LOCATION).and_then(|to| to.to_str().ok());
        return Reached::Redirect(place(to.unwrap_or("nowhere")));
    }
    if !status.is_success() {
        return Reached::Status(status.as_u16());
    }
    match read_identity(answer).await {
        Some(identity) if identity == *ours => Reached::Here,
        Some(identity) if identity.service == Identity::SERVICE => Reached::Other,
        _ => Reached::Stranger,
    }
}

/// A server's account of itself, if the answer is one.
pub(super) async fn read_identity(mut answer: Response) -> Option<Identity> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.ok()? {
        body.extend_from_slice(&chunk);
        if body.len() > LONGEST {
            return None;
        }
    }
    serde_json::from_slice(&body).ok()
}

/// Without what a query may hold, and not longer than a line.
fn place(location: &str) -> String {
    let place = location.split(['?', '#']).next().unwrap_or_default();
    place.chars().filter(|c| !c.is_control()).take(80).collect()
}

/// Opens a WebSocket as Twilio does, signed, and leaves it at that.
async fn upgrade(client: &Client, base: &str, key: &Key<'_>) -> Upgraded {
    let mut headers = HeaderMap::new();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    headers.insert(SEC_WEBSOCKET_KEY, HeaderValue::from_static("dGllbGluZSBkb2N0b3IgIQ=="));
    let url = format!("{base}/voice/stream");
    if let Some(secret) = key.secret {
        let signed = signature::sign_with(key.algorithm, secret.expose(), &url.replacen("http", "ws", 1), &[]);
        if let Ok(value) = HeaderValue::from_str(&signed) {
            headers.insert("x-twilio-signature", value);
        }
        if key.algorithm == Algorithm::Sha256 {
            let settings = HeaderValue::from_static("algorithm=HMAC_SHA256");
            headers.insert("x-twilio-webhooks-signature-settings", settings);
        }
    }
    match client.get(url).headers(headers).send().await {
        Ok(answer) if answer.status().as_u16() == 101 => Upgraded::Yes,
        Ok(answer) => Upgraded::Status(answer.status().as_u16()),
        Err(error) => Upgraded::Nothing(trouble(&error)),
    }
}

/// What lies under an error of the HTTP client.
pub(super) fn trouble(error: &reqwest::Error) -> Trouble {
    if error.is_timeout() {
        return Trouble::Timeout;
    }
    let mut cause = error.source();
    let mut last = String::new();
    while let Some(error) = cause {
        last = error.to_string();
        if let Some(error) = error.downcast_ref::<io::Error>()
            && error.kind() == io::ErrorKind::ConnectionRefused
        {
            return Trouble::Refused;
        }
        if last.contains("dns error") || last.contains("failed to lookup") {
            return Trouble::Name;
        }
        if last.contains("certificate") {
            return Trouble::Certificate(last);
        }
        cause = error.source();
    }
    Trouble::Other(last)
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name => f.write_str("its name is not known"),
            Self::Refused => f.write_str("nothing listens there"),
            Self::Timeout => f.write_str("no answer came in time"),
            Self::Certificate(why) => write!(f, "its certificate is not trusted ({why})"),
            Self::Other(why) => write!(f, "it cannot be reached ({why})"),
        }
    }
}

/// All addresses of the server, its own first.
pub(super) fn addresses(config: &Config) -> impl Iterator<Item = &Url> {
    config.server.public_url.iter().chain(&config.server.also_public)
}

/// What the addresses themselves tell, and what was seen there; nothing if they were not asked.
pub(super) fn judge(config: &Config, seen: &[Seen]) -> Vec<Line> {
    if config.server.public_url.is_none() {
        let found = "PUBLIC_URL is not set: only callers on this machine (tieline call) get through";
        let remedy = "set it to the https address at which Twilio shall reach this server";
        return vec![Line::warn(TOPIC, found, remedy)];
    }
    let each = addresses(config).enumerate();
    each.flat_map(|(at, url)| judge_address(url, config, seen.get(at)))
        .collect()
}

fn judge_address(url: &Url, config: &Config, seen: Option<&Seen>) -> Vec<Line> {
    let mut lines = Vec::new();
    if is_local(url) {
        let found = format!("PUBLIC_URL {url} is an address of this machine or its network: Twilio cannot reach it");
        let remedy = "for real calls set it to a public https address: a tunnel's, or that of your proxy";
        lines.push(Line::warn(TOPIC, found, remedy));
    } else if url.scheme() == "http" {
        let found = format!("PUBLIC_URL {url} is not https: Twilio opens media streams over TLS only");
        let remedy = "put a proxy with a certificate in front (deploy/nginx.conf), and write https://";
        lines.push(Line::fail(TOPIC, found, remedy));
    }
    let Some(seen) = seen else {
        let found = format!("PUBLIC_URL {url} was not asked: the port of this server is not ours to try it");
        lines.push(Line::warn(TOPIC, found, "mend the port first"));
        return lines;
    };
    lines.push(judge_reached(url, config, &seen.reached));
    // Without media streams nobody opens a WebSocket.
    let streams = config.twilio.transport == Transport::Stream;
    lines.extend(seen.upgraded.as_ref().filter(|_| streams).map(judge_upgraded));
    lines
}

fn judge_reached(url: &Url, config: &Config, reached: &Reached) -> Line {
    let bind = config.server.bind;
    match reached {
        Reached::Here => {
            let trusted = if url.scheme() == "https" {
                "; its certificate is valid"
            } else {
                ""
            };
            Line::ok(TOPIC, format!("PUBLIC_URL {url} leads to this server{trusted}"))
        }
        Reached::Other => Line::fail(
            TOPIC,
            format!("PUBLIC_URL {url} leads to another tieline than the one at BIND {bind}"),
            "point the proxy or tunnel at this one, or correct PUBLIC_URL or BIND",
        ),
        Reached::Stranger => Line::fail(
            TOPIC,
            format!("PUBLIC_URL {url} leads to something that is not tieline"),
            format!(
                "{}let the proxy or tunnel there forward every path to {bind}",
                without_path(url)
            ),
        ),
        Reached::Redirect(to) => Line::fail(
            TOPIC,
            format!(
                "PUBLIC_URL {url} redirects to {to}: Twilio would lose what it posts, and signatures would not fit"
            ),
            "set PUBLIC_URL to the address it redirects to, without a path that you did not add, or end the redirect",
        ),
        Reached::Status(status @ (502..=504)) => Line::fail(
            TOPIC,
            format!("PUBLIC_URL {url} answers HTTP {status}: the proxy is there, but does not reach this server"),
            format!("let it forward to {bind}"),
        ),
        Reached::Status(status) => Line::fail(
            TOPIC,
            format!("PUBLIC_URL {url} answers HTTP {status} instead of this server"),
            format!(
                "{}let the proxy or tunnel there forward every path to {bind}, without a login of its own",
                without_path(url)
            ),
        ),
        Reached::Nothing(trouble) => Line::fail(TOPIC, format!("PUBLIC_URL {url}: {trouble}"), remedy(trouble)),
    }
}

/// The webhook's path is often pasted along.
fn without_path(url: &Url) -> String {
    match url.path() {
        "/" | "" => String::new(),
        path => format!("leave {path} out of PUBLIC_URL, unless the proxy takes it off again; "),
    }
}

fn remedy(trouble: &Trouble) -> &'static str {
    match trouble {
        Trouble::Name => "make a DNS entry for the name, or correct PUBLIC_URL",
        Trouble::Refused => "start the proxy or tunnel, and see that its port is the one in PUBLIC_URL",
        Trouble::Timeout => {
            "open the port in the firewall. Some routers do not let a house call itself: then ask from outside"
        }
        Trouble::Certificate(_) => {
            "get a certificate for this name from a public authority (Let's Encrypt), and serve its whole chain: \
             Twilio accepts no other"
        }
        Trouble::Other(_) => "try it with curl -v from another machine",
    }
}

fn judge_upgraded(upgraded: &Upgraded) -> Line {
    match upgraded {
        Upgraded::Yes => Line::ok(TOPIC, "WebSockets come through to /voice/stream"),
        Upgraded::Status(403) => Line::fail(
            TOPIC,
            "the running server refuses our signature: it was started with another TWILIO_AUTH_TOKEN, TWILIO_SIGNATURE or PUBLIC_URL",
            "start it again with these settings",
        ),
        Upgraded::Status(status) => Line::fail(
            TOPIC,
            format!("WebSockets do not come through to /voice/stream (HTTP {status}): callers would hear nothing"),
            "let the proxy forward the Upgrade and Connection headers, as deploy/nginx.conf does",
        ),
        Upgraded::Nothing(trouble) => Line::fail(
            TOPIC,
            format!("WebSockets do not come through to /voice/stream: {trouble}"),
            "let the proxy forward the Upgrade and Connection headers, as deploy/nginx.conf does",
        ),
    }
}

const TOPIC: &str = "public URL";
const PATIENCE: Duration = Duration::from_secs(10);
/// Ours has about a hundred bytes.
const LONGEST: usize = 4 * 1024;

#[cfg(test)]
mod tests {
    use super::super::page::State;
    use super::*;
    use crate::config::Strings;

    #[test]
    fn addresses_that_twilio_cannot_use_are_told() {
        let judged = |url: &str| {
            let pairs = [("PUBLIC_URL", url), ("TWILIO_AUTH_TOKEN", "t")];
            let (config, _) = Config::read(&pairs.into_iter().collect::<Strings>());
            let seen = Seen {
                reached: Reached::Here,
                upgraded: Some(Upgraded::Yes),
                dated: None,
            };
            judge(&config, &[seen])
                .iter()
                .map(|line| line.state)
                .collect::<Vec<_>>()
        };
        assert_eq!(judged("https://voice.example.org"), [State::Ok, State::Ok]);
        assert_eq!(judged("http://voice.example.org"), [State::Fail, State::Ok, State::Ok]);
        assert_eq!(judged("http://127.0.0.1:8080"), [State::Warn, State::Ok, State::Ok]);
        assert_eq!(judged(""), [State::Warn]);
    }

    #[test]
    fn a_redirect_is_shown_without_its_query() {
        assert_eq!(
            place("https://login.example.org/x?token=hidden"),
            "https://login.example.org/x"
        );
        assert_eq!(place("/a\r\nb"), "/ab");
    }
}
