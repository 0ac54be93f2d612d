//! The management API.

use std::net::IpAddr;

use super::parse::{self, Bad, Reader};

/// How many requests the management API takes, and whose word it takes for where they come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiLimits {
    /// Requests a minute of one key. Default 600: a program that looks every second, ten times over.
    pub per_key: u32,
    /// Requests a minute of one address, good key or not. Default 1200: two busy programs on one machine.
    pub per_address: u32,
    /// Proxies whose `X-Forwarded-For` is believed. Default this machine.
    pub proxies: Vec<IpAddr>,
}

impl ApiLimits {
    pub(super) fn parse(reader: &mut Reader<'_>) -> Self {
        Self {
            per_key: reader.or_default("API_RATE_PER_KEY", parse::number(1, MOST)),
            per_address: reader.or_default("API_RATE_PER_ADDRESS", parse::number(1, MOST)),
            proxies: reader.or_default("API_PROXIES", addresses),
        }
    }

    pub(super) fn describe(&self, lines: &mut Vec<(&'static str, String)>) {
        let proxies: Vec<String> = self.proxies.iter().map(ToString::to_string).collect();
        lines.extend([
            ("API_RATE_PER_KEY", self.per_key.to_string()),
            ("API_RATE_PER_ADDRESS", self.per_address.to_string()),
            ("API_PROXIES", proxies.join(",")),
        ]);
    }
}

fn addresses(value: &str) -> Result<Vec<IpAddr>, Bad> {
    let parsed = value
        .split(',')
        .map(|text| text.trim().parse().map(|ip: IpAddr| ip.to_canonical()));
    let parsed: Result<_, _> = parsed.collect();
    parsed.map_err(|_| Bad::new("IP addresses, separated by commas"))
}

/// More than any limit that limits.
const MOST: u32 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_addresses() {
        let parsed = addresses("127.0.0.1, ::1,::ffff:10.0.0.1").expect("good");
        assert_eq!(
            parsed.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["127.0.0.1", "::1", "10.0.0.1"]
        );
        for bad in ["proxy", "10.0.0.0/8", "127.0.0.1,"] {
            assert!(addresses(bad).is_err(), "{bad}");
        }
    }
}
