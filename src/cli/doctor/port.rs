//! The port: free, ours already, or somebody else's.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use super::page::Line;
use crate::http::Identity;
use crate::http::tls::{Certificate, CertificateError};

/// Who has the port.
pub(super) enum Port {
    /// Nobody; it is ours for the moment.
    Free(TcpListener),
    /// A running tieline.
    Running(Identity),
    /// Another program.
    Taken,
    /// It cannot be listened on.
    Refused(io::Error),
}

/// `tls` tells whether our server would speak https there.
pub(super) async fn look(bind: SocketAddr, tls: bool) -> Port {
    match TcpListener::bind(bind).await {
        Ok(listener) => Port::Free(listener),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => match ask(bind, tls).await {
            Some(identity) if identity.service == Identity::SERVICE => Port::Running(identity),
            _ => Port::Taken,
        },
        Err(error) => Port::Refused(error),
    }
}

async fn ask(bind: SocketAddr, tls: bool) -> Option<Identity> {
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(PATIENCE)
        // The certificate is for another name than this address, and nothing is told but a question.
        .tls_danger_accept_invalid_certs(tls)
        .build()
        .ok()?;
    let scheme = if tls { "https" } else { "http" };
    let url = format!("{scheme}://{}{}", near(bind), Identity::PATH);
    let answer = client.get(url).send().await.ok()?;
    super::public::read_identity(answer).await
}

/// How this machine reaches what listens there.
fn near(bind: SocketAddr) -> SocketAddr {
    let ip = match bind.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    SocketAddr::new(ip, bind.port())
}

pub(super) fn judge(bind: SocketAddr, port: &Port) -> Line {
    match port {
        Port::Free(_) => Line::ok(TOPIC, format!("BIND {bind} is free")),
        Port::Running(identity) => Line::ok(TOPIC, format!("tieline {} is running at BIND {bind}", identity.version)),
        Port::Taken => Line::fail(
            TOPIC,
            format!("BIND {bind} is in use by another program, or by a tieline that does not answer"),
            format!(
                "stop it (ss -ltnp 'sport = :{}' names it), or set BIND to another port",
                bind.port()
            ),
        ),
        Port::Refused(error) => Line::fail(
            TOPIC,
            format!("BIND {bind} cannot be listened on: {error}"),
            remedy(error.kind()),
        ),
    }
}

/// The certificate, where TLS ends here.
pub(super) fn judge_certificate(read: &Result<Arc<Certificate>, CertificateError>) -> Line {
    match read {
        Ok(_) => Line::ok(TLS, "TLS_CERT and TLS_KEY can be read, and belong together"),
        Err(error) => {
            let message = error.to_string();
            let (found, remedy) = message
                .rsplit_once(". ")
                .unwrap_or((&message, "correct TLS_CERT or TLS_KEY"));
            Line::fail(TLS, found, remedy)
        }
    }
}

/// The port for a PBX, which the running server has, too.
pub(super) async fn look_at_pbx(bind: SocketAddr, port: &Port) -> Line {
    match TcpListener::bind(bind).await {
        Ok(_) => Line::ok(TOPIC, format!("AUDIOSOCKET_BIND {bind} is free")),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && matches!(port, Port::Running(_)) => {
            Line::ok(TOPIC, format!("AUDIOSOCKET_BIND {bind} is in use while tieline runs"))
        }
        Err(error) => Line::fail(
            TOPIC,
            format!("AUDIOSOCKET_BIND {bind} cannot be listened on: {error}"),
            "stop what uses it, or set AUDIOSOCKET_BIND to another address of this machine",
        ),
    }
}

fn remedy(kind: io::ErrorKind) -> &'static str {
    if kind == io::ErrorKind::PermissionDenied {
        "ports below 1024 are for root: set BIND to 127.0.0.1:8080 behind a proxy"
    } else if kind == io::ErrorKind::AddrNotAvailable {
        "this machine has no such address: set BIND to 0.0.0.0:8080, or 127.0.0.1:8080 behind a proxy"
    } else {
        "set BIND to 127.0.0.1:8080, or another free port"
    }
}

const TOPIC: &str = "port";
const TLS: &str = "tls";
const PATIENCE: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_interface_is_reached_by_loopback() {
        for (bind, reached) in [
            ("0.0.0.0:8080", "127.0.0.1:8080"),
            ("[::]:80", "[::1]:80"),
            ("10.0.0.1:8080", "10.0.0.1:8080"),
        ] {
            assert_eq!(near(bind.parse().expect("an address")).to_string(), reached);
        }
    }
}
