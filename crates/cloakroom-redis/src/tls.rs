//! TLS: the trusted certificate authorities, and the client's certificate.

use std::sync::Arc;

use fred::rustls::crypto::{CryptoProvider, ring};
use fred::rustls::pki_types::pem::PemObject as _;
use fred::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use fred::rustls::{ClientConfig, RootCertStore};
use fred::rustls_native_certs::load_native_certs;
use fred::types::config::{TlsConfig, TlsConnector};

use crate::address::Address;
use crate::error::ConnectError;

/// The TLS options of a store.
#[derive(Clone, Default)]
pub(crate) struct Tls {
    authorities: Option<Vec<u8>>,
    identity: Option<Identity>,
}

/// A client certificate with its intermediate certificates, and its private key, as PEM.
#[derive(Clone)]
struct Identity {
    certificates: Vec<u8>,
    key: Vec<u8>,
}

impl Tls {
    /// Trusts these authorities, as PEM, instead of the system's.
    pub(crate) fn set_authorities(&mut self, authorities: Vec<u8>) {
        self.authorities = Some(authorities);
    }

    /// Sends this certificate to the server; both are PEM.
    pub(crate) fn set_client_certificate(&mut self, certificates: Vec<u8>, key: Vec<u8>) {
        self.identity = Some(Identity { certificates, key });
    }

    /// Configures an address, if its URL asks for TLS.
    pub(crate) fn apply(&self, address: &mut Address) -> Result<(), ConnectError> {
        if address.tls {
            address.config.tls = Some(self.config()?);
        } else if !self.is_default() {
            return Err(ConnectError::configuration(
                "certificates for TLS to Redis are configured, but the URL does not ask for TLS: its \
                 scheme must start with `rediss`",
            ));
        }
        Ok(())
    }

    fn is_default(&self) -> bool {
        self.authorities.is_none() && self.identity.is_none()
    }

    /// fred's configuration. No error quotes a text that is not PEM: it may be a key.
    fn config(&self) -> Result<TlsConfig, ConnectError> {
        let roots = match &self.authorities {
            Some(pem) => roots_of(pem)?,
            None => system_roots()?,
        };
        // Not `ClientConfig::builder()`, which panics if the app is built with a second provider.
        let provider = CryptoProvider::get_default()
            .cloned()
            .unwrap_or_else(|| Arc::new(ring::default_provider()));
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|_| {
                invalid("the cryptography provider of the process supports neither TLS 1.2 nor 1.3")
            })?
            .with_root_certificates(roots);
        let config = match &self.identity {
            None => config.with_no_client_auth(),
            Some(identity) => {
                let (certificates, key) = identity.parse()?;
                config
                    .with_client_auth_cert(certificates, key)
                    .map_err(|_| invalid("the client's key does not match its certificate"))?
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
            .ok_or_else(|| invalid("the client's certificate is not PEM"))?;
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|_| invalid("the client's key is not PEM"))?;
        Ok((certificates, key))
    }
}

fn roots_of(pem: &[u8]) -> Result<RootCertStore, ConnectError> {
    let mut roots = RootCertStore::empty();
    let authorities =
        certificates(pem).ok_or_else(|| invalid("the authority's certificate is not PEM"))?;
    for authority in authorities {
        roots
            .add(authority)
            .map_err(|_| invalid("the authority's certificate cannot be parsed"))?;
    }
    Ok(roots)
}

/// The system's authorities, except those that cannot be parsed.
fn system_roots() -> Result<RootCertStore, ConnectError> {
    let mut roots = RootCertStore::empty();
    match roots.add_parsable_certificates(load_native_certs().certs) {
        (0, _) => Err(invalid(
            "the system has no certificate authorities (configure some with `with_tls_ca`)",
        )),
        _ => Ok(roots),
    }
}

/// The certificates in a PEM text; `None` if there are none, or one is invalid.
fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let certificates = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    certificates.ok().filter(|list| !list.is_empty())
}

fn invalid(why: &str) -> ConnectError {
    ConnectError::configuration(format!("invalid TLS configuration for Redis: {why}"))
}
