//! The options of a [`RedisStoreBuilder`] for TLS.

use crate::builder::RedisStoreBuilder;

impl RedisStoreBuilder {
    /// Trusts the certificate authorities in `pem` instead of the system's. Requires a URL with TLS
    /// (`rediss://…`); a text that is not PEM is an error when connecting.
    ///
    /// The server's certificate must be for the host in the URL, or for the one that
    /// [`with_tls_server_name`](Self::with_tls_server_name) names. Certificates of a cluster's nodes, and
    /// of servers behind sentinels, must be for the host or address that these announce.
    ///
    /// A self-signed certificate that is not one of an authority is trusted with
    /// [`with_tls_pin`](Self::with_tls_pin) instead.
    ///
    /// ```no_run
    /// use cloakroom_redis::RedisStore;
    ///
    /// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = RedisStore::builder("rediss://cache.internal", "shop")
    ///     .with_tls_ca(std::fs::read("/etc/redis/ca.pem")?)
    ///     .connect()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_tls_ca(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.tls.set_authorities(pem.into());
        self
    }

    /// Sets the client's certificate, followed by any intermediate certificates, and its private key,
    /// both as PEM. Requires a URL with TLS; a key that does not match is an error when connecting.
    ///
    /// ```no_run
    /// use cloakroom_redis::RedisStore;
    ///
    /// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
    /// let (certificate, key) = (std::fs::read("shop.pem")?, std::fs::read("shop.key")?);
    /// let store = RedisStore::builder("rediss://cache.internal", "shop")
    ///     .with_tls_client_certificate(certificate, key)
    ///     .connect()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_tls_client_certificate(
        mut self,
        certificate_pem: impl Into<Vec<u8>>,
        key_pem: impl Into<Vec<u8>>,
    ) -> Self {
        self.tls
            .set_client_certificate(certificate_pem.into(), key_pem.into());
        self
    }

    /// Sets the host for which the server's certificate must be valid, if that is not the host in the
    /// URL: behind a tunnel, for instance. It applies to every node of a cluster and for every sentinel. A DNS
    /// name is also sent to the servers in the URL (SNI).
    ///
    /// Requires a URL with TLS; a text that is neither a DNS name nor an address is an error when connecting, and
    /// so is a pin in addition, with which no name is verified.
    ///
    /// ```no_run
    /// use cloakroom_redis::RedisStore;
    ///
    /// # async fn start() -> Result<(), cloakroom_redis::ConnectError> {
    /// let store = RedisStore::builder("rediss://127.0.0.1:7000", "shop")
    ///     .with_tls_server_name("cache.internal")
    ///     .connect()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_tls_server_name(mut self, name: impl Into<String>) -> Self {
        self.tls.set_server_name(name.into());
        self
    }

    /// Trusts only servers whose certificate or public key has this SHA-256 fingerprint. For self-signed
    /// certificates: their authority, host and validity are not verified.
    ///
    /// The fingerprint is 64 hexadecimal digits, with or without colons. A certificate's changes when it is
    /// renewed, that of a public key only with the key:
    ///
    /// ```text
    /// openssl x509 -in redis.crt -noout -fingerprint -sha256
    /// openssl x509 -in redis.crt -noout -pubkey | openssl pkey -pubin -outform der | openssl dgst -sha256
    /// ```
    ///
    /// Call it again, up to eight times, to trust several: the nodes of a cluster, or the next key before it is
    /// in use. Requires a URL with TLS; another text, a ninth pin, and an authority in addition are errors
    /// when connecting.
    ///
    /// ```no_run
    /// use cloakroom_redis::RedisStore;
    ///
    /// # async fn start(fingerprint: String) -> Result<(), cloakroom_redis::ConnectError> {
    /// let store = RedisStore::builder("rediss://cache.internal", "shop")
    ///     .with_tls_pin(fingerprint)
    ///     .connect()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_tls_pin(mut self, fingerprint: impl Into<String>) -> Self {
        self.tls.add_pin(fingerprint.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use crate::store::RedisStore;

    use super::*;

    fn error(builder: RedisStoreBuilder) -> String {
        builder.connect_lazy().unwrap_err().to_string()
    }

    #[test]
    fn an_error_about_certificates_does_not_quote_them() {
        let builder = || RedisStore::builder("rediss://host", "shop");
        for (builder, expected) in [
            (builder().with_tls_ca("hunter2"), "authority's"),
            (builder().with_tls_ca(""), "authority's"),
            (
                RedisStore::builder("redis://host", "shop").with_tls_ca("hunter2"),
                "`rediss`",
            ),
            (
                builder().with_tls_client_certificate("hunter2", "hunter2"),
                "client's",
            ),
        ] {
            let debug = format!("{builder:?}");
            let error = error(builder);
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains("hunter2") && !debug.contains("hunter2"));
        }
    }

    #[test]
    fn options_that_contradict_each_other_are_refused_by_name() {
        let pin = "ab".repeat(32);
        let builder = || RedisStore::builder("rediss://host", "shop");
        let plain = || RedisStore::builder("redis://host", "shop");
        let pins = |count| (0..count).fold(builder(), |builder, _| builder.with_tls_pin(&pin));
        for (builder, expected) in [
            (builder().with_tls_pin("ab"), "`with_tls_pin`"),
            (builder().with_tls_pin("xy".repeat(32)), "`with_tls_pin`"),
            (pins(9), "`with_tls_pin`: at most 8"),
            (
                builder().with_tls_pin(&pin).with_tls_ca("-"),
                "`with_tls_pin` and `with_tls_ca`",
            ),
            (
                builder().with_tls_pin(&pin).with_tls_server_name("a"),
                "`with_tls_pin` and `with_tls_server_name`",
            ),
            (
                builder().with_tls_server_name("a b"),
                "`with_tls_server_name`",
            ),
            (builder().with_tls_server_name(""), "`with_tls_server_name`"),
            (plain().with_tls_pin(&pin), "`rediss`"),
            (plain().with_tls_server_name("a"), "`rediss`"),
        ] {
            let error = error(builder);
            assert!(error.contains(expected), "{error}");
        }
        assert!(error(pins(8)).contains("Tokio runtime"));
    }
}
