//! How other carriers prove that a request is their own. Pure: the time of day is an argument.
//!
//! SignalWire's scheme is Twilio's ([`super::signature`]) with the space's signing key.

use std::collections::BTreeMap;

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

/// Telnyx: an Ed25519 signature over `timestamp|body`, base64, not older or newer than five minutes.
/// Source: <https://developers.telnyx.com/docs/development/sdk/python/webhooks>.
pub fn telnyx(key: &[u8; 32], timestamp: &str, body: &[u8], signature: &str, unix_now: i64) -> bool {
    let Ok(at) = timestamp.parse::<i64>() else { return false };
    let Ok(signature) = BASE64_STANDARD.decode(signature) else {
        return false;
    };
    if at.abs_diff(unix_now) > TOLERANCE_S {
        return false;
    }
    let signed = [timestamp.as_bytes(), b"|", body].concat();
    UnparsedPublicKey::new(&ED25519, key)
        .verify(&signed, &signature)
        .is_ok()
}

/// Plivo's V3: HMAC-SHA256 over the URL, the form and a nonce. The header may hold several signatures, with commas between.
/// Source: `plivo.utils.signature_v3` of Plivo's Python SDK.
pub fn plivo(token: &str, url: &str, form: &[(String, String)], nonce: &str, signatures: &str) -> bool {
    if token.is_empty() || nonce.is_empty() {
        return false;
    }
    let text = plivo_text(url, form, nonce);
    signatures.split(',').any(|signature| {
        let Ok(claimed) = BASE64_STANDARD.decode(signature.trim()) else {
            return false;
        };
        plivo_mac(token, &text).verify_slice(&claimed).is_ok()
    })
}

/// Signs as Plivo does.
pub fn plivo_sign(token: &str, url: &str, form: &[(String, String)], nonce: &str) -> String {
    BASE64_STANDARD.encode(plivo_mac(token, &plivo_text(url, form, nonce)).finalize().into_bytes())
}

fn plivo_mac(token: &str, text: &str) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(token.as_bytes()).expect("invariant: HMAC takes a key of any length");
    mac.update(text.as_bytes());
    mac
}

/// The query's pairs are sorted and stand behind `?`, the form's are sorted and stand behind a dot.
fn plivo_text(url: &str, form: &[(String, String)], nonce: &str) -> String {
    let url = url.split_once('#').map_or(url, |(url, _)| url);
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let query: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let query = sorted(&query, "=", "&");
    let fields = sorted(form, "", "");
    let mut text = base.to_owned();
    if !query.is_empty() || !form.is_empty() {
        text.push('?');
        text.push_str(&query);
    }
    if !query.is_empty() && !form.is_empty() {
        text.push('.');
    }
    text.push_str(&fields);
    text.push('.');
    text.push_str(nonce);
    text
}

fn sorted(pairs: &[(String, String)], equals: &str, between: &str) -> String {
    let mut by_name: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, value) in pairs {
        by_name.entry(name).or_default().push(value);
    }
    let all = by_name.into_iter().flat_map(|(name, mut values)| {
        values.sort_unstable();
        values.into_iter().map(move |value| format!("{name}{equals}{value}"))
    });
    all.collect::<Vec<_>>().join(between)
}

/// Telnyx' own SDKs allow five minutes.
const TOLERANCE_S: u64 = 300;

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|&(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    type Vector = (&'static str, bool, &'static str);
    const PLIVO_FORM: Vector = (
        "https://voice.example.org/plivo/incoming",
        true,
        "6agjctVweVsn+ferV/RYUPeAOMz9YtlDNsXNCyWwVYw=",
    );
    const PLIVO_QUERY: Vector = (
        "https://voice.example.org/plivo/incoming?b=2&a=x%20y",
        false,
        "uPjmZUhNQbNW5WjwUmq5RcVYTKGAqax3NYfoUDR+Kls=",
    );
    const PLIVO_BOTH: Vector = (
        "https://voice.example.org/plivo/incoming?b=2&a=x%20y",
        true,
        "8aK0ht9XO5Zg2dnYcIbY6eILWFKKQq+GLPEWu4oalfM=",
    );

    /// Computed with plivo 4.63.0 of PyPI (`get_signature_v3` over `construct_post_url`).
    #[test]
    fn plivos_own_sdk_signs_the_same() {
        let form = pairs(&[
            ("To", "15551239999"),
            ("CallUUID", "c-1"),
            ("From", "15551230001"),
            ("Multi", "b"),
            ("Multi", "a"),
        ]);
        for (url, form, expected) in [PLIVO_FORM, PLIVO_QUERY, PLIVO_BOTH]
            .map(|(url, with, expected)| (url, if with { form.clone() } else { Vec::new() }, expected))
        {
            assert_eq!(
                plivo_sign("MAtoken", url, &form, "05429567804466091622"),
                expected,
                "{url}"
            );
            assert!(plivo(
                "MAtoken",
                url,
                &form,
                "05429567804466091622",
                &format!("bad,{expected}")
            ));
            assert!(!plivo("MAtoken", url, &form, "05429567804466091623", expected));
            assert!(!plivo("MAother", url, &form, "05429567804466091622", expected));
            assert!(!plivo("", url, &form, "05429567804466091622", expected));
            let mut more = form.clone();
            more.extend(pairs(&[("From", "15550000000")]));
            assert!(!plivo("MAtoken", url, &more, "05429567804466091622", expected));
        }
    }

    #[test]
    fn telnyx_is_believed_for_five_minutes() {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a key");
        let key: [u8; 32] = pair.public_key().as_ref().try_into().expect("32 bytes");
        let body = b"CallSid=v3%3Aabc&From=%2B15551230001";
        let signature = BASE64_STANDARD.encode(pair.sign(&[b"1700000000|", body.as_slice()].concat()).as_ref());
        for (now, expected) in [
            (1_700_000_000, true),
            (1_700_000_300, true),
            (1_699_999_700, true),
            (1_700_000_301, false),
            (1_699_999_699, false),
        ] {
            assert_eq!(telnyx(&key, "1700000000", body, &signature, now), expected, "{now}");
        }
        assert!(!telnyx(&key, "1700000001", body, &signature, 1_700_000_000));
        assert!(!telnyx(&key, "", body, &signature, 1_700_000_000));
        assert!(!telnyx(&key, "1700000000", b"CallSid=other", &signature, 1_700_000_000));
        assert!(!telnyx(&[0; 32], "1700000000", body, &signature, 1_700_000_000));
        for bad in ["", "%%%", "AAAA", &signature[4..]] {
            assert!(!telnyx(&key, "1700000000", body, bad, 1_700_000_000), "{bad}");
        }
    }
}
