//! TLS: which servers are trusted, and the client's certificate.

mod verifier;

use std::sync::Arc;

use fred::rustls::ClientConfig;
use fred::rustls::ConfigBuilder;
use fred::rustls::RootCertStore;
use fred::rustls::client::WantsClientCert;
use fred::rustls::crypto::{CryptoProvider, ring};
use fred::rustls::pki_types::pem::PemObject as _;
use fred::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use fred::rustls_native_certs::load_native_certs;
use fred::types::config::{Server, ServerConfig, TlsConfig, TlsConnector};

use self::verifier::{NamedVerifier, Pin, PinVerifier};
use crate::address::Address;
use crate::error::ConnectError;

/// The maximum number of pins.
const MAX_PINS: usize = 8;

/// The TLS options of a store.
#[derive(Clone, Default)]
pub(crate) struct Tls {
    authorities: Option<Vec<u8>>,
    identity: Option<Identity>,
    server_name: Option<String>,
    /// Fingerprints, as text. Up to [`MAX_PINS`].
    pins: Vec<String>,
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

    /// Requires that the server's certificate is valid for this name.
    pub(crate) fn set_server_name(&mut self, name: String) {
        self.server_name = Some(name);
    }

    /// Trusts the certificate or public key with this fingerprint.
    pub(crate) fn add_pin(&mut self, fingerprint: String) {
        // One more than allowed is kept, so that it is refused.
        if self.pins.len() <= MAX_PINS {
            self.pins.push(fingerprint);
        }
    }

    /// Configures an address, if its URL asks for TLS.
    pub(crate) fn apply(&self, address: &mut Address) -> Result<(), ConnectError> {
        if address.tls {
            address.config.tls = Some(self.config()?);
            if let Some(name) = &self.server_name {
                send_name(&mut address.config.server, name);
            }
        } else if !self.is_default() {
            return Err(ConnectError::configuration(
                "options for TLS to Redis are configured, but the URL does not ask for TLS: its \
                 scheme must start with `rediss`",
            ));
        }
        Ok(())
    }

    fn is_default(&self) -> bool {
        self.authorities.is_none()
            && self.identity.is_none()
            && self.server_name.is_none()
            && self.pins.is_empty()
    }

    /// fred's configuration. No error quotes a text that is not PEM: it may be a key.
    fn config(&self) -> Result<TlsConfig, ConnectError> {
        let config = self.verification()?;
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

    /// How the server's certificate is verified: by pins, or by authorities and a name.
    fn verification(&self) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, ConnectError> {
        // Not `ClientConfig::builder()`, which panics if the app is built with a second provider.
        let provider = CryptoProvider::get_default()
            .cloned()
            .unwrap_or_else(|| Arc::new(ring::default_provider()));
        let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|_| {
                invalid("the cryptography provider of the process supports neither TLS 1.2 nor 1.3")
            })?;
        if !self.pins.is_empty() {
            let verifier = PinVerifier::new(self.pins()?, &provider);
            let config = config.dangerous();
            return Ok(config.with_custom_certificate_verifier(Arc::new(verifier)));
        }
        let roots = match &self.authorities {
            Some(pem) => roots_of(pem)?,
            None => system_roots()?,
        };
        let Some(name) = &self.server_name else {
            return Ok(config.with_root_certificates(roots));
        };
        let name = ServerName::try_from(name.clone()).map_err(|_| {
            invalid("`with_tls_server_name`: it is neither a DNS name nor an address")
        })?;
        let verifier = NamedVerifier::new(name, roots, provider)
            .ok_or_else(|| invalid("there is no certificate authority"))?;
        let config = config.dangerous();
        Ok(config.with_custom_certificate_verifier(Arc::new(verifier)))
    }

    fn pins(&self) -> Result<Vec<Pin>, ConnectError> {
        if self.authorities.is_some() {
            return Err(invalid(
                "`with_tls_pin` and `with_tls_ca` exclude each other: a pinned certificate needs no authority",
            ));
        }
        if self.server_name.is_some() {
            return Err(invalid(
                "`with_tls_pin` and `with_tls_server_name` exclude each other: with a pin no name is verified",
            ));
        }
        if self.pins.len() > MAX_PINS {
            return Err(invalid(&format!("`with_tls_pin`: at most {MAX_PINS} pins")));
        }
        let pins = self.pins.iter().map(|text| Pin::parse(text));
        pins.collect::<Option<_>>().ok_or_else(|| {
            invalid("`with_tls_pin`: a SHA-256 fingerprint has 64 hexadecimal digits")
        })
    }
}

/// Sends this name to the servers in the URL (SNI). Whether their certificates are valid for it is decided by
/// [`NamedVerifier`], for the other nodes of a cluster as well.
fn send_name(config: &mut ServerConfig, name: &str) {
    let named = |server: &mut Server| {
        let name = Some(name.to_owned());
        *server = Server::new_with_tls(server.host.clone(), server.port, name);
    };
    match config {
        ServerConfig::Centralized { server } => named(server),
        ServerConfig::Clustered { hosts, .. } | ServerConfig::Sentinel { hosts, .. } => {
            hosts.iter_mut().for_each(named);
        }
        // Its URL never asks for TLS.
        #[cfg(unix)]
        ServerConfig::Unix { .. } => {}
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
            "the system has no certificate authorities (configure some with `with_tls_ca`, or a certificate with \
             `with_tls_pin`)",
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
