//! The store: the contract's verbs, from records to commands and from replies to outcomes.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use cloakroom_core::admin::StoreAdmin;
use cloakroom_core::bus::{EventBus, Subscription};
use cloakroom_core::codec::{self, Stored};
use cloakroom_core::event::SessionEvent;
use cloakroom_core::index::{Admission, Applicant, UserIndex};
use cloakroom_core::store::{Created, Ended, Entered, Loaded, Touched, Updated, admit_and_create};
use cloakroom_core::{
    Record, Revision, SessionId, Store, StoreError, Timestamp, Tombstone, UserKey,
};
use fred::clients::Client;

use crate::builder::RedisStoreBuilder;
use crate::bus::Bus;
use crate::command::{self, Account, Reply};
use crate::connection::Connection;
use crate::error::{ConnectError, strange_answer};
use crate::health::Health;
use crate::key::KeyPrefix;
use crate::replicas::Replicas;
use crate::verdict::Effect;

/// Keeps sessions in Redis or Valkey.
///
/// Clones are cheap and share one connection. It is made for one store per app: when the last clone
/// is dropped, it disconnects.
///
/// Every verb answers within the command time limit (250 ms unless told otherwise), whatever happens
/// to the server, and goes on by itself when the server is back. The [crate's front page](crate)
/// shows what it writes, and what errors mean.
///
/// ```no_run
/// use cloakroom_redis::RedisStore;
///
/// # async fn start() -> Result<(), cloakroom_redis::ConnectError> {
/// let store = RedisStore::connect("redis://127.0.0.1").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RedisStore {
    connection: Connection,
    /// For the writes that wait for replicas, if any do.
    replicas: Option<Replicas>,
    prefix: KeyPrefix,
    bus: Bus,
}

impl RedisStore {
    /// Connects to the server at `url`, and keeps sessions under the prefix `cloakroom`.
    ///
    /// `url` is for instance `redis://127.0.0.1` (port 6379 unless given),
    /// `redis://user:password@host:6379/1`, `rediss://…` for TLS (with the feature `tls`),
    /// `redis-cluster://…?node=host:port`, `redis-sentinel://…?sentinelServiceName=name` or
    /// `redis+unix:///path`; `valkey` may stand for `redis`.
    ///
    /// # Errors
    ///
    /// When the URL cannot be used, and when the server is not there, refuses the credentials or is
    /// not ready: within about a second per server that the URL names and one more. Use
    /// [`RedisStoreBuilder::connect_lazily`] to start without the server.
    pub async fn connect(url: impl AsRef<str>) -> Result<Self, ConnectError> {
        Self::builder(url.as_ref()).connect().await
    }

    /// A store that is told more than its URL.
    pub fn builder(url: impl Into<String>) -> RedisStoreBuilder {
        RedisStoreBuilder::new(url.into())
    }

    /// Keeps sessions through a client of fred 10.1 that the app has set up, under `prefix`.
    ///
    /// The app connects the client, gives it a reconnect policy, and closes it. Commands are sent with
    /// a time limit of 250 ms, once, and fail at once while there is no connection, whatever the
    /// client's defaults are. After time-outs in a row the client is told to reconnect; one whose task
    /// has ended or is stuck is not replaced. Three more of the client's settings matter:
    ///
    /// - `internal_command_timeout` and `connection_timeout`: rather 500 ms than 10 s.
    /// - `reconnect_errors`: rather empty. fred gives such an error to every command in flight, so the
    ///   outcome of writes that get it is unknown.
    /// - `max_command_buffer_len`: 0, or more than the app ever fills. Past it, fred 10.1 stops
    ///   flushing commands one by one. This store uses half of it at most.
    ///
    /// ```no_run
    /// use cloakroom_redis::RedisStore;
    /// use fred::prelude::{Builder, ClientLike, Config, ReconnectPolicy};
    ///
    /// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
    /// let config = Config::from_url("redis://127.0.0.1")?;
    /// let policy = ReconnectPolicy::new_exponential(0, 50, 1_000, 2);
    /// let client = Builder::from_config(config).set_policy(policy).build()?;
    /// client.init().await?;
    /// let store = RedisStore::from_client(client, "shop:sessions")?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// When the prefix is unfit, see [`RedisStoreBuilder::with_key_prefix`].
    pub fn from_client(client: Client, prefix: impl AsRef<str>) -> Result<Self, ConnectError> {
        let prefix = KeyPrefix::new(prefix.as_ref()).map_err(ConnectError::configuration)?;
        Ok(Self::new(Connection::from_client(client), None, prefix))
    }

    pub(crate) fn new(
        connection: Connection,
        replicas: Option<Replicas>,
        prefix: KeyPrefix,
    ) -> Self {
        Self {
            connection,
            replicas,
            bus: Bus::new(prefix.channel()),
            prefix,
        }
    }

    pub(crate) const fn replicas(&self) -> Option<&Replicas> {
        self.replicas.as_ref()
    }

    pub(crate) const fn connection(&self) -> &Connection {
        &self.connection
    }

    #[cfg(feature = "near-cache")]
    pub(crate) const fn prefix(&self) -> &KeyPrefix {
        &self.prefix
    }

    /// The server's URL, to be shown: without user, password and the credentials of sentinels. The
    /// address of a client that the app has set up is not known.
    #[must_use]
    pub fn address(&self) -> &str {
        self.connection.address()
    }

    /// Asks the server for a sign of life, for health checks: how long its answer took.
    ///
    /// # Errors
    ///
    /// When there is no answer within the command time limit, or when it is an error.
    pub async fn ping(&self) -> Result<Duration, StoreError> {
        command::ping(&self.connection).await
    }

    /// Asks the server how it is, for health checks and for whoever sets it up: what it tells of
    /// itself, and [warnings](Health::warnings) of what endangers sessions.
    ///
    /// It reads and writes no key, and needs no more rights than the store does. In a cluster, every
    /// primary that the store is connected to is asked, one after the other, all within the command
    /// time limit.
    ///
    /// ```no_run
    /// # async fn check(store: cloakroom_redis::RedisStore) -> Result<(), cloakroom_redis::StoreError> {
    /// let health = store.check().await?;
    /// for warning in health.warnings() {
    ///     eprintln!("Redis {}: {warning}", health.version());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// When a server does not answer within the command time limit, when it refuses, and when what
    /// it answers makes no sense.
    pub async fn check(&self) -> Result<Health, StoreError> {
        let further: &[_] = match self.replicas {
            Some(_) => &["wait"],
            None => &[],
        };
        let key = self.prefix.key_of_nobody();
        let names = (&*key, self.bus.channel());
        let accounts = command::check(&self.connection, names, further).await?;
        let read = |account: Account| {
            let health = Health::read(&account.text)?;
            Some(health.asked(account.latency, account.forbidden))
        };
        let healths: Option<Vec<_>> = accounts.into_iter().map(read).collect();
        let worst = healths.and_then(|healths| healths.into_iter().reduce(Health::joined));
        worst.ok_or_else(|| strange_answer(Effect::Read))
    }
}

impl Store for RedisStore {
    async fn create(
        &self,
        id: SessionId,
        record: &Record,
        ttl: Duration,
    ) -> Result<Created, StoreError> {
        let key = self.prefix.key(id);
        let created = match &self.replicas {
            None => command::create(&self.connection, key, record, ttl).await?,
            // In a box, as are all the larger futures of what few do: the others would carry them along.
            Some(replicas) => {
                Box::pin(command::create_on_replicas(replicas, key, record, ttl)).await?
            }
        };
        match created {
            true => Ok(Created::Created),
            false => Ok(Created::Collision),
        }
    }

    /// In one call, unless the two keys may lie on two servers, or replicas are waited for.
    async fn enter(
        &self,
        user: &UserKey,
        applicant: &Applicant,
        record: &Record,
        ttl: Duration,
        event: Option<&SessionEvent>,
    ) -> Result<Entered, StoreError> {
        if self.replicas.is_some() || self.connection.is_clustered()? {
            return Box::pin(admit_and_create(self, user, applicant, record, ttl)).await;
        }
        let begins = command::Beginning {
            index: self.prefix.user(user),
            key: self.prefix.key(applicant.id),
            record,
            ttl,
            channel: self.bus.channel(),
            event: event.map(SessionEvent::encode),
        };
        command::enter(&self.connection, applicant, begins).await
    }

    async fn load(&self, id: SessionId) -> Result<Loaded, StoreError> {
        let value = command::load(&self.connection, self.prefix.key(id)).await?;
        let Some(value) = value else {
            return Ok(Loaded::Nothing);
        };
        Ok(match codec::decode(&value)? {
            Stored::Record(record) => Loaded::Record(record),
            Stored::Tombstone(tombstone) => Loaded::Tombstone(tombstone),
        })
    }

    async fn update(
        &self,
        id: SessionId,
        expected: Revision,
        record: &Record,
        ttl: Duration,
    ) -> Result<Updated, StoreError> {
        let key = self.prefix.key(id);
        match command::update(&self.connection, &key, expected, record, ttl).await? {
            Reply::Done => Ok(Updated::Updated),
            Reply::Nothing => Ok(Updated::Missing),
            Reply::There(there) => Ok(match codec::decode(&there)? {
                Stored::Record(record) => Updated::Conflict(record),
                Stored::Tombstone(tombstone) => Updated::Ended(tombstone),
            }),
        }
    }

    async fn touch(
        &self,
        id: SessionId,
        expected: Revision,
        seen: Timestamp,
        ttl: Duration,
    ) -> Result<Touched, StoreError> {
        let key = self.prefix.key(id);
        match command::touch(&self.connection, &key, expected, seen, ttl).await? {
            Reply::Done => Ok(Touched::Touched),
            Reply::Nothing => Ok(Touched::Superseded),
            Reply::There(_) => Err(strange_answer(Effect::Write)),
        }
    }

    async fn end(
        &self,
        id: SessionId,
        expected: Option<Revision>,
        tombstone: &Tombstone,
        keep: Duration,
    ) -> Result<Ended, StoreError> {
        let key = self.prefix.key(id);
        let reply = match &self.replicas {
            None => command::end(&self.connection, &key, expected, tombstone, keep).await?,
            Some(replicas) => {
                let end = command::end_on_replicas(replicas, &key, expected, tombstone, keep);
                Box::pin(end).await?
            }
        };
        match reply {
            Reply::Done => Ok(Ended::Ended),
            Reply::Nothing => Ok(Ended::Missing),
            Reply::There(there) => what_ended_instead(&there),
        }
    }

    fn index(&self) -> Option<impl UserIndex> {
        Some(self)
    }

    fn admin(&self) -> Option<impl StoreAdmin> {
        Some(self)
    }

    fn bus(&self) -> Option<impl EventBus> {
        Some(self)
    }
}

impl UserIndex for RedisStore {
    async fn admit(&self, user: &UserKey, applicant: &Applicant) -> Result<Admission, StoreError> {
        command::admit(&self.connection, &self.prefix.user(user), applicant).await
    }

    async fn entered(&self, user: &UserKey) -> Result<Vec<SessionId>, StoreError> {
        command::entered(&self.connection, self.prefix.user(user)).await
    }

    async fn forget(&self, user: &UserKey, ids: &[SessionId]) -> Result<(), StoreError> {
        command::forget(&self.connection, self.prefix.user(user), ids).await
    }
}

impl StoreAdmin for RedisStore {
    async fn scan_ids(&self) -> Result<Vec<SessionId>, StoreError> {
        let id_of = |key: &str| self.prefix.id_in(key);
        command::everything(&self.connection, &self.prefix.pattern(), id_of).await
    }

    async fn revoked_before(&self) -> Result<Timestamp, StoreError> {
        command::epoch(&self.connection, self.prefix.epoch()).await
    }

    async fn set_revoked_before(&self, at: Timestamp, keep: Duration) -> Result<(), StoreError> {
        command::begin_epoch(&self.connection, &self.prefix.epoch(), at, keep).await
    }
}

impl EventBus for RedisStore {
    async fn publish(&self, event: &SessionEvent) -> Result<(), StoreError> {
        let channel = self.bus.channel().to_owned();
        command::publish(&self.connection, channel, event.encode()).await
    }

    fn subscribe(&self) -> Subscription {
        self.bus.subscribe(&self.connection)
    }
}

fn what_ended_instead(there: &Bytes) -> Result<Ended, StoreError> {
    Ok(match codec::decode(there)? {
        Stored::Record(record) => Ended::Conflict(record),
        Stored::Tombstone(tombstone) => Ended::AlreadyEnded(tombstone),
    })
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("prefix", &self.prefix)
            .field("connection", &self.connection)
            .field("replicas", &self.replicas)
            .finish()
    }
}
