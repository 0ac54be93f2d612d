//! Whose certificates a simulated caller accepts: those of the system's authorities, and of one of its own for a server
//! that is tried out with a certificate made at home.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio_tungstenite::Connector;

use super::CallError;

/// Authorities beside the system's.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    own: Vec<CertificateDer<'static>>,
}

impl Trust {
    /// The system's authorities and those of a PEM file. A self-signed certificate is its own authority.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or holds no certificate.
    pub fn with_file(path: &Path) -> Result<Self, CallError> {
        let wrong = |reason: String| CallError::Authority {
            path: path.display().to_string(),
            reason,
        };
        let text = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
        let own: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
        let own = own.map_err(|error| wrong(error.to_string()))?;
        if own.is_empty() {
            return Err(wrong("it holds no certificate in PEM form".to_owned()));
        }
        Ok(Self { own })
    }

    /// For the webhook and the trace.
    pub(super) fn http(&self, client: reqwest::ClientBuilder) -> Result<reqwest::ClientBuilder, CallError> {
        let own = self
            .own
            .iter()
            .map(|certificate| reqwest::Certificate::from_der(certificate));
        let own: Result<Vec<_>, _> = own.collect();
        let own = own.map_err(CallError::Client)?;
        Ok(own
            .into_iter()
            .fold(client, reqwest::ClientBuilder::add_root_certificate))
    }

    /// For the media stream; `None` leaves it to the system's authorities.
    pub(super) fn socket(&self) -> Result<Option<Connector>, String> {
        if self.own.is_empty() {
            return Ok(None);
        }
        let mut roots = RootCertStore::empty();
        // What of the system cannot be read is not trusted.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        for certificate in &self.own {
            roots.add(certificate.clone()).map_err(|error| error.to_string())?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Some(Connector::Rustls(Arc::new(config))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificate_is_refused() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("ca.pem");
        assert!(Trust::with_file(&path).is_err());
        std::fs::write(&path, "no certificate").expect("written");
        let error = Trust::with_file(&path).expect_err("no certificate").to_string();
        assert!(
            error.contains("ca.pem") && error.contains("holds no certificate"),
            "{error}"
        );
    }
}
