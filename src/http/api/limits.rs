//! How many requests a key and an address may make. Twilio's webhooks and streams are not asked: they are signed.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::http::{HeaderMap, StatusCode};
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use ipnet::IpNet;

use super::problem::Problem;
use crate::config::ApiLimits;

/// The limits of one server.
pub(super) struct Limits {
    keys: DefaultKeyedRateLimiter<String>,
    addresses: DefaultKeyedRateLimiter<IpAddr>,
    /// Proxies whose `X-Forwarded-For` is believed.
    proxies: Vec<IpNet>,
    asked: AtomicU32,
}

impl Limits {
    pub(super) fn new(limits: &ApiLimits) -> Self {
        let quota = |per_minute| Quota::per_minute(NonZeroU32::new(per_minute).unwrap_or(NonZeroU32::MIN));
        Self {
            keys: RateLimiter::keyed(quota(limits.per_key)),
            addresses: RateLimiter::keyed(quota(limits.per_address)),
            proxies: limits.proxies.clone(),
            asked: AtomicU32::new(0),
        }
    }

    /// One more request of an address.
    pub(super) fn address(&self, peer: SocketAddr, headers: &HeaderMap) -> Result<(), Problem> {
        // What is idle is forgotten from time to time, so that a flood from many addresses does not fill the memory for good.
        if self.asked.fetch_add(1, Ordering::Relaxed).is_multiple_of(SWEEP) {
            self.addresses.retain_recent();
            self.keys.retain_recent();
        }
        let address = network(self.client(peer, headers));
        let checked = self.addresses.check_key(&address);
        checked.map_err(|until| too_many("address", until.wait_time_from(DefaultClock::default().now())))
    }

    /// One more request of a key.
    pub(super) fn key(&self, id: &str) -> Result<(), Problem> {
        let checked = self.keys.check_key(&id.to_owned());
        checked.map_err(|until| too_many("key", until.wait_time_from(DefaultClock::default().now())))
    }

    /// Who asks. Each proxy adds at the end from whom it has the request: it is the last one that is no proxy of ours.
    pub(super) fn client(&self, peer: SocketAddr, headers: &HeaderMap) -> IpAddr {
        let ours = |address: &IpAddr| self.proxies.iter().any(|network| network.contains(address));
        let mut client = peer.ip().to_canonical();
        let forwarded = headers.get_all("x-forwarded-for").iter().rev();
        // What the client made up may be no text; what the proxies added is one for each comma all the same.
        let mut added = forwarded.flat_map(|value| value.as_bytes().rsplit(|&byte| byte == b','));
        let address = |part: &[u8]| str::from_utf8(part).ok()?.trim().parse::<IpAddr>().ok();
        while ours(&client) {
            let Some(from) = added.next().and_then(address) else {
                break;
            };
            client = from.to_canonical();
        }
        client
    }
}

/// One customer of a network provider has a /64 of IPv6 at least.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

fn too_many(whose: &str, wait: std::time::Duration) -> Problem {
    // Rounded up: after that long it works.
    let seconds = wait.as_secs() + 1;
    Problem::too_many(whose, u32::try_from(seconds).unwrap_or(u32::MAX))
}

/// Whether an answer says that nothing was done, so that the request may be made again as if it were new.
pub(super) fn nothing_done(status: StatusCode) -> bool {
    matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
}

/// Requests between two sweeps.
const SWEEP: u32 = 4096;

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn limits(proxies: &[&str]) -> Limits {
        Limits::new(&ApiLimits {
            per_key: 1,
            per_address: 1,
            proxies: proxies.iter().map(|net| net.parse().expect("a network")).collect(),
        })
    }

    fn headers(forwarded: impl AsRef<[u8]>) -> HeaderMap {
        HeaderMap::from_iter([(
            "x-forwarded-for".parse().expect("a name"),
            HeaderValue::from_bytes(forwarded.as_ref()).expect("a value"),
        )])
    }

    #[test]
    fn only_a_proxy_of_ours_is_believed() {
        let limits = limits(&["127.0.0.1/32", "10.9.0.0/16"]);
        let (proxy, stranger) = ("127.0.0.1:1".parse().unwrap(), "203.0.113.9:1".parse().unwrap());
        let none = HeaderMap::new();
        for (peer, headers, expected) in [
            (stranger, &none, "203.0.113.9"),
            (stranger, &headers("10.0.0.1"), "203.0.113.9"),
            (proxy, &none, "127.0.0.1"),
            // What the client claims itself comes first.
            (proxy, &headers("10.0.0.1, 198.51.100.7"), "198.51.100.7"),
            (proxy, &headers("nonsense"), "127.0.0.1"),
            (proxy, &headers(b"\xff, 198.51.100.7"), "198.51.100.7"),
            (proxy, &headers("caf\u{e9}, 198.51.100.7, 10.9.1.2"), "198.51.100.7"),
            (proxy, &headers(b"198.51.100.7, \xff"), "127.0.0.1"),
            // A chain of ours, and then whatever the client has made up.
            (proxy, &headers("10.0.0.1, 198.51.100.7, 10.9.1.2"), "198.51.100.7"),
            (proxy, &headers("10.9.1.2"), "10.9.1.2"),
            (stranger, &headers("10.9.1.2"), "203.0.113.9"),
        ] {
            assert_eq!(limits.client(peer, headers).to_string(), expected);
        }
    }

    #[test]
    fn a_network_is_one_address_and_each_has_its_own_limit() {
        let limits = limits(&[]);
        let none = HeaderMap::new();
        let ask = |peer: &str| limits.address(peer.parse().expect("an address"), &none).is_ok();
        assert!(ask("[2001:db8::1]:1") && !ask("[2001:db8::2]:1"));
        assert!(ask("[2001:db8:0:1::1]:1") && ask("192.0.2.1:1") && ask("192.0.2.2:1"));
        assert!(!ask("[::ffff:192.0.2.2]:1"), "the same address in other clothes");
        assert!(limits.key("a").is_ok() && limits.key("a").is_err() && limits.key("b").is_ok());
    }
}
