//! Addresses, directories, limits.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use url::{Host, Url};

use super::or_unset;
use super::parse::{self, Bad, Reader};

/// How the server is reached, where its files are, how much it takes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Address and port to listen on. Default `0.0.0.0:8080`: every interface, a port that needs no root.
    pub bind: SocketAddr,
    /// The certificate to listen with. No default: TLS ends at a proxy, or there is none.
    pub tls: Option<TlsFiles>,
    /// What the server writes. Default `./data`.
    pub data_dir: PathBuf,
    /// Whether calls are recorded. Default no.
    pub recording: bool,
    /// Recordings of calls. Default `recordings` in `data_dir`.
    pub recordings_dir: PathBuf,
    /// Model files. Default `./models`.
    pub models_dir: PathBuf,
    /// Agent files. Default `./agents`.
    pub agents_dir: PathBuf,
    /// The address Twilio uses, perhaps with a path prefix; its path has no trailing slash unless it is `/` alone. No default:
    /// a server behind a proxy cannot know it, and signatures are made over it.
    pub public_url: Option<Url>,
    /// More addresses that lead here: requests signed for them are as good, and answered with them. No default.
    pub also_public: Vec<Url>,
    /// Calls at the same time; one more is refused politely. `None`: 4 per core, as callers rarely end a turn together.
    pub max_calls: Option<usize>,
    /// How long calls may go on after the server is told to stop. Default 30 s: what container platforms allow.
    pub shutdown_grace: Duration,
    /// Where models are pulled from, without a trailing slash. Default Hugging Face; set it to a mirror of your own.
    pub hf_endpoint: String,
}

/// A certificate with its chain, and its key, both PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// `TLS_CERT`.
    pub cert: PathBuf,
    /// `TLS_KEY`.
    pub key: PathBuf,
}

impl Server {
    pub(super) fn parse(reader: &mut Reader<'_>) -> Self {
        let mut public = reader
            .optional("PUBLIC_URL", public_urls)
            .unwrap_or_default()
            .into_iter();
        let data_dir = PathBuf::from(reader.or_default("DATA_DIR", parse::text));
        let recordings = reader.optional("RECORDINGS_DIR", parse::text);
        Self {
            recording: reader.or_default("RECORDING", parse::on_or_off),
            recordings_dir: recordings.map_or_else(|| data_dir.join("recordings"), PathBuf::from),
            data_dir,
            bind: reader.or_default("BIND", socket_addr),
            tls: tls_files(reader),
            models_dir: reader.or_default("MODELS_DIR", parse::text).into(),
            agents_dir: reader.or_default("AGENTS_DIR", parse::text).into(),
            public_url: public.next(),
            also_public: public.collect(),
            max_calls: reader.optional("MAX_CALLS", parse::count(65_535)),
            shutdown_grace: reader.or_default("SHUTDOWN_GRACE", parse::duration(Duration::ZERO, MAX_GRACE)),
            hf_endpoint: reader.or_default("HF_ENDPOINT", parse::base_url("https://huggingface.co")),
        }
    }

    pub(super) fn describe(&self, lines: &mut Vec<(&'static str, String)>) {
        let public: Vec<&str> = self
            .public_url
            .iter()
            .chain(&self.also_public)
            .map(Url::as_str)
            .collect();
        let public = (!public.is_empty()).then(|| public.join(","));
        lines.extend([
            ("BIND", self.bind.to_string()),
            ("TLS_CERT", shown(self.tls.as_ref().map(|tls| &tls.cert))),
            ("TLS_KEY", shown(self.tls.as_ref().map(|tls| &tls.key))),
            ("DATA_DIR", self.data_dir.display().to_string()),
            ("RECORDING", if self.recording { "on" } else { "off" }.to_owned()),
            ("RECORDINGS_DIR", self.recordings_dir.display().to_string()),
            ("MODELS_DIR", self.models_dir.display().to_string()),
            ("AGENTS_DIR", self.agents_dir.display().to_string()),
            ("PUBLIC_URL", or_unset(public.as_ref(), "not set")),
            ("MAX_CALLS", or_unset(self.max_calls.as_ref(), "4 per core")),
            ("SHUTDOWN_GRACE", parse::show_duration(self.shutdown_grace)),
            ("HF_ENDPOINT", self.hf_endpoint.clone()),
        ]);
    }
}

/// Whether only this machine or its private network can reach the address. When in doubt it counts as public.
pub fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback() || ip.is_private() || ip.is_link_local() || ip.is_unspecified(),
        Some(Host::Ipv6(ip)) => {
            ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_unspecified()
        }
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            // A name without a dot is one of a container network or a hosts file.
            !name.contains('.') || LOCAL_DOMAINS.iter().any(|domain| name.ends_with(domain))
        }
        None => false,
    }
}

/// Both or neither.
fn tls_files(reader: &mut Reader<'_>) -> Option<TlsFiles> {
    let cert = reader.optional("TLS_CERT", parse::text);
    let key = reader.optional("TLS_KEY", parse::text);
    if cert.is_some() != key.is_some() {
        reader.conflict(
            "one of TLS_CERT and TLS_KEY is not set, and TLS needs both: set them to the certificate's file and its key's, or unset both"
                .to_owned(),
        );
    }
    let (cert, key) = (cert?.into(), key?.into());
    Some(TlsFiles { cert, key })
}

fn shown(path: Option<&PathBuf>) -> String {
    path.map_or_else(|| "not set".to_owned(), |path| path.display().to_string())
}

/// One address or several with commas between.
fn public_urls(value: &str) -> Result<Vec<Url>, Bad> {
    let parse = parse::http_url("https://phone.example.org");
    let each = value.split(',').map(|url| parse(url.trim()));
    each.collect::<Result<_, _>>().map_err(|bad| {
        // What is wrong with one may stand beside another's password.
        if value.contains('@') {
            bad.shown_as("URLs not shown, as they may hold a password")
        } else {
            bad
        }
    })
}

fn socket_addr(value: &str) -> Result<SocketAddr, Bad> {
    let expected = "an IP address and a port";
    value.parse().map_err(|_| {
        // The commonest slips: a port alone, and a name where an address belongs.
        let port = value.rsplit(':').next().and_then(|port| port.parse::<u16>().ok());
        match port {
            Some(port) if value.starts_with("localhost:") => Bad::new(expected).example(format!("127.0.0.1:{port}")),
            Some(port) => Bad::new(expected).example(format!("0.0.0.0:{port}")),
            None => Bad::new(expected),
        }
    })
}

/// Longest grace: a call that lasts longer than this after a stop is not finishing.
const MAX_GRACE: Duration = Duration::from_secs(3600);

/// Domains that the public DNS does not serve (RFC 6761, RFC 6762, ICANN's `.internal`).
const LOCAL_DOMAINS: &[&str] = &[".localhost", ".local", ".internal"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_addresses() {
        let cases = [
            ("http://localhost:8080", true),
            ("http://127.0.0.1", true),
            ("http://10.1.2.3", true),
            ("http://192.168.0.7", true),
            ("http://172.16.0.1", true),
            ("http://[::1]:8080", true),
            ("http://[fd00::1]", true),
            ("http://tieline:8080", true),
            ("http://box.local", true),
            ("https://phone.example.org", false),
            ("https://8.8.8.8", false),
            ("https://172.32.0.1", false),
            ("https://notlocalhost.com", false),
            ("https://local.example.org", false),
            ("https://[2001:db8::1]", false),
        ];
        for (text, expected) in cases {
            assert_eq!(is_local(&Url::parse(text).expect(text)), expected, "{text}");
        }
    }
}
