//! The options of a [`RedisStore`].

use std::fmt;
use std::time::Duration;

use cloakroom_core::codec::RecordFormat;

use crate::address::Address;
use crate::connection::Timeouts;
use crate::error::ConnectError;
use crate::replication::Acks;
use crate::store::RedisStore;
#[cfg(feature = "tls")]
use crate::tls::Tls;

impl RedisStore {
    /// Connects to the server at `url`, and keeps the sessions of the app named `app`.
    ///
    /// All keys begin with the app's name and a colon. So two apps on one Redis share neither sessions nor
    /// users, and revoking everyone's sessions in one does not affect the other. Servers of one app have
    /// the same name; give every environment its own, such as `shop-staging`. A change ends all sessions.
    ///
    /// The name has 1 to 64 bytes of printable ASCII without spaces, colons, braces and pattern characters
    /// (`* ? [ ] \`). So no app's keys are among those of another, or within the rights of its user.
    ///
    /// Examples of `url` are `redis://127.0.0.1` (port 6379 by default),
    /// `redis://user:password@host:6379/1`, `rediss://…` for TLS (with the feature `tls`),
    /// `redis-cluster://…?node=host:port`, `redis-sentinel://…?sentinelServiceName=name` and
    /// `redis+unix:///path?db=1` (not on Windows). The scheme may start with `valkey` instead of `redis`.
    ///
    /// # Errors
    ///
    /// As [`RedisStoreBuilder::connect`]: within about a second for each server in the URL, and one more. Use
    /// [`RedisStoreBuilder::connect_lazy`] to start without the server.
    pub async fn connect(url: impl AsRef<str>, app: impl AsRef<str>) -> Result<Self, ConnectError> {
        Self::builder(url.as_ref(), app.as_ref()).connect().await
    }

    /// Returns a builder for a store with further options. URL and name are those of
    /// [`connect`](Self::connect).
    pub fn builder(url: impl Into<String>, app: impl Into<String>) -> RedisStoreBuilder {
        RedisStoreBuilder::new(url.into(), app.into())
    }
}

/// Configures a [`RedisStore`].
///
/// ```no_run
/// use std::time::Duration;
/// use cloakroom_redis::RedisStore;
///
/// # async fn start(password: String) -> Result<(), cloakroom_redis::ConnectError> {
/// let store = RedisStore::builder("redis://cache.internal:6379/2", "shop")
///     .with_username("shop")
///     .with_password(password)
///     .with_command_timeout(Duration::from_millis(100))
///     .connect()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a builder does nothing until it connects"]
pub struct RedisStoreBuilder {
    pub(crate) url: String,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) prefix: String,
    pub(crate) timeouts: Timeouts,
    pub(crate) acks: Option<Acks>,
    pub(crate) format: RecordFormat,
    #[cfg(feature = "tls")]
    pub(crate) tls: Tls,
}

impl RedisStoreBuilder {
    fn new(url: String, prefix: String) -> Self {
        Self {
            url,
            username: None,
            password: None,
            prefix,
            timeouts: Timeouts::default(),
            acks: None,
            format: RecordFormat::default(),
            #[cfg(feature = "tls")]
            tls: Tls::default(),
        }
    }

    /// Sets the user name for `AUTH`, without percent-encoding. The default is the user name in the
    /// URL. Requires a password.
    pub fn with_username(mut self, username: impl Into<String>) -> Self {
        self.username = Some(username.into());
        self
    }

    /// Sets the password for `AUTH`, without percent-encoding. The default is the password in the URL.
    pub fn with_password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// Sets the timeout of a command, from the call to the reply. The default is 250 ms; zero and more than a
    /// minute are errors when connecting. A read whose connection is lost is sent once more on a new one, and
    /// takes up to three times as long.
    pub fn with_command_timeout(mut self, limit: Duration) -> Self {
        self.timeouts.command = limit;
        self
    }

    /// Sets the timeout for opening a connection, which also applies to its handshake (`AUTH`,
    /// `SELECT`). The default is 500 ms; zero and more than a minute are errors when connecting.
    pub fn with_connect_timeout(mut self, limit: Duration) -> Self {
        self.timeouts.connect = limit;
        self
    }

    /// Sets how often each connection is probed with a `PING`, also when the app sends nothing. The default
    /// is two seconds; less than 100 ms and more than an hour are errors when connecting.
    ///
    /// A load balancer, a firewall or NAT may drop an idle connection without closing it. An interval that is
    /// shorter than their idle timeout prevents that. If a connection dies nevertheless, a probe gets no reply
    /// within the command timeout, and the connection is replaced: at the latest after the interval and one and a
    /// quarter command timeouts. In a cluster, every node is probed. The connection for events is always checked
    /// once a second, and those of a near cache four times within its staleness bound.
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use cloakroom_redis::RedisStore;
    ///
    /// # async fn start() -> Result<(), cloakroom_redis::ConnectError> {
    /// let store = RedisStore::builder("redis://cache.internal", "shop")
    ///     .with_probe_interval(Duration::from_secs(30))
    ///     .with_tcp_user_timeout(Duration::from_secs(5))
    ///     .connect()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_probe_interval(mut self, interval: Duration) -> Self {
        self.timeouts.probe = interval;
        self
    }

    /// Makes TCP check connections that have been idle for this time (`SO_KEEPALIVE`), in whole seconds. By
    /// default it does not, since probes keep connections from being idle. Useful with a long
    /// [`with_probe_interval`](Self::with_probe_interval). Less than a second and more than a day are
    /// errors when connecting.
    pub fn with_tcp_keepalive(mut self, idle: Duration) -> Self {
        self.timeouts.tcp_keepalive = Some(idle);
        self
    }

    /// Makes TCP close a connection on which sent bytes remain unacknowledged for this time
    /// (`TCP_USER_TIMEOUT`). The default is the system's, often a quarter of an hour; the store replaces a
    /// connection without replies long before that. It applies on Linux and Android, and has no effect on
    /// other systems. Less than a second and more than a day are errors when connecting.
    pub fn with_tcp_user_timeout(mut self, limit: Duration) -> Self {
        self.timeouts.tcp_user = Some(limit);
        self
    }

    /// Makes the writes that must survive a failover wait until `replicas` replicas have them, at most
    /// for `within`: creating a session (so also signing in), ending one, revoking everyone's, and
    /// [`RawKeys::remove`](crate::RawKeys::remove). By default no write waits, and a failover loses what
    /// the old primary had not yet replicated.
    ///
    /// The write is sent together with `WAIT`, on a connection for such writes. `within` is added to the
    /// command timeout. With too few replicas the error is
    /// [`NotReplicated`](cloakroom_core::StoreErrorKind::NotReplicated): the write is kept on the
    /// primary, but the request fails. A new session is then removed again; a session that was to end
    /// has ended. Edits do not wait: losing one loses a value, but does not change who is signed in.
    ///
    /// A replica counts when it has the write in memory. A failover to a replica that does not have it
    /// still loses it, so wait for as many replicas as may be promoted. The user needs the right to
    /// `WAIT`.
    ///
    /// Zero replicas, a duration of zero and one of more than a minute are errors when connecting.
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use cloakroom_redis::RedisStore;
    ///
    /// # async fn start() -> Result<(), cloakroom_redis::ConnectError> {
    /// let store = RedisStore::builder("redis-sentinel://a:26379?sentinelServiceName=main&node=b:26379", "shop")
    ///     .with_replica_acks(1, Duration::from_millis(100))
    ///     .connect()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_replica_acks(mut self, replicas: u32, within: Duration) -> Self {
        self.acks = Some(Acks { replicas, within });
        self
    }

    /// Sets the format in which records are written. Both are read. The default is format 1, which all releases
    /// read.
    ///
    /// [Format 2](RecordFormat::V2) takes about 50 bytes less for each session. A release that does not read it
    /// responds with a 503 to the requests of such a session, and keeps its cookie. So deploy a release that reads it
    /// on all servers first, and choose it with the next deployment. A record is written in the chosen format when
    /// the session changes; one that is only read keeps its format until it ends. The same holds for the way back to
    /// format 1.
    ///
    /// ```no_run
    /// use cloakroom_redis::{RecordFormat, RedisStore};
    ///
    /// # async fn start() -> Result<(), cloakroom_redis::ConnectError> {
    /// let store = RedisStore::builder("redis://127.0.0.1", "shop")
    ///     .with_record_format(RecordFormat::V2)
    ///     .connect()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_record_format(mut self, format: RecordFormat) -> Self {
        self.format = format;
        self
    }
}

impl fmt::Debug for RedisStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = Address::parse(&self.url);
        f.debug_struct("RedisStoreBuilder")
            .field("url", &address.map(|address| address.shown).ok())
            .field("prefix", &self.prefix)
            .field("timeouts", &self.timeouts)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_credentials() {
        let builder =
            RedisStore::builder("redis://me:hunter2@host/1", "shop").with_password("hunter2");
        let text = format!("{builder:?}");
        assert!(
            text.contains("redis://host/1") && !text.contains("hunter2"),
            "{text}"
        );
        let text = format!("{:?}", RedisStore::builder("redis://hun#ter2", "shop"));
        assert!(!text.contains("ter2"), "{text}");
    }
}
