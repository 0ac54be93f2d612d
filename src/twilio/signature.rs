//! `X-Twilio-Signature`: how Twilio proves that a request is its own.
//!
//! The signed text is the URL exactly as Twilio was given it, followed for a form POST by every distinct name and value
//! in byte order without separators. Nothing here normalises: a changed case, slash or percent sign is another URL.
//! The caller of [`verify`] builds the URLs from configured public bases, never from request headers, and pins the
//! algorithm; the scheme has no nonce, so replay is held off elsewhere (single-use stream tokens).

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, Mac as _};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

/// The keyed hash a deployment accepts. Pinned by configuration: a request never chooses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Algorithm {
    /// HMAC-SHA1 with the account's Auth Token, the default at Twilio.
    #[default]
    Sha1,
    /// HMAC-SHA256 with a shared key from Twilio's webhook signature settings.
    Sha256,
}

impl Algorithm {
    /// Reads the `algorithm` of an `X-Twilio-Webhooks-Signature-Settings` header; absent or empty means [`Self::Sha1`].
    ///
    /// Returns `None` for an algorithm this program does not know. Compare with the pinned one; do not obey it.
    pub fn from_settings(header: Option<&str>) -> Option<Self> {
        let name = header
            .unwrap_or_default()
            .split(',')
            .filter_map(|part| part.split_once('='))
            .find(|(key, value)| key.trim() == "algorithm" && !value.trim().is_empty())
            .map_or("", |(_, value)| value.trim());
        match name.to_ascii_uppercase().as_str() {
            "" | "HMAC_SHA1" => Some(Self::Sha1),
            "HMAC_SHA256" => Some(Self::Sha256),
            _ => None,
        }
    }
}

/// What came with the request, as far as the signature cares.
#[derive(Debug, Clone, Copy)]
pub enum Body<'a> {
    /// No body: a GET or a WebSocket upgrade.
    None,
    /// A form, decoded exactly once (see [`form_pairs`]), in any order.
    Form(&'a [(String, String)]),
    /// Any other body (JSON …): its SHA-256 has to stand in the URL's `bodySHA256`.
    Raw(&'a [u8]),
}

/// Signs a URL and form parameters as Twilio does, with HMAC-SHA1 over the Auth Token.
pub fn sign(token: &str, url: &str, params: &[(String, String)]) -> String {
    sign_with(Algorithm::Sha1, token, url, params)
}

/// Signs with the algorithm given.
pub fn sign_with(algorithm: Algorithm, key: &str, url: &str, params: &[(String, String)]) -> String {
    let text = signed_text(url, params);
    match algorithm {
        Algorithm::Sha1 => BASE64.encode(keyed::<Hmac<Sha1>>(key, &text).finalize().into_bytes()),
        Algorithm::Sha256 => BASE64.encode(keyed::<Hmac<Sha256>>(key, &text).finalize().into_bytes()),
    }
}

/// Tells whether `header` is the signature of one of `urls` under one of `tokens` (two during a rotation).
///
/// Fails closed: no token, an empty token, an empty or undecodable header, or a raw body without its hash verify
/// nothing. The comparison takes constant time.
pub fn verify(tokens: &[&str], algorithm: Algorithm, urls: &[String], body: Body<'_>, header: &str) -> bool {
    let Ok(claimed) = BASE64.decode(header) else {
        return false;
    };
    let params = match body {
        Body::None | Body::Raw(_) => &[],
        Body::Form(params) => params,
    };
    let mut genuine = false;
    for url in urls {
        let whole = match body {
            Body::None | Body::Form(_) => true,
            Body::Raw(bytes) => body_hash_matches(url, bytes),
        };
        let text = signed_text(url, params);
        for token in tokens.iter().filter(|token| !token.is_empty()) {
            let same = match algorithm {
                Algorithm::Sha1 => keyed::<Hmac<Sha1>>(token, &text).verify_slice(&claimed).is_ok(),
                Algorithm::Sha256 => keyed::<Hmac<Sha256>>(token, &text).verify_slice(&claimed).is_ok(),
            };
            genuine |= same && whole;
        }
    }
    genuine
}

/// Decodes a form body once: `+` is a space, `%XX` a byte, nothing is trimmed, empty values stay.
pub fn form_pairs(body: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(body).into_owned().collect()
}

/// The forms of `url` that Twilio may have signed, the given one first.
///
/// Twilio drops the port before it signs an HTTPS URL and keeps it otherwise, so each URL comes with and without its
/// port (443 for `https` and `wss`, 80 for `http` and `ws` when none is written). A WebSocket upgrade is signed with or
/// without a trailing slash. Fragment and user information are never signed.
pub fn candidates(url: &str) -> Vec<String> {
    let url = stripped(url);
    let Some((scheme, authority, rest)) = split(&url) else {
        return vec![url];
    };
    let upgrade = scheme.eq_ignore_ascii_case("ws") || scheme.eq_ignore_ascii_case("wss");
    let secure = scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("wss");
    let other_authority = match host_and_port(authority) {
        (host, Some(_)) => host.to_owned(),
        (host, None) => format!("{host}:{}", if secure { 443 } else { 80 }),
    };
    let mut rests = vec![rest.to_owned()];
    if upgrade {
        let (path, query) = rest.split_at(rest.find('?').unwrap_or(rest.len()));
        rests.push(match path.strip_suffix('/') {
            Some(bare) => format!("{bare}{query}"),
            None => format!("{path}/{query}"),
        });
    }
    let mut all = Vec::with_capacity(2 * rests.len());
    for authority in [authority, &other_authority] {
        all.extend(rests.iter().map(|rest| format!("{scheme}://{authority}{rest}")));
    }
    all
}

fn keyed<M: hmac::Mac + hmac::digest::KeyInit>(token: &str, text: &str) -> M {
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    let mut mac = <M as hmac::Mac>::new_from_slice(token.as_bytes()).expect("any key length");
    mac.update(text.as_bytes());
    mac
}

/// URL, then names ascending by byte, under each name its distinct values ascending by byte.
fn signed_text(url: &str, params: &[(String, String)]) -> String {
    let mut sorted: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, value) in params {
        sorted.entry(name).or_default().insert(value);
    }
    let mut text = stripped(url);
    for (name, values) in sorted {
        for value in values {
            text.push_str(name);
            text.push_str(value);
        }
    }
    text
}

/// Tells whether the URL's `bodySHA256` is the hash of `body`. An empty body may do without one.
fn body_hash_matches(url: &str, body: &[u8]) -> bool {
    let query = url
        .split('#')
        .next()
        .and_then(|url| url.split_once('?'))
        .map_or("", |(_, query)| query);
    let stated = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "bodySHA256");
    match stated {
        Some((_, hex)) => {
            let hash: String = Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect();
            *hex == hash
        }
        None => body.is_empty(),
    }
}

/// The URL without `#fragment` and `user:pass@`; everything else is left untouched.
fn stripped(url: &str) -> String {
    let url = url.split('#').next().unwrap_or_default();
    match split(url) {
        Some((scheme, authority, rest)) => {
            let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            format!("{scheme}://{host}{rest}")
        }
        None => url.to_owned(),
    }
}

fn split(url: &str) -> Option<(&str, &str, &str)> {
    let (scheme, after) = url.split_once("://")?;
    let (authority, rest) = after.split_at(after.find(['/', '?']).unwrap_or(after.len()));
    Some((scheme, authority, rest))
}

/// Parts `host:port`; a bracketed IPv6 address keeps its colons.
fn host_and_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (host, Some(port)),
        Some(_) | None => (authority, None),
    }
}

/// The header that carries a signature, in the case of HTTP/2.
pub const HEADER: &str = "x-twilio-signature";

/// The header that names the key and the algorithm, when they are not the Auth Token and HMAC-SHA1.
pub const SETTINGS_HEADER: &str = "x-twilio-webhooks-signature-settings";

#[cfg(test)]
#[path = "signature_tests.rs"]
mod tests;
