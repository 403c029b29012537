//! TLS for the connection: whom it trusts, and what it shows to the server.

use std::sync::Arc;

use fred::rustls::crypto::{CryptoProvider, ring};
use fred::rustls::pki_types::pem::PemObject as _;
use fred::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use fred::rustls::{ClientConfig, RootCertStore};
use fred::rustls_native_certs::load_native_certs;
use fred::types::config::{TlsConfig, TlsConnector};

use crate::error::ConnectError;

/// Whom the connection trusts, and what it shows to the server.
#[derive(Clone, Default)]
pub(crate) struct Tls {
    authorities: Option<Vec<u8>>,
    identity: Option<Identity>,
}

/// A certificate, those that lead from it to an authority, and its key.
#[derive(Clone)]
struct Identity {
    certificates: Vec<u8>,
    key: Vec<u8>,
}

impl Tls {
    /// Trusts these authorities, as PEM, in place of the system's.
    pub(crate) fn trust(&mut self, authorities: Vec<u8>) {
        self.authorities = Some(authorities);
    }

    /// Shows this certificate to the server; both are PEM.
    pub(crate) fn show(&mut self, certificates: Vec<u8>, key: Vec<u8>) {
        self.identity = Some(Identity { certificates, key });
    }

    /// Whether it was told nothing.
    pub(crate) fn is_default(&self) -> bool {
        self.authorities.is_none() && self.identity.is_none()
    }

    /// fred's configuration. No error quotes what did not parse: it may be a key.
    pub(crate) fn config(&self) -> Result<TlsConfig, ConnectError> {
        let roots = match &self.authorities {
            Some(pem) => roots_of(pem)?,
            None => system_roots()?,
        };
        // Not `ClientConfig::builder()`, which panics in an app that has a second provider built in.
        let provider = CryptoProvider::get_default()
            .cloned()
            .unwrap_or_else(|| Arc::new(ring::default_provider()));
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|_| refuse("the process's provider of cryptography knows no TLS 1.2 or 1.3"))?
            .with_root_certificates(roots);
        let config = match &self.identity {
            None => config.with_no_client_auth(),
            Some(identity) => {
                let (certificates, key) = identity.parse()?;
                config
                    .with_client_auth_cert(certificates, key)
                    .map_err(|_| refuse("the client's key does not belong to its certificate"))?
            }
        };
        Ok(TlsConnector::from(config).into())
    }
}

impl Identity {
    fn parse(
        &self,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), ConnectError> {
        let certificates = certificates(&self.certificates)
            .ok_or_else(|| refuse("the client's certificate is not PEM"))?;
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|_| refuse("the client's key is not PEM"))?;
        Ok((certificates, key))
    }
}

fn roots_of(pem: &[u8]) -> Result<RootCertStore, ConnectError> {
    let mut roots = RootCertStore::empty();
    let authorities =
        certificates(pem).ok_or_else(|| refuse("the authority's certificate is not PEM"))?;
    for authority in authorities {
        roots
            .add(authority)
            .map_err(|_| refuse("the authority's certificate cannot be read"))?;
    }
    Ok(roots)
}

/// Those that can be read: one that cannot does not make the others worth nothing.
fn system_roots() -> Result<RootCertStore, ConnectError> {
    let mut roots = RootCertStore::empty();
    match roots.add_parsable_certificates(load_native_certs().certs) {
        (0, _) => Err(refuse(
            "the system has no certificates of authorities (`with_tls_ca` gives one's own)",
        )),
        _ => Ok(roots),
    }
}

/// The certificates of a PEM text; `None` if there is none, or one is broken.
fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let certificates = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    certificates.ok().filter(|list| !list.is_empty())
}

fn refuse(why: &str) -> ConnectError {
    ConnectError::configuration(format!("TLS to Redis cannot be set up: {why}"))
}
