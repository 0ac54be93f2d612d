//! The management API.

use std::net::IpAddr;

use ipnet::IpNet;

use super::parse::{self, Bad, Reader};

/// How many requests the management API takes, and whose word it takes for where they come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiLimits {
    /// Requests a minute of one key. Default 600: a program that looks every second, ten times over.
    pub per_key: u32,
    /// Requests a minute of one address, good key or not. Default 1200: two busy programs on one machine.
    pub per_address: u32,
    /// Proxies whose `X-Forwarded-For` is believed. Default this machine.
    pub proxies: Vec<IpNet>,
}

impl ApiLimits {
    pub(super) fn parse(reader: &mut Reader<'_>) -> Self {
        Self {
            per_key: reader.or_default("API_RATE_PER_KEY", parse::number(1, MOST)),
            per_address: reader.or_default("API_RATE_PER_ADDRESS", parse::number(1, MOST)),
            proxies: reader.or_default("TRUSTED_PROXIES", networks),
        }
    }

    pub(super) fn describe(&self, lines: &mut Vec<(&'static str, String)>) {
        let proxies: Vec<String> = self.proxies.iter().map(shown).collect();
        lines.extend([
            ("API_RATE_PER_KEY", self.per_key.to_string()),
            ("API_RATE_PER_ADDRESS", self.per_address.to_string()),
            ("TRUSTED_PROXIES", proxies.join(",")),
        ]);
    }
}

fn networks(value: &str) -> Result<Vec<IpNet>, Bad> {
    let network = |text: &str| {
        let address = text.parse::<IpAddr>().ok().map(|ip| IpNet::from(ip.to_canonical()));
        address.or_else(|| text.parse::<IpNet>().ok().map(|net| net.trunc()))
    };
    let parsed: Option<_> = value.split(',').map(|text| network(text.trim())).collect();
    parsed.ok_or_else(|| Bad::new("IP addresses and networks, separated by commas"))
}

fn shown(network: &IpNet) -> String {
    if network.prefix_len() == network.max_prefix_len() {
        network.addr().to_string()
    } else {
        network.to_string()
    }
}

/// More than any limit that limits.
const MOST: u32 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_addresses() {
        let parsed = networks("127.0.0.1, ::1,::ffff:10.0.0.1,10.9.8.7/16").expect("good");
        assert_eq!(
            parsed.iter().map(shown).collect::<Vec<_>>(),
            ["127.0.0.1", "::1", "10.0.0.1", "10.9.0.0/16"]
        );
        for bad in ["proxy", "10.0.0.0/33", "127.0.0.1,"] {
            assert!(networks(bad).is_err(), "{bad}");
        }
    }
}
