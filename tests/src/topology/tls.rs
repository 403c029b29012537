//! A server that speaks TLS, and the certificates for it.

use std::fmt::Write as _;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair,
    PublicKeyData as _,
};
use sha2::{Digest as _, Sha256};

use crate::redis::{RedisServer, free_port};
use crate::resp::Reply;

/// A certificate authority.
#[derive(Debug)]
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, as PEM.
#[derive(Debug)]
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
    /// The SHA-256 of the certificate, in hexadecimal digits.
    pub fingerprint: String,
    /// The SHA-256 of its public key.
    pub public_key_fingerprint: String,
}

impl Identity {
    /// A certificate for a host name or an address that no authority has signed.
    ///
    /// # Panics
    ///
    /// When the name cannot be in a certificate.
    #[must_use]
    pub fn self_signed(name: &str) -> Self {
        let key = KeyPair::generate().expect("the system has randomness");
        let certificate = params(name).self_signed(&key).expect("it signs");
        Self::new(&certificate, &key)
    }

    fn new(certificate: &Certificate, key: &KeyPair) -> Self {
        Self {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            fingerprint: sha256(certificate.der()),
            public_key_fingerprint: sha256(&key.subject_public_key_info()),
        }
    }
}

fn params(name: &str) -> CertificateParams {
    CertificateParams::new([name.to_owned()]).expect("the name is fit")
}

fn sha256(der: &[u8]) -> String {
    let mut hex = String::new();
    for byte in Sha256::digest(der) {
        write!(hex, "{byte:02x}").expect("writing to a String does not fail");
    }
    hex
}

impl Authority {
    /// A new, self-signed one.
    ///
    /// # Panics
    ///
    /// When the system has no randomness.
    #[must_use]
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        // Must differ from the names that it signs, or those certificates would look self-signed.
        params
            .distinguished_name
            .push(DnType::CommonName, "authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("the system has randomness");
        Self(CertifiedIssuer::self_signed(params, key).expect("it signs for itself"))
    }

    /// Its own certificate, as PEM.
    #[must_use]
    pub fn certificate(&self) -> String {
        self.0.pem()
    }

    /// Signs a certificate for a host name or an address.
    ///
    /// # Panics
    ///
    /// When the name cannot be in a certificate.
    #[must_use]
    pub fn issue(&self, name: &str) -> Identity {
        let key = KeyPair::generate().expect("the system has randomness");
        let certificate = params(name).signed_by(&key, &self.0).expect("it signs");
        Identity::new(&certificate, &key)
    }

    /// Its own certificate and key, for a server that has no other.
    #[must_use]
    pub fn identity(&self) -> Identity {
        Identity::new(self.0.as_ref(), self.0.key())
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

/// A server with a port for TLS.
#[derive(Debug)]
pub struct TlsServer {
    server: RedisServer,
    port: u16,
}

impl TlsServer {
    /// Starts a server with the certificate that `authority` signs for `127.0.0.1`. Whether clients
    /// must show one, signed by the same, is `clients`: `yes` or `no`.
    ///
    /// # Panics
    ///
    /// When it does not start.
    #[must_use]
    pub fn start(authority: &Authority, clients: &str) -> Self {
        let own = authority.issue("127.0.0.1");
        Self::start_as(&own, authority, clients)
    }

    /// The same, with this certificate.
    ///
    /// # Panics
    ///
    /// When it does not start.
    #[must_use]
    pub fn start_as(own: &Identity, authority: &Authority, clients: &str) -> Self {
        let files = [
            ("ca.pem", &*authority.certificate()),
            ("server.pem", &own.certificate),
            ("server.key", &own.key),
        ];
        let server = RedisServer::start_from(&files, || {
            let port = free_port().to_string();
            let options = [
                ["--tls-port", &port],
                ["--tls-ca-cert-file", "ca.pem"],
                ["--tls-cert-file", "server.pem"],
                ["--tls-key-file", "server.key"],
                ["--tls-auth-clients", clients],
            ];
            options.concat().into_iter().map(str::to_owned).collect()
        });
        let port = server.command(&["CONFIG", "GET", "tls-port"]).list();
        let port = port.into_iter().next_back().map(Reply::text);
        let port = port.and_then(|port| port.parse().ok());
        Self {
            server,
            port: port.expect("it has a port for TLS"),
        }
    }

    /// The server, which also listens on a plain port.
    #[must_use]
    pub fn server(&self) -> &RedisServer {
        &self.server
    }

    /// The URL for TLS.
    #[must_use]
    pub fn url(&self) -> String {
        format!("rediss://127.0.0.1:{}", self.port)
    }
}
