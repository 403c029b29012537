//! A store in memory with virtual time, which delays and loses commands and replies, freezes, and fails over.

mod broken;
mod cache;
mod command;
mod server;
mod troubles;

use std::sync::Arc;
use std::time::Duration;

use cloakroom::{
    SessionEvent, SessionId, Store, StoreError, StoreErrorKind, Subscription, Timestamp,
};
use cloakroom_core::admin::{ScanCursor, ScanPage};
use cloakroom_core::index::{AddOutcome, AddRequest};
use cloakroom_core::store::{
    Created, Ended, Loaded, Touched, Updated, UserCreated, add_and_create,
};
use cloakroom_core::{EventBus, Record, Revision, StoreAdmin, Tombstone, UserIndex, UserKey};

pub use self::broken::Broken;
use self::cache::Cache;
use self::command::{Command, Reply};
use self::server::Server;
pub use self::troubles::{COMMAND_TIMEOUT, Troubles};
pub(crate) use self::troubles::{ORIGIN, Origin};
use crate::clock::SimClock;
use crate::trace::Trace;

/// The store of one server of the app. All that are made from one another share their sessions, as several
/// `RedisStore`s on one Redis do.
#[derive(Clone, Debug)]
pub struct SimStore {
    server: Arc<Server>,
    clock: SimClock,
    cache: Option<Arc<Cache>>,
    /// Whether a sign-in is one command, as on a single Redis, or two, as in a cluster.
    signs_in_at_once: bool,
}

impl SimStore {
    /// Creates an empty store. Its clock is the right one.
    #[must_use]
    pub fn new(
        clock: SimClock,
        troubles: Troubles,
        broken: Option<Broken>,
        trace: Arc<Trace>,
    ) -> Self {
        Self {
            server: Arc::new(Server::new(clock, troubles, broken, trace)),
            clock,
            cache: None,
            signs_in_at_once: true,
        }
    }

    /// Signs users in by two commands: first the index, then the record.
    #[must_use]
    pub const fn in_two_commands(mut self) -> Self {
        self.signs_in_at_once = false;
        self
    }

    /// Puts a cache of its own in front of this store, whose records are at most this old.
    #[must_use]
    pub fn with_cache(mut self, window: Duration) -> Self {
        self.cache = Some(Arc::new(Cache::new(crate::clock::as_millis(window))));
        self
    }

    /// Sends a command that writes a session.
    async fn write(&self, id: SessionId, command: Command) -> Result<Reply, StoreError> {
        let Some(cache) = &self.cache else {
            return self.server.send(command).await;
        };
        cache.write_begins(id);
        let reply = self.server.send(command).await;
        let is_unknown =
            matches!(&reply, Err(error) if error.kind() == StoreErrorKind::OutcomeUnknown);
        cache.write_ends(id, !is_unknown);
        reply
    }
}

/// Returns what a reply holds.
macro_rules! expect {
    ($reply:expr, $kind:path) => {
        match $reply? {
            $kind(value) => Ok::<_, StoreError>(value),
            other => unreachable!("{other:?} is the reply to another command"),
        }
    };
}

impl Store for SimStore {
    async fn create(
        &self,
        id: SessionId,
        record: &Record,
        ttl: Duration,
    ) -> Result<Created, StoreError> {
        let command = Command::Create(id, record.clone(), ttl);
        expect!(self.write(id, command).await, Reply::Created)
    }

    async fn create_for_user(
        &self,
        user: &UserKey,
        add_request: &AddRequest,
        record: &Record,
        ttl: Duration,
        _: Option<&SessionEvent>,
    ) -> Result<UserCreated, StoreError> {
        if !self.signs_in_at_once {
            return add_and_create(self, user, add_request, record, ttl).await;
        }
        let command = Command::CreateForUser(*user, add_request.clone(), record.clone(), ttl);
        expect!(
            self.write(add_request.id, command).await,
            Reply::UserCreated
        )
    }

    async fn load(&self, id: SessionId) -> Result<Loaded, StoreError> {
        let sent = self.clock.elapsed();
        let version = self.cache.as_ref().map(|cache| cache.version(id));
        let loaded = expect!(self.server.send(Command::Load(id)).await, Reply::Loaded)?;
        if let (Some(cache), Some(version)) = (&self.cache, version) {
            cache.insert(id, sent, version, &loaded);
        }
        Ok(loaded)
    }

    async fn load_many(&self, ids: &[SessionId]) -> Vec<Result<Loaded, StoreError>> {
        match self.server.send(Command::LoadMany(ids.to_vec())).await {
            Ok(Reply::LoadedMany(loaded)) => loaded,
            Ok(other) => unreachable!("{other:?} is the reply to another command"),
            Err(error) => vec![Err(error); ids.len()],
        }
    }

    fn peek_cached(&self, id: SessionId) -> Option<Loaded> {
        self.cache.as_ref()?.peek(id, self.clock.elapsed())
    }

    fn has_cache(&self) -> bool {
        self.cache.is_some()
    }

    async fn update(
        &self,
        id: SessionId,
        expected: Revision,
        record: &Record,
        ttl: Duration,
    ) -> Result<Updated, StoreError> {
        let command = Command::Update(id, expected, record.clone(), ttl);
        expect!(self.write(id, command).await, Reply::Updated)
    }

    async fn touch(
        &self,
        id: SessionId,
        expected: Revision,
        seen: Timestamp,
        ttl: Duration,
    ) -> Result<Touched, StoreError> {
        let command = Command::Touch(id, expected, seen, ttl);
        expect!(self.write(id, command).await, Reply::Touched)
    }

    async fn end(
        &self,
        id: SessionId,
        expected: Option<Revision>,
        tombstone: &Tombstone,
        keep: Duration,
    ) -> Result<Ended, StoreError> {
        let command = Command::End(id, expected, tombstone.clone(), keep);
        expect!(self.write(id, command).await, Reply::Ended)
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

impl UserIndex for SimStore {
    async fn add(
        &self,
        user: &UserKey,
        add_request: &AddRequest,
    ) -> Result<AddOutcome, StoreError> {
        let command = Command::Add(*user, add_request.clone());
        expect!(self.server.send(command).await, Reply::Added)
    }

    async fn evict(
        &self,
        user: &UserKey,
        now: Timestamp,
        most: u32,
        replaces: Option<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        let command = Command::Evict(*user, now, most, replaces);
        expect!(self.server.send(command).await, Reply::Ids)
    }

    async fn list(
        &self,
        user: &UserKey,
        after: Option<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        expect!(
            self.server.send(Command::List(*user, after)).await,
            Reply::Ids
        )
    }

    async fn contains(&self, user: &UserKey, id: SessionId) -> Result<bool, StoreError> {
        expect!(
            self.server.send(Command::Contains(*user, id)).await,
            Reply::Contains
        )
    }

    async fn remove(&self, user: &UserKey, ids: &[SessionId]) -> Result<(), StoreError> {
        let command = Command::Remove(*user, ids.to_vec());
        self.server.send(command).await.map(drop)
    }
}

impl StoreAdmin for SimStore {
    async fn scan_ids(&self, from: Option<&ScanCursor>) -> Result<ScanPage, StoreError> {
        let command = Command::ScanIds(from.cloned());
        expect!(self.server.send(command).await, Reply::Scanned)
    }

    async fn revoked_before(&self) -> Result<Timestamp, StoreError> {
        expect!(self.server.send(Command::RevokedBefore).await, Reply::Time)
    }

    async fn set_revoked_before(
        &self,
        delay: Duration,
        keep: Duration,
    ) -> Result<Timestamp, StoreError> {
        let command = Command::SetRevokedBefore(delay, keep);
        expect!(self.server.send(command).await, Reply::Time)
    }
}

impl EventBus for SimStore {
    async fn publish(&self, event: &SessionEvent) -> Result<(), StoreError> {
        self.server.bus.send(event.clone());
        Ok(())
    }

    fn subscribe(&self) -> Subscription {
        self.server.bus.subscribe()
    }
}
