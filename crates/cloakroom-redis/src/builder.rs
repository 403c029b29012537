//! How a store is told what it needs.

use std::fmt;
use std::time::Duration;

use crate::address::Address;
use crate::connection::{Connection, Limits};
use crate::error::ConnectError;
use crate::key::{DEFAULT_PREFIX, KeyPrefix};
use crate::store::RedisStore;

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
}

impl RedisStoreBuilder {
    pub(crate) fn new(url: String) -> Self {
        Self {
            url,
            username: None,
            password: None,
            prefix: DEFAULT_PREFIX.to_owned(),
            limits: Limits::default(),
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

    /// Connects to the server.
    ///
    /// # Errors
    ///
    /// When something was told that cannot work, and when the server is not there, refuses the
    /// credentials or is not ready. A server that does not answer at all is given up after twice the
    /// connect time limit per server that the URL names and once more, and 200 ms: 2.2 s by default
    /// for a single server; nearly always it is known after one.
    pub async fn connect(self) -> Result<RedisStore, ConnectError> {
        let (address, limits, prefix) = self.check()?;
        let connection = Connection::open(address, limits).await?;
        Ok(RedisStore::new(connection, prefix))
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
        let (address, limits, prefix) = self.check()?;
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(ConnectError::configuration(
                "connecting in the background needs a Tokio runtime to run in",
            ));
        }
        let connection = Connection::open_lazily(address, limits);
        Ok(RedisStore::new(connection, prefix))
    }

    fn check(self) -> Result<(Address, Limits, KeyPrefix), ConnectError> {
        let prefix = KeyPrefix::new(&self.prefix).map_err(ConnectError::configuration)?;
        if self.limits.command.is_zero() || self.limits.connect.is_zero() {
            return Err(ConnectError::configuration(
                "a time limit of zero lets nothing through",
            ));
        }
        let mut address = Address::parse(&self.url)?;
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
        assert!(error(builder().with_username("me")).contains("no password"));
        assert!(error(RedisStore::builder("redis://secret@host")).contains("no password"));
        assert!(error(builder()).contains("Tokio runtime"));
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
