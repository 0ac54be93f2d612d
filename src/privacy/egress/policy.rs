//! The rules, as a pure function: from a purpose, a server and one of its addresses to yes or no.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use url::{Host, Url};

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// The language model: gets the text of conversations.
    Llm,
    /// Speech to text: gets what callers say.
    Stt,
    /// Text to speech: gets what the agent says.
    Tts,
    /// An agent's HTTP tool: gets its arguments.
    Tool,
    /// The database: gets every record.
    Database,
    /// Where measurements and traces are sent.
    Telemetry,
    /// Twilio's REST API: gets numbers, text messages and what is to become of a call, and no audio.
    Carrier,
}

impl Purpose {
    /// All there are.
    pub const ALL: [Self; 7] = [
        Self::Llm,
        Self::Stt,
        Self::Tts,
        Self::Tool,
        Self::Database,
        Self::Telemetry,
        Self::Carrier,
    ];

    /// One word, for tables and labels.
    pub fn name(self) -> &'static str {
        match self {
            Self::Llm => "llm",
            Self::Stt => "stt",
            Self::Tts => "tts",
            Self::Tool => "tool",
            Self::Database => "database",
            Self::Telemetry => "telemetry",
            Self::Carrier => "carrier",
        }
    }
}

/// How much may leave the house: `PRIVACY`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Nothing but what is listed.
    #[default]
    OnPrem,
    /// The language model, too.
    CloudLlm,
}

impl Mode {
    /// As it is configured.
    pub fn name(self) -> &'static str {
        match self {
            Self::OnPrem => "on-prem",
            Self::CloudLlm => "cloud-llm",
        }
    }
}

/// What may be contacted. The default is the strictest.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// How much may leave the house.
    pub mode: Mode,
    /// What may be contacted besides: `EGRESS_ALLOW`.
    pub allow: Vec<Allowed>,
}

/// One entry of `EGRESS_ALLOW`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    place: Place,
    /// `None`: every port.
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// A host by its name, wherever that leads. In lower case, without a dot at its end.
    Name(String),
    /// A network of ours: trusted like a private one.
    Net(IpNet),
}

/// A server, as a setting names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Its name or address.
    pub host: Host<String>,
    /// Its port.
    pub port: u16,
    /// Whether what is sent cannot be read on the way.
    pub encrypted: bool,
}

/// Why an address may be connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Loopback.
    ThisMachine,
    /// RFC 1918 and RFC 4193.
    Private,
    /// `EGRESS_ALLOW` has it.
    Listed,
    /// `PRIVACY=cloud-llm`, and it is the LLM.
    CloudLlm,
    /// Twilio's own API.
    Twilio,
}

/// Why an address may not be connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It is outside, and nothing lets it be contacted.
    Public(Mode),
    /// It may be contacted, but not without encryption.
    Plain,
    /// It is no address of a server: link-local (where clouds keep their metadata), multicast, unspecified.
    Special,
}

impl Policy {
    /// Whether `origin`, found at `address`, may be connected to.
    pub fn admit(&self, purpose: Purpose, origin: &Origin, address: IpAddr) -> Result<Rule, Why> {
        let address = address.to_canonical();
        if self.allow.iter().any(|entry| entry.holds(address, origin.port)) {
            return Ok(Rule::Listed);
        }
        if address.is_loopback() {
            return Ok(Rule::ThisMachine);
        }
        if is_private(address) {
            return Ok(Rule::Private);
        }
        if is_special(address) {
            return Err(Why::Special);
        }
        match self.outside(purpose, origin) {
            Some(rule) if origin.encrypted => Ok(rule),
            Some(_) => Err(Why::Plain),
            None => Err(Why::Public(self.mode)),
        }
    }

    /// Whether the server may be contacted wherever its name leads.
    pub fn trusts_name(&self, purpose: Purpose, origin: &Origin) -> bool {
        self.outside(purpose, origin).is_some()
    }

    /// What lets a server be contacted wherever it is.
    fn outside(&self, purpose: Purpose, origin: &Origin) -> Option<Rule> {
        if self.allow.iter().any(|entry| entry.names(origin)) {
            return Some(Rule::Listed);
        }
        match purpose {
            Purpose::Llm if self.mode == Mode::CloudLlm => Some(Rule::CloudLlm),
            Purpose::Carrier if origin.is_twilio() => Some(Rule::Twilio),
            Purpose::Llm | Purpose::Carrier => None,
            Purpose::Stt | Purpose::Tts | Purpose::Tool | Purpose::Database | Purpose::Telemetry => None,
        }
    }
}

impl Allowed {
    fn holds(&self, address: IpAddr, port: u16) -> bool {
        matches!(&self.place, Place::Net(net) if net.contains(&address)) && self.port.is_none_or(|only| only == port)
    }

    fn names(&self, origin: &Origin) -> bool {
        let named = match (&self.place, &origin.host) {
            (Place::Name(name), Host::Domain(host)) => *name == plain(host),
            (Place::Name(_) | Place::Net(_), _) => false,
        };
        named && self.port.is_none_or(|only| only == origin.port)
    }
}

/// `crm.example.org`, `crm.example.org:8443`, `203.0.113.0/24`, `203.0.113.7`, `203.0.113.7:443`, `2001:db8::/32`, `[2001:db8::1]:443`.
impl FromStr for Allowed {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let text = text.trim();
        if let Ok(net) = text.parse::<IpNet>() {
            return Ok(Self {
                place: Place::Net(net.trunc()),
                port: None,
            });
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self {
                place: Place::Net(address.to_canonical().into()),
                port: None,
            });
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().map_err(drop)?)),
            None => (text, None),
        };
        let place = match Host::parse(host).map_err(drop)? {
            Host::Ipv4(address) => Place::Net(IpAddr::from(address).into()),
            Host::Ipv6(address) => Place::Net(IpAddr::from(address).to_canonical().into()),
            // A wildcard would let in whoever can make a name there.
            Host::Domain(name) if name.contains('*') || name.is_empty() => return Err(()),
            Host::Domain(name) => Place::Name(plain(&name)),
        };
        Ok(Self { place, port })
    }
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.place, self.port) {
            (Place::Name(name), None) => f.write_str(name),
            (Place::Name(name), Some(port)) => write!(f, "{name}:{port}"),
            (Place::Net(net), None) => write!(f, "{net}"),
            (Place::Net(net), Some(port)) => write!(f, "{}", std::net::SocketAddr::new(net.addr(), port)),
        }
    }
}

impl Origin {
    /// Of an http or https URL; `None` for any other.
    pub fn of(url: &Url) -> Option<Self> {
        let encrypted = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        Some(Self {
            host: url.host()?.to_owned(),
            port: url.port_or_known_default()?,
            encrypted,
        })
    }

    /// Of a host as it stands in a setting.
    pub fn named(host: &str, port: u16, encrypted: bool) -> Self {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let host = match bare.parse::<IpAddr>() {
            Ok(IpAddr::V4(address)) => Host::Ipv4(address),
            Ok(IpAddr::V6(address)) => Host::Ipv6(address),
            Err(_) => Host::Domain(host.to_owned()),
        };
        Self { host, port, encrypted }
    }

    /// The address, where the host is one.
    pub fn literal(&self) -> Option<IpAddr> {
        match &self.host {
            Host::Ipv4(address) => Some((*address).into()),
            Host::Ipv6(address) => Some((*address).into()),
            Host::Domain(_) => None,
        }
    }

    fn is_twilio(&self) -> bool {
        matches!(&self.host, Host::Domain(name) if plain(name).ends_with(TWILIO))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ThisMachine => "this machine",
            Self::Private => "private network",
            Self::Listed => "EGRESS_ALLOW",
            Self::CloudLlm => "PRIVACY=cloud-llm",
            Self::Twilio => "Twilio's API",
        })
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Public(Mode::OnPrem) => f.write_str("a public address, and PRIVACY is on-prem"),
            Self::Public(Mode::CloudLlm) => {
                f.write_str("a public address, and PRIVACY=cloud-llm is for the language model only")
            }
            Self::Plain => f.write_str("a public address, to which nothing is sent without encryption"),
            Self::Special => f.write_str("a link-local, multicast or unspecified address, which is no server's"),
        }
    }
}

/// RFC 1918 and RFC 4193. Neither link-local, where clouds keep their metadata, nor the addresses that providers share among
/// their customers (RFC 6598): those are private only if `EGRESS_ALLOW` says so.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_private(),
        IpAddr::V6(address) => address.is_unique_local(),
    }
}

fn is_special(address: IpAddr) -> bool {
    let linked = match address {
        IpAddr::V4(address) => address.is_link_local() || address.is_broadcast() || address.octets()[0] == 0,
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    linked || address.is_unspecified() || address.is_multicast()
}

/// As names are compared.
fn plain(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

const TWILIO: &str = ".twilio.com";

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(mode: Mode, allow: &[&str]) -> Policy {
        let allow = allow.iter().map(|entry| entry.parse().expect(entry)).collect();
        Policy { mode, allow }
    }

    fn admit(policy: &Policy, purpose: Purpose, url: &str, address: &str) -> Result<Rule, Why> {
        let origin = Origin::of(&url.parse().expect("a URL")).expect("http");
        policy.admit(purpose, &origin, address.parse().expect("an address"))
    }

    #[test]
    fn on_premises_means_this_machine_and_private_networks() {
        let strict = Policy::default();
        for (address, expected) in [
            ("127.0.0.1", Ok(Rule::ThisMachine)),
            ("127.8.0.1", Ok(Rule::ThisMachine)),
            ("::1", Ok(Rule::ThisMachine)),
            ("::ffff:127.0.0.1", Ok(Rule::ThisMachine)),
            ("10.1.2.3", Ok(Rule::Private)),
            ("172.31.0.1", Ok(Rule::Private)),
            ("192.168.0.1", Ok(Rule::Private)),
            ("fd00::1", Ok(Rule::Private)),
            ("::ffff:10.0.0.1", Ok(Rule::Private)),
            ("8.8.8.8", Err(Why::Public(Mode::OnPrem))),
            ("172.32.0.1", Err(Why::Public(Mode::OnPrem))),
            ("100.64.0.1", Err(Why::Public(Mode::OnPrem))),
            ("2001:db8::1", Err(Why::Public(Mode::OnPrem))),
            ("::ffff:8.8.8.8", Err(Why::Public(Mode::OnPrem))),
            // Addresses that carry a private one in them lead elsewhere: 6to4, NAT64.
            ("2002:7f00:1::", Err(Why::Public(Mode::OnPrem))),
            ("64:ff9b::a00:1", Err(Why::Public(Mode::OnPrem))),
            ("169.254.169.254", Err(Why::Special)),
            ("fe80::1", Err(Why::Special)),
            ("0.0.0.0", Err(Why::Special)),
            ("::", Err(Why::Special)),
            ("224.0.0.1", Err(Why::Special)),
            ("255.255.255.255", Err(Why::Special)),
        ] {
            for purpose in Purpose::ALL {
                for scheme in ["http", "https"] {
                    let url = format!("{scheme}://server.example/");
                    assert_eq!(
                        admit(&strict, purpose, &url, address),
                        expected,
                        "{purpose:?} {address}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_cloud_is_for_the_model_only_and_never_in_the_clear() {
        let cloud = policy(Mode::CloudLlm, &[]);
        for purpose in Purpose::ALL {
            let told = admit(&cloud, purpose, "https://api.example.org/v1", "8.8.8.8");
            let expected = if purpose == Purpose::Llm {
                Ok(Rule::CloudLlm)
            } else {
                Err(Why::Public(Mode::CloudLlm))
            };
            assert_eq!(told, expected, "{purpose:?}");
        }
        let plain = admit(&cloud, Purpose::Llm, "http://api.example.org/v1", "8.8.8.8");
        assert_eq!(plain, Err(Why::Plain));
        let metadata = admit(&cloud, Purpose::Llm, "https://api.example.org/v1", "169.254.169.254");
        assert_eq!(metadata, Err(Why::Special));
    }

    #[test]
    fn only_twilio_is_twilio_and_only_its_api_is_the_carrier() {
        let strict = Policy::default();
        let ask = |purpose, url: &str| admit(&strict, purpose, url, "54.172.60.0");
        assert_eq!(ask(Purpose::Carrier, "https://api.twilio.com"), Ok(Rule::Twilio));
        assert_eq!(
            ask(Purpose::Carrier, "https://api.dublin.ie1.twilio.com."),
            Ok(Rule::Twilio)
        );
        assert_eq!(ask(Purpose::Carrier, "http://api.twilio.com"), Err(Why::Plain));
        for url in [
            "https://api.nottwilio.com",
            "https://api.twilio.com.example.org",
            "https://twilio.com",
        ] {
            assert_eq!(ask(Purpose::Carrier, url), Err(Why::Public(Mode::OnPrem)), "{url}");
        }
        let tool = ask(Purpose::Tool, "https://api.twilio.com");
        assert_eq!(tool, Err(Why::Public(Mode::OnPrem)), "a tool is no exception");
    }

    #[test]
    fn what_is_listed_is_allowed_and_nothing_beside_it() {
        let listed = policy(
            Mode::OnPrem,
            &[
                "CRM.example.org",
                "erp.example.org:8443",
                "100.64.0.0/10",
                "203.0.113.7:443",
                "2001:db8::/32",
            ],
        );
        let ask = |url: &str, address: &str| admit(&listed, Purpose::Tool, url, address);
        let public = Err(Why::Public(Mode::OnPrem));
        for (url, address, expected) in [
            ("https://crm.example.org/", "8.8.8.8", Ok(Rule::Listed)),
            ("https://crm.example.org.:9/", "8.8.8.8", Ok(Rule::Listed)),
            ("http://crm.example.org/", "8.8.8.8", Err(Why::Plain)),
            ("https://crm.example.org/", "169.254.169.254", Err(Why::Special)),
            ("https://a.crm.example.org/", "8.8.8.8", public),
            ("https://erp.example.org:8443/", "8.8.8.8", Ok(Rule::Listed)),
            ("https://erp.example.org/", "8.8.8.8", public),
            // A network that is listed is one of the house's: the entry vouches for the way there.
            ("http://box/", "100.127.0.1", Ok(Rule::Listed)),
            ("http://box/", "100.128.0.1", public),
            ("https://box/", "203.0.113.7", Ok(Rule::Listed)),
            ("http://box/", "203.0.113.7", public),
            ("https://box/", "203.0.113.8", public),
            ("http://box/", "2001:db8:9::1", Ok(Rule::Listed)),
            ("http://box/", "2001:db9::1", public),
        ] {
            assert_eq!(ask(url, address), expected, "{url} at {address}");
        }
    }

    #[test]
    fn entries_are_shown_as_they_are_meant() {
        for (text, shown) in [
            ("Crm.Example.org.", "crm.example.org"),
            ("crm.example.org:8443", "crm.example.org:8443"),
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("203.0.113.7", "203.0.113.7/32"),
            ("203.0.113.7:443", "203.0.113.7:443"),
            ("2001:db8::1", "2001:db8::1/128"),
            ("[2001:db8::1]:443", "[2001:db8::1]:443"),
        ] {
            let entry: Allowed = text.parse().expect(text);
            assert_eq!(entry.to_string(), shown);
        }
        for text in [
            "",
            "*",
            "*.example.org",
            "a b",
            "host:",
            "host:99999",
            "10.0.0.0/33",
            "https://x",
            "x/y",
            "[::1",
        ] {
            assert!(text.parse::<Allowed>().is_err(), "{text}");
        }
    }
}
