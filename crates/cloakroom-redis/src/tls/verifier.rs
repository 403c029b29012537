//! Verifies servers by a pinned certificate or public key, or by another name than the one in the URL.

use std::sync::Arc;

use fred::rustls::client::WebPkiServerVerifier;
use fred::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use fred::rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use fred::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use fred::rustls::server::ParsedCertificate;
use fred::rustls::{
    CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use sha2::{Digest as _, Sha256};

/// The SHA-256 of a certificate, or of its public key (`SubjectPublicKeyInfo`), both in DER.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pin([u8; 32]);

impl Pin {
    /// Parses 64 hexadecimal digits, with or without colons.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let digits: Vec<u8> = text
            .bytes()
            .filter(|&byte| byte != b':')
            .map(|byte| {
                char::from(byte)
                    .to_digit(16)
                    .and_then(|digit| digit.try_into().ok())
            })
            .collect::<Option<_>>()?;
        let bytes: Vec<u8> = digits
            .chunks(2)
            .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit))
            .collect();
        (digits.len() == 64).then(|| bytes.try_into().ok().map(Self))?
    }

    fn is_of(&self, der: &[u8]) -> bool {
        self.0[..] == Sha256::digest(der)[..]
    }
}

/// Trusts the certificates that a pin is of. The signatures of the handshake are verified as always: they prove
/// that the server has the private key.
#[derive(Debug)]
pub(super) struct PinVerifier {
    pins: Vec<Pin>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl PinVerifier {
    pub(super) fn new(pins: Vec<Pin>, provider: &CryptoProvider) -> Self {
        Self {
            pins,
            algorithms: provider.signature_verification_algorithms,
        }
    }

    fn is_pinned(&self, certificate: &CertificateDer<'_>) -> Result<bool, Error> {
        let parsed = ParsedCertificate::try_from(certificate)?;
        let public_key = parsed.subject_public_key_info();
        let mut pins = self.pins.iter();
        Ok(pins.any(|pin| pin.is_of(certificate) || pin.is_of(&public_key)))
    }
}

impl ServerCertVerifier for PinVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.is_pinned(end_entity)? {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Verifies certificates as usual, but for one name, whatever the server is connected to as.
#[derive(Debug)]
pub(super) struct NamedVerifier {
    name: ServerName<'static>,
    usual: Arc<WebPkiServerVerifier>,
}

impl NamedVerifier {
    /// Returns `None` without any certificate authority.
    pub(super) fn new(
        name: ServerName<'static>,
        roots: RootCertStore,
        provider: Arc<CryptoProvider>,
    ) -> Option<Self> {
        let usual = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
        Some(Self {
            name,
            usual: usual.build().ok()?,
        })
    }
}

impl ServerCertVerifier for NamedVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let usual = &self.usual;
        usual.verify_server_cert(end_entity, intermediates, &self.name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_as_openssl_prints_it() {
        let digest = Sha256::digest("der");
        let hex = |separator| {
            let digits: Vec<_> = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            digits.join(separator)
        };
        for text in [hex(""), hex(":"), hex(":").to_uppercase()] {
            let pin = Pin::parse(&text).expect("it is a fingerprint");
            assert!(pin.is_of(b"der") && !pin.is_of(b"another"), "{text}");
        }
        for text in [
            "",
            ":",
            "ab",
            &hex("")[1..],
            &(hex("") + "0"),
            &hex("-"),
            "ü",
        ] {
            assert_eq!(Pin::parse(text), None, "{text}");
        }
    }

    /// fred connects to the other nodes of a cluster by their addresses.
    #[test]
    fn a_certificate_is_verified_for_the_configured_name_and_not_for_the_address() {
        use fred::rustls::crypto::ring;
        use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};

        let key = || KeyPair::generate().unwrap();
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, key()).unwrap();
        let mut params = CertificateParams::new(["redis.internal".to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        let certificate = params.signed_by(&key(), &authority).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone()).unwrap();
        let provider = Arc::new(ring::default_provider());
        let verify = |name: &'static str| {
            let name = ServerName::try_from(name).unwrap();
            let verifier = NamedVerifier::new(name, roots.clone(), Arc::clone(&provider)).unwrap();
            let connected_to = ServerName::try_from("127.0.0.1").unwrap();
            let now = UnixTime::now();
            verifier.verify_server_cert(certificate.der(), &[], &connected_to, &[], now)
        };
        assert!(verify("redis.internal").is_ok());
        assert!(verify("127.0.0.1").is_err());
        assert!(verify("other.internal").is_err());
    }
}
