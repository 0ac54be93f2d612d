//! TLS at the listener, by rustls: 1.2 and 1.3. The certificate is read again when its files change; connections that are open
//! keep the one they began with, so no call is dropped for it.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::serve::{Listener, ListenerExt as _};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::headers::secured;
use crate::config::TlsFiles;

/// What this server proves who it is with, as its files are.
pub struct Certificate {
    files: TlsFiles,
    current: RwLock<Arc<CertifiedKey>>,
    /// What the files looked like when they were last read, good or not.
    seen: Mutex<Stamps>,
}

/// Why the files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// One of them cannot be read.
    #[error("{key} {path} cannot be used: {reason}. {remedy}")]
    File {
        /// The setting.
        key: &'static str,
        /// The file.
        path: String,
        /// What is wrong with it; nothing of what it holds.
        reason: String,
        /// What to do.
        remedy: &'static str,
    },
    /// Both are good, but not for each other.
    #[error("TLS_CERT {cert} and TLS_KEY {key} do not belong together: {reason}. Give both files of one certificate")]
    Pair {
        /// The certificate's file.
        cert: String,
        /// The key's.
        key: String,
        /// What rustls says.
        reason: String,
    },
}

impl Certificate {
    /// Reads the files.
    pub fn read(files: TlsFiles) -> Result<Arc<Self>, CertificateError> {
        let seen = Mutex::new(stamps(&files));
        let current = RwLock::new(Arc::new(load(&files)?));
        Ok(Arc::new(Self { files, current, seen }))
    }

    /// Reads the files again if they have changed. A pair that is not good, such as one of which only half is written yet, changes
    /// nothing.
    pub fn look(&self) -> Result<bool, CertificateError> {
        let now = stamps(&self.files);
        let before = {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *seen, now)
        };
        if now == before {
            return Ok(false);
        }
        let loaded = Arc::new(load(&self.files)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = loaded;
        Ok(true)
    }

    /// Looks from time to time, for as long as the server runs.
    pub async fn follow(self: Arc<Self>) {
        let mut look = tokio::time::interval(LOOK);
        loop {
            look.tick().await;
            match self.look() {
                Ok(false) => {}
                Ok(true) => tracing::info!("the certificate was read again; new connections have it"),
                Err(error) => {
                    tracing::error!(%error, "the certificate stays as it was, because the new one cannot be used: {error}");
                }
            }
        }
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Certificate").field(&self.files).finish()
    }
}

/// Answers by https and wss what comes to the listener, until the task is aborted; what is open then goes on.
pub fn spawn(
    tcp: TcpListener,
    routes: Router,
    certificate: Arc<Certificate>,
) -> Result<JoinHandle<io::Result<()>>, rustls::Error> {
    // What is tapped tells axum who has connected.
    let listener = TlsListener::new(tcp, certificate)?.tap_io(|_| {});
    let service = secured(routes).into_make_service_with_connect_info::<SocketAddr>();
    Ok(tokio::spawn(async move { axum::serve(listener, service).await }))
}

/// A listener whose connections have shaken hands. Who does not in time is let go; nobody waits for them.
struct TlsListener {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
    handshakes: JoinSet<Option<(TlsStream<TcpStream>, SocketAddr)>>,
}

impl TlsListener {
    /// Shows `certificate` to who connects.
    fn new(tcp: TcpListener, certificate: Arc<Certificate>) -> Result<Self, rustls::Error> {
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?;
        let mut config = config.with_no_client_auth().with_cert_resolver(certificate);
        // Media streams are WebSockets, which we speak over HTTP/1.1.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            tcp,
            acceptor: TlsAcceptor::from(Arc::new(config)),
            handshakes: JoinSet::new(),
        })
    }

    fn shake_hands(&mut self, stream: TcpStream, peer: SocketAddr) {
        // A frame of audio waits for no other.
        let _ = stream.set_nodelay(true);
        let accepting = self.acceptor.accept(stream);
        self.handshakes.spawn(async move {
            match tokio::time::timeout(HANDSHAKE, accepting).await {
                Ok(Ok(stream)) => Some((stream, peer)),
                Ok(Err(error)) => {
                    tracing::debug!(%error, "a TLS handshake failed: {error}");
                    None
                }
                Err(_) => None,
            }
        });
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            tokio::select! {
                Some(done) = self.handshakes.join_next() => {
                    if let Ok(Some(connection)) = done {
                        return connection;
                    }
                }
                (stream, peer) = Listener::accept(&mut self.tcp), if self.handshakes.len() < MAX_HANDSHAKES => {
                    self.shake_hands(stream, peer);
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

fn load(files: &TlsFiles) -> Result<CertifiedKey, CertificateError> {
    let wrong = |key, path: &Path, error: pem::Error, remedy| CertificateError::File {
        key,
        path: path.display().to_string(),
        reason: explain(&error),
        remedy,
    };
    let chain: Result<Vec<_>, pem::Error> =
        CertificateDer::pem_file_iter(&files.cert).and_then(|certificates| certificates.collect());
    let chain = chain.and_then(|chain| {
        if chain.is_empty() {
            Err(pem::Error::NoItemsFound)
        } else {
            Ok(chain)
        }
    });
    let chain = chain.map_err(|error| wrong("TLS_CERT", &files.cert, error, CERT))?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| wrong("TLS_KEY", &files.key, error, KEY))?;
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(|error| CertificateError::Pair {
        cert: files.cert.display().to_string(),
        key: files.key.display().to_string(),
        reason: error.to_string(),
    })
}

/// Without anything of a file that may hold a key.
fn explain(error: &pem::Error) -> String {
    if let pem::Error::Io(error) = error {
        error.to_string()
    } else if matches!(error, pem::Error::NoItemsFound) {
        "it holds none in PEM form".to_owned()
    } else {
        "it is no good PEM file".to_owned()
    }
}

/// When both files were last changed, and how long they were.
type Stamps = [Option<(SystemTime, u64)>; 2];

fn stamps(files: &TlsFiles) -> Stamps {
    [&files.cert, &files.key].map(|path| {
        let file = std::fs::metadata(path).ok()?;
        Some((file.modified().ok()?, file.len()))
    })
}

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);
/// A telephone network shakes hands within a second.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// That have not ended; more wait in the system's queue.
const MAX_HANDSHAKES: usize = 256;
const CERT: &str = "Write the certificate with its chain there (fullchain.pem), readable for this user";
const KEY: &str =
    "Write the certificate's private key there (privkey.pem), without a passphrase, readable for this user only";
