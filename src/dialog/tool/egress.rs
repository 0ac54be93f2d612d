//! Where tools may connect to.
//!
//! https goes anywhere, plain http only to this machine and private networks. Each URL, redirects included, passes [`allowed`];
//! names in plain http are looked up by `PrivateOnly`, so that what was allowed is what is connected to.

use std::net::{IpAddr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Why a URL is not asked. Holds no part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Neither http nor https.
    #[error("only http and https are allowed")]
    Scheme,
    /// What is sent could be read on the way.
    #[error("plain http is allowed to this machine and private networks only; use https")]
    Plain,
}

/// The one place that decides.
pub fn allowed(url: &Url) -> Result<(), Refusal> {
    match (url.scheme(), url.host()) {
        ("https", Some(_)) => Ok(()),
        ("http", Some(host)) => match host {
            Host::Ipv4(address) if !is_private(address.into()) => Err(Refusal::Plain),
            Host::Ipv6(address) if !is_private(address.into()) => Err(Refusal::Plain),
            // Decided when the name is looked up.
            Host::Ipv4(_) | Host::Ipv6(_) | Host::Domain(_) => Ok(()),
        },
        _ => Err(Refusal::Scheme),
    }
}

/// Looks names up as the system does and leaves out every public address.
#[derive(Debug, Clone, Copy)]
pub(super) struct PrivateOnly;

impl Resolve for PrivateOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            // The connector puts the port in.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let private = private_only(found);
            if private.is_empty() {
                return Err(Box::from(Refusal::Plain));
            }
            Ok(Box::new(private.into_iter()) as Addrs)
        })
    }
}

fn private_only(found: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    found.filter(|address| is_private(address.ip())).collect()
}

/// Loopback, RFC 1918 and RFC 4193. Not link-local, where clouds keep their metadata.
fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_loopback() || address.is_private(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_anywhere_http_at_home() {
        let check = |url: &str| allowed(&url.parse().expect("a URL"));
        for url in [
            "https://api.example.com/x",
            "https://8.8.8.8/",
            "http://localhost:8080/",
            "http://crm.internal/",
            "http://127.0.0.1/",
            "http://2130706433/",
            "http://10.1.2.3/",
            "http://172.31.0.1/",
            "http://192.168.0.1/",
            "http://[::1]/",
            "http://[fd00::1]/",
            "http://[::ffff:10.0.0.1]/",
        ] {
            assert_eq!(check(url), Ok(()), "{url}");
        }
        for url in [
            "http://8.8.8.8/",
            "http://0x08080808/",
            "http://169.254.169.254/latest/meta-data",
            "http://0.0.0.0/",
            "http://100.64.0.1/",
            "http://172.32.0.1/",
            "http://[2001:db8::1]/",
            "http://[fe80::1]/",
            "http://[::ffff:8.8.8.8]/",
            "http://[::]/",
        ] {
            assert_eq!(check(url), Err(Refusal::Plain), "{url}");
        }
        for url in [
            "ftp://127.0.0.1/",
            "file:///etc/passwd",
            "data:text/plain,x",
            "ws://127.0.0.1/",
        ] {
            assert_eq!(check(url), Err(Refusal::Scheme), "{url}");
        }
    }

    #[test]
    fn a_name_that_also_leads_outside_leads_home_only() {
        let addresses = [
            "8.8.8.8:0",
            "10.0.0.1:0",
            "169.254.169.254:0",
            "[::1]:0",
            "[2001:db8::1]:0",
        ];
        let found = addresses.map(|address| address.parse::<SocketAddr>().expect("an address"));
        let home = private_only(found.into_iter());
        assert_eq!(home, [found[1], found[3]]);
    }
}
