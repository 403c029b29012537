//! The store: maps the verbs of [`Store`] to commands, and their replies to outcomes.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use cloakroom_core::admin::{ScanCursor, ScanPage, StoreAdmin};
use cloakroom_core::bus::{EventBus, Subscription};
use cloakroom_core::codec::{self, RecordFormat, Stored};
use cloakroom_core::event::SessionEvent;
use cloakroom_core::index::{AddOutcome, AddRequest, UserIndex};
use cloakroom_core::store::{
    Created, Ended, Loaded, Touched, Updated, UserCreated, add_and_create,
};
use cloakroom_core::{
    Record, Revision, SessionId, Store, StoreError, StoreErrorKind, Timestamp, Tombstone, UserKey,
};
use fred::clients::Client;

use crate::bus::Bus;
use crate::classify::Effect;
use crate::command::end::{self, End};
use crate::command::index::NewSession;
use crate::command::slot::{placed, slot_of};
use crate::command::{Executor, Message, Reply, admin, index, session};
use crate::connection::Connection;
use crate::error::{ConnectError, unexpected_reply};
use crate::key::KeyPrefix;
use crate::replication::Replication;

/// Keeps sessions in Redis or Valkey.
///
/// Clones are cheap and share one connection; dropping the last one disconnects. Use one store per app.
///
/// Every verb returns within the command timeout (250 ms by default), and one that only reads within three,
/// whatever happens to the server, and works again as soon as the server does. The [crate's documentation](crate) lists the keys,
/// the commands and the errors.
///
/// ```no_run
/// use cloakroom_redis::RedisStore;
///
/// # async fn start() -> Result<(), cloakroom_redis::ConnectError> {
/// let store = RedisStore::connect("redis://127.0.0.1", "shop").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RedisStore {
    executor: Executor,
    /// For the writes that wait for replicas, if any do.
    replication: Option<Replication>,
    prefix: KeyPrefix,
    /// The format in which records are written.
    format: RecordFormat,
    bus: Bus,
}

impl RedisStore {
    /// Keeps sessions through a client of fred 10.1 that the app has set up, under `prefix`.
    ///
    /// The app connects the client, gives it a reconnect policy, and closes it. Commands are sent once,
    /// with a timeout of 250 ms, and fail at once while there is no connection, whatever the defaults of
    /// the client are. It is probed every two seconds. If it is silent, it is instructed to reconnect, which
    /// leaves the outcome of writes in flight unknown; a client whose task has ended or hangs is not
    /// replaced. Three more settings of the client matter:
    ///
    /// - `internal_command_timeout` and `connection_timeout`: 500 ms rather than the default of 10 s.
    /// - `reconnect_errors`: preferably empty. fred gives such an error to every command in flight, so the
    ///   outcome of writes that get it is unknown.
    /// - `max_command_buffer_len`: 0, or more than the app ever uses. Above it, fred 10.1 stops
    ///   flushing commands one by one. This store uses at most half of it.
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
    /// let store = RedisStore::from_client(client, "shop")?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// When the prefix is invalid: it follows the rules of an app's name, see [`connect`](Self::connect).
    pub fn from_client(client: Client, prefix: impl AsRef<str>) -> Result<Self, ConnectError> {
        let prefix = KeyPrefix::new(prefix.as_ref()).map_err(ConnectError::configuration)?;
        Ok(Self::new(
            Connection::from_client(&client),
            None,
            prefix,
            RecordFormat::default(),
        ))
    }

    pub(crate) fn new(
        connection: Connection,
        replication: Option<Replication>,
        prefix: KeyPrefix,
        format: RecordFormat,
    ) -> Self {
        Self {
            executor: Executor::new(connection),
            replication,
            bus: Bus::new(prefix.channel()),
            prefix,
            format,
        }
    }

    pub(crate) const fn executor(&self) -> &Executor {
        &self.executor
    }

    pub(crate) const fn replication(&self) -> Option<&Replication> {
        self.replication.as_ref()
    }

    pub(crate) const fn connection(&self) -> &Connection {
        self.executor.connection()
    }

    pub(crate) const fn event_bus(&self) -> &Bus {
        &self.bus
    }

    pub(crate) const fn prefix(&self) -> &KeyPrefix {
        &self.prefix
    }

    /// Whether a session and its user's index are in one slot of a cluster, so that one script may use both.
    fn has_one_slot(&self, user: &UserKey, id: SessionId) -> bool {
        self.connection().knows_clusters()
            && slot_of(&self.prefix.user(user)) == slot_of(&self.prefix.key(id))
    }

    /// Returns the server's URL without user name, password and the credentials of sentinels, for logs.
    /// The address of a client that the app has set up is unknown.
    #[must_use]
    pub fn redacted_url(&self) -> &str {
        self.connection().address()
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
        let is_created = match &self.replication {
            None => {
                let create = session::create(key, record, ttl, self.format);
                let reply = self.executor.send(Effect::Write, create).await?;
                !reply.is_null()
            }
            // Boxed, like all large futures of rare paths, so that the common ones stay small.
            Some(replication) => {
                let create =
                    session::create_on_replicas(replication, key, record, ttl, self.format);
                Box::pin(create).await?
            }
        };
        Ok(if is_created {
            Created::Created
        } else {
            Created::Collision
        })
    }

    /// One command, or two if the keys are in different slots of a cluster; separate ones if replicas are waited for.
    async fn create_for_user(
        &self,
        user: &UserKey,
        add_request: &AddRequest,
        record: &Record,
        ttl: Duration,
        event: Option<&SessionEvent>,
    ) -> Result<UserCreated, StoreError> {
        if self.replication.is_some() {
            return Box::pin(add_and_create(self, user, add_request, record, ttl)).await;
        }
        let session = || NewSession {
            index: self.prefix.user(user),
            key: self.prefix.key(add_request.id),
            record,
            ttl,
            format: self.format,
            channel: self.bus.channel(),
            event,
        };
        let is_clustered = self.connection().is_clustered();
        if is_clustered && !self.has_one_slot(user, add_request.id) {
            return Box::pin(index::add_and_create(
                &self.executor,
                add_request,
                session(),
            ))
            .await;
        }
        let created = index::create_for_user(&self.executor, add_request, session()).await;
        match created {
            // The reply has shown that the server is in cluster mode, and that nothing was executed.
            Err(error)
                if error.kind() == StoreErrorKind::Refused
                    && !is_clustered
                    && self.connection().is_clustered() =>
            {
                Box::pin(index::add_and_create(
                    &self.executor,
                    add_request,
                    session(),
                ))
                .await
            }
            created => created,
        }
    }

    /// In a cluster, an id in the slot of the user's index, so that a sign-in is one command.
    fn place(&self, user: &UserKey, drawn: SessionId) -> SessionId {
        if self.replication.is_some() || !self.connection().knows_clusters() {
            return drawn;
        }
        let slot = slot_of(&self.prefix.user(user));
        placed(drawn, slot, |id| self.prefix.key(id))
    }

    async fn load(&self, id: SessionId) -> Result<Loaded, StoreError> {
        self.bus.resume(self.connection());
        let read = || self.executor.load(self.prefix.key(id));
        loaded(self.connection().read(read).await?)
    }

    async fn load_many(&self, ids: &[SessionId]) -> Vec<Result<Loaded, StoreError>> {
        let read = || async {
            let keys = ids.iter().map(|id| self.prefix.key(*id)).collect();
            all_or_error(session::load_many(&self.executor, keys).await)
        };
        match self.connection().read(read).await {
            Ok(values) => values.into_iter().map(|value| loaded(value?)).collect(),
            Err(error) => vec![Err(error); ids.len()],
        }
    }

    async fn update(
        &self,
        id: SessionId,
        expected: Revision,
        record: &Record,
        ttl: Duration,
    ) -> Result<Updated, StoreError> {
        let key = self.prefix.key(id);
        let call = session::update(&key, expected, record, ttl, self.format);
        match Reply::of(self.executor.run(call).await?)? {
            Reply::Done => Ok(Updated::Updated),
            Reply::Nothing => Ok(Updated::Missing),
            Reply::Other(found) => Ok(match codec::decode(&found)? {
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
        let call = session::touch(&key, expected, seen, ttl);
        match Reply::of(self.executor.run(call).await?)? {
            Reply::Done => Ok(Touched::Touched),
            Reply::Nothing => Ok(Touched::Superseded),
            Reply::Other(_) => Err(unexpected_reply(Effect::Write)),
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
        let end = End {
            key: &key,
            expected,
            tombstone,
            keep,
        };
        end::end(&self.executor, self.replication.as_ref(), end).await
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

/// Returns the values, or the error if the connection was lost to all of them.
fn all_or_error<T>(
    values: Vec<Result<T, StoreError>>,
) -> Result<Vec<Result<T, StoreError>>, StoreError> {
    let is_lost = |value: &Result<T, StoreError>| matches!(value, Err(error) if error.kind() == StoreErrorKind::Unavailable);
    match values.first() {
        Some(Err(error)) if values.iter().all(is_lost) => Err(error.clone()),
        _ => Ok(values),
    }
}

impl UserIndex for RedisStore {
    async fn add(
        &self,
        user: &UserKey,
        add_request: &AddRequest,
    ) -> Result<AddOutcome, StoreError> {
        index::add(&self.executor, &self.prefix.user(user), add_request).await
    }

    async fn evict(
        &self,
        user: &UserKey,
        now: Timestamp,
        most: u32,
        replaces: Option<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        let key = self.prefix.user(user);
        index::evict(&self.executor, &key, now, most, replaces).await
    }

    async fn list(
        &self,
        user: &UserKey,
        after: Option<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        let read = || index::list(&self.executor, self.prefix.user(user), after);
        self.connection().read(read).await
    }

    async fn contains(&self, user: &UserKey, id: SessionId) -> Result<bool, StoreError> {
        let read = || index::contains(&self.executor, self.prefix.user(user), id);
        self.connection().read(read).await
    }

    async fn remove(&self, user: &UserKey, ids: &[SessionId]) -> Result<(), StoreError> {
        index::remove(&self.executor, self.prefix.user(user), ids).await
    }
}

impl StoreAdmin for RedisStore {
    async fn scan_ids(&self, from: Option<&ScanCursor>) -> Result<ScanPage, StoreError> {
        self.connection().attach().await;
        let id_of = |key: &str| self.prefix.id_in(key);
        admin::scan_ids(&self.executor, &self.prefix.pattern(), id_of, from).await
    }

    async fn revoked_before(&self) -> Result<Timestamp, StoreError> {
        let read = || admin::revoked_before(&self.executor, self.prefix.revoked_before());
        self.connection().read(read).await
    }

    async fn set_revoked_before(
        &self,
        delay: Duration,
        keep: Duration,
    ) -> Result<Timestamp, StoreError> {
        let (replication, key) = (self.replication(), self.prefix.revoked_before());
        admin::set_revoked_before(&self.executor, replication, &key, delay, keep).await
    }
}

impl EventBus for RedisStore {
    async fn publish(&self, event: &SessionEvent) -> Result<(), StoreError> {
        let message = Message {
            channel: self.bus.channel().to_owned(),
            text: event.encode(),
        };
        self.executor.publish(message).await
    }

    fn subscribe(&self) -> Subscription {
        self.bus.subscribe(self.connection())
    }
}

/// What a `load` has found.
fn loaded(value: Option<Bytes>) -> Result<Loaded, StoreError> {
    let Some(value) = value else {
        return Ok(Loaded::Nothing);
    };
    Ok(match codec::decode(&value)? {
        Stored::Record(record) => Loaded::Record(record),
        Stored::Tombstone(tombstone) => Loaded::Tombstone(tombstone),
    })
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("prefix", &self.prefix)
            .field("connection", self.connection())
            .field("replication", &self.replication)
            .finish()
    }
}
