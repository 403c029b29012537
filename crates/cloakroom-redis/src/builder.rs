//! How a store is told what it needs.

use std::fmt;
use std::time::Duration;

use crate::address::Address;
use crate::connection::{Connection, Limits};
use crate::error::ConnectError;
use crate::key::{DEFAULT_PREFIX, KeyPrefix};
use crate::replicas::{Replicas, Wanted};
use crate::store::RedisStore;
#[cfg(feature = "tls")]
use crate::tls::Tls;

/// Sets up a [`RedisStore`].
///
/// ```no_run
/// use std::time::Duration;
/// use cloakroom_redis::RedisStore;
///
/// # async fn start(password: String) -> Result<(), cloakroom_redis::ConnectError> {
/// let store = RedisStore::builder("redis://cache.internal:6379/2")
///     .with_username("shop")
///     .with_password(password)
///     .with_key_prefix("shop:sessions")
///     .with_command_time_limit(Duration::from_millis(100))
///     .connect()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a builder does nothing until it connects"]
pub struct RedisStoreBuilder {
    url: String,
    username: Option<String>,
    password: Option<String>,
    prefix: String,
    limits: Limits,
    wanted: Option<Wanted>,
    #[cfg(feature = "tls")]
    tls: Tls,
}

impl RedisStoreBuilder {
    pub(crate) fn new(url: String) -> Self {
        Self {
            url,
            username: None,
            password: None,
            prefix: DEFAULT_PREFIX.to_owned(),
            limits: Limits::default(),
            wanted: None,
            #[cfg(feature = "tls")]
            tls: Tls::default(),
        }
    }

    /// What keys begin with, before a colon and the session's id: `cloakroom` unless told otherwise.
    ///
    /// 1 to 64 bytes of printable ASCII without spaces, braces and the signs of patterns
    /// (`* ? [ ] \`); anything else is an error when connecting.
    pub fn with_key_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// The user for `AUTH`, as it is: nothing is percent-encoded here. Unless told, that of the URL.
    /// Needs a password.
    pub fn with_username(mut self, username: impl Into<String>) -> Self {
        self.username = Some(username.into());
        self
    }

    /// The password for `AUTH`, as it is: nothing is percent-encoded here. Unless told, that of the
    /// URL.
    pub fn with_password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// How long a command may take, from the call to the answer: 250 ms unless told otherwise. Zero is
    /// an error when connecting.
    pub fn with_command_time_limit(mut self, limit: Duration) -> Self {
        self.limits.command = limit;
        self
    }

    /// How long opening a connection may take, and then once more its greeting (`AUTH`, `SELECT`):
    /// 500 ms unless told otherwise. Zero is an error when connecting.
    pub fn with_connect_time_limit(mut self, limit: Duration) -> Self {
        self.limits.connect = limit;
        self
    }

    /// Lets the writes that a failover must not lose wait until `replicas` replicas have them, for
    /// `within` at most: beginning a session (so also signing in) and ending one. Unless told, no write
    /// waits, and a failover loses what the old primary had not yet handed on.
    ///
    /// The write is sent together with `WAIT`, on a connection kept for that. `within` is added to the
    /// command time limit. With too few replicas the answer is
    /// [`NotReplicated`](cloakroom_core::StoreErrorKind::NotReplicated): the write stands on the
    /// primary, and the request is not answered with success. A new session is then taken back; one
    /// that was to end has ended. Edits do not wait: what they lose is a value, and not who is signed
    /// in.
    ///
    /// A replica that has the write in its memory counts. A failover to another one, which had fallen
    /// behind, loses it all the same: ask for as many as may be promoted. The user needs the right to
    /// `WAIT`.
    ///
    /// Zero replicas, and no time, are an error when connecting.
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use cloakroom_redis::RedisStore;
    ///
    /// # async fn start() -> Result<(), cloakroom_redis::ConnectError> {
    /// let store = RedisStore::builder("redis-sentinel://a:26379?sentinelServiceName=main&node=b:26379")
    ///     .with_replicas(1, Duration::from_millis(100))
    ///     .connect()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_replicas(mut self, replicas: u32, within: Duration) -> Self {
        self.wanted = Some(Wanted { replicas, within });
        self
    }

    /// The authorities whose certificates are trusted, as PEM, in place of the system's. Needs a URL
    /// with TLS (`rediss://…`); a text that is not PEM is an error when connecting.
    ///
    /// The server's certificate must be for the host that the URL names; those of a cluster's nodes, and
    /// of what sentinels watch over, for the host or the address by which these announce themselves.
    ///
    /// ```no_run
    /// use cloakroom_redis::RedisStore;
    ///
    /// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = RedisStore::builder("rediss://cache.internal")
    ///     .with_tls_ca(std::fs::read("/etc/redis/ca.pem")?)
    ///     .connect()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tls")]
    pub fn with_tls_ca(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.tls.trust(pem.into());
        self
    }

    /// The certificate that is shown to the server (with those that lead to its authority, if any), and
    /// its private key, both as PEM. Needs a URL with TLS; what does not fit together is an error when
    /// connecting.
    ///
    /// ```no_run
    /// use cloakroom_redis::RedisStore;
    ///
    /// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
    /// let (certificate, key) = (std::fs::read("shop.pem")?, std::fs::read("shop.key")?);
    /// let store = RedisStore::builder("rediss://cache.internal")
    ///     .with_tls_client_certificate(certificate, key)
    ///     .connect()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tls")]
    pub fn with_tls_client_certificate(
        mut self,
        certificate_pem: impl Into<Vec<u8>>,
        key_pem: impl Into<Vec<u8>>,
    ) -> Self {
        self.tls.show(certificate_pem.into(), key_pem.into());
        self
    }

    /// Connects to the server.
    ///
    /// # Errors
    ///
    /// When something was told that cannot work, and when the server is not there, refuses the
    /// credentials or is not ready. A server that does not answer at all is given up after twice the
    /// connect time limit per server that the URL names and once more, and 200 ms: 2.2 s by default
    /// for a single server; nearly always it is known after one.
    pub async fn connect(self) -> Result<RedisStore, ConnectError> {
        let wanted = self.wanted;
        let (address, limits, prefix) = self.check()?;
        let connection = Connection::open(address.clone(), limits).await?;
        let replicas = match wanted {
            Some(wanted) => {
                let connection = Connection::open(address, limits).await?;
                Some(Replicas::new(connection, wanted))
            }
            None => None,
        };
        Ok(RedisStore::new(connection, replicas, prefix))
    }

    /// Connects in the background, so that an app can start before its Redis does.
    ///
    /// Until there is a connection, every command is refused at once as unavailable. Attempts go on
    /// for as long as the store lives, 50 ms to 1 s apart, also when the server refuses the
    /// credentials: only [`RedisStore::ping`] tells.
    ///
    /// # Errors
    ///
    /// When something was told that cannot work, and outside of a Tokio runtime.
    pub fn connect_lazily(self) -> Result<RedisStore, ConnectError> {
        let wanted = self.wanted;
        let (address, limits, prefix) = self.check()?;
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(ConnectError::configuration(
                "connecting in the background needs a Tokio runtime to run in",
            ));
        }
        let connection = Connection::open_lazily(address.clone(), limits);
        let replicas = wanted.map(|wanted| {
            let connection = Connection::open_lazily(address, limits);
            Replicas::new(connection, wanted)
        });
        Ok(RedisStore::new(connection, replicas, prefix))
    }

    fn check(self) -> Result<(Address, Limits, KeyPrefix), ConnectError> {
        let prefix = KeyPrefix::new(&self.prefix).map_err(ConnectError::configuration)?;
        if self.limits.command.is_zero() || self.limits.connect.is_zero() {
            return Err(ConnectError::configuration(
                "a time limit of zero lets nothing through",
            ));
        }
        if let Some(Wanted { replicas, within }) = self.wanted
            && (replicas == 0 || within.is_zero())
        {
            return Err(ConnectError::configuration(
                "to wait for replicas, say for how many and how long: at least one, and not zero",
            ));
        }
        let mut address = Address::parse(&self.url)?;
        #[cfg(feature = "tls")]
        set_up_tls(&self.tls, &mut address)?;
        let config = &mut address.config;
        config.username = self.username.or_else(|| config.username.take());
        config.password = self.password.or_else(|| config.password.take());
        if config.username.is_some() && config.password.is_none() {
            return Err(ConnectError::configuration(
                "there is a user name for Redis and no password (a password alone is written \
                 `redis://:password@host`)",
            ));
        }
        Ok((address, self.limits, prefix))
    }
}

#[cfg(feature = "tls")]
fn set_up_tls(tls: &Tls, address: &mut Address) -> Result<(), ConnectError> {
    if address.tls {
        address.config.tls = Some(tls.config()?);
    } else if !tls.is_default() {
        return Err(ConnectError::configuration(
            "there are certificates for TLS to Redis, and the URL asks for none: its scheme must \
             begin with `rediss`",
        ));
    }
    Ok(())
}

impl fmt::Debug for RedisStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = Address::parse(&self.url);
        f.debug_struct("RedisStoreBuilder")
            .field("url", &address.map(|address| address.shown).ok())
            .field("prefix", &self.prefix)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(builder: RedisStoreBuilder) -> String {
        builder.connect_lazily().unwrap_err().to_string()
    }

    #[test]
    fn what_cannot_work_is_an_error() {
        let builder = || RedisStore::builder("redis://127.0.0.1");
        assert!(error(builder().with_key_prefix("a b")).contains("prefix"));
        assert!(error(builder().with_command_time_limit(Duration::ZERO)).contains("zero"));
        assert!(error(builder().with_connect_time_limit(Duration::ZERO)).contains("zero"));
        let wait = |replicas, within| error(builder().with_replicas(replicas, within));
        assert!(wait(0, Duration::from_secs(1)).contains("at least one"));
        assert!(wait(1, Duration::ZERO).contains("at least one"));
        assert!(error(builder().with_username("me")).contains("no password"));
        assert!(error(RedisStore::builder("redis://secret@host")).contains("no password"));
        assert!(error(builder()).contains("Tokio runtime"));
    }

    #[cfg(feature = "tls")]
    #[test]
    fn certificates_that_cannot_work_are_an_error_that_quotes_none() {
        let builder = || RedisStore::builder("rediss://host");
        for (builder, expected) in [
            (builder().with_tls_ca("hunter2"), "authority's"),
            (builder().with_tls_ca(""), "authority's"),
            (
                RedisStore::builder("redis://host").with_tls_ca("hunter2"),
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
    fn debug_holds_no_credentials() {
        let builder = RedisStore::builder("redis://me:hunter2@host/1").with_password("hunter2");
        let text = format!("{builder:?}");
        assert!(
            text.contains("redis://host/1") && !text.contains("hunter2"),
            "{text}"
        );
        let text = format!("{:?}", RedisStore::builder("redis://hun#ter2"));
        assert!(!text.contains("ter2"), "{text}");
    }
}
