//! A store with a cache on one server whose invalidations never arrive, until a test delivers them: the
//! oldest answers that a near cache may give within its window.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cloakroom::Store;
use cloakroom_core::index::AddRequest;
use cloakroom_core::store::{Created, Ended, Loaded, Touched, Updated, UserCreated};
use cloakroom_core::{
    Record, Revision, SessionEvent, SessionId, StoreError, Timestamp, Tombstone, UserKey,
};

use crate::forward::forward_optional_parts;

/// A cache of live sessions in front of a store. Clones share it.
#[derive(Clone, Debug)]
pub struct StaleCache<S> {
    inner: S,
    cached: Arc<Mutex<HashMap<SessionId, Record>>>,
    denies: Arc<AtomicBool>,
}

impl<S: Store> StaleCache<S> {
    /// An empty cache in front of a store.
    pub fn new(inner: S) -> Self {
        Self {
            inner,
            cached: Arc::default(),
            denies: Arc::default(),
        }
    }

    /// From now on the cache claims of every session that there is none.
    pub fn deny(&self) {
        self.denies.store(true, Ordering::Relaxed);
    }

    /// Delivers all invalidations: nothing is cached.
    pub fn invalidate(&self) {
        self.cached().clear();
    }

    /// How many sessions are cached.
    #[must_use]
    pub fn len(&self) -> usize {
        self.cached().len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cached().is_empty()
    }

    fn cached(&self) -> MutexGuard<'_, HashMap<SessionId, Record>> {
        self.cached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what this server itself learned from the store.
    fn note(&self, id: SessionId, record: Option<&Record>) {
        match record {
            Some(record) => drop(self.cached().insert(id, record.clone())),
            None => drop(self.cached().remove(&id)),
        }
    }
}

impl<S: Store> Store for StaleCache<S> {
    async fn create(
        &self,
        id: SessionId,
        record: &Record,
        ttl: Duration,
    ) -> Result<Created, StoreError> {
        self.inner.create(id, record, ttl).await
    }

    fn create_for_user(
        &self,
        user: &UserKey,
        add_request: &AddRequest,
        record: &Record,
        ttl: Duration,
        event: Option<&SessionEvent>,
    ) -> impl Future<Output = Result<UserCreated, StoreError>> + Send {
        self.inner
            .create_for_user(user, add_request, record, ttl, event)
    }

    async fn load(&self, id: SessionId) -> Result<Loaded, StoreError> {
        let loaded = self.inner.load(id).await?;
        match &loaded {
            Loaded::Record(record) => self.note(id, Some(record)),
            Loaded::Tombstone(_) | Loaded::Nothing => self.note(id, None),
        }
        Ok(loaded)
    }

    async fn load_many(&self, ids: &[SessionId]) -> Vec<Result<Loaded, StoreError>> {
        self.inner.load_many(ids).await
    }

    fn peek_cached(&self, id: SessionId) -> Option<Loaded> {
        if self.denies.load(Ordering::Relaxed) {
            return Some(Loaded::Nothing);
        }
        let cached = self.cached();
        cached.get(&id).cloned().map(Loaded::Record)
    }

    fn has_cache(&self) -> bool {
        true
    }

    async fn update(
        &self,
        id: SessionId,
        expected: Revision,
        record: &Record,
        ttl: Duration,
    ) -> Result<Updated, StoreError> {
        let updated = self.inner.update(id, expected, record, ttl).await;
        self.note(id, None);
        updated
    }

    async fn touch(
        &self,
        id: SessionId,
        expected: Revision,
        seen: Timestamp,
        ttl: Duration,
    ) -> Result<Touched, StoreError> {
        self.inner.touch(id, expected, seen, ttl).await
    }

    async fn end(
        &self,
        id: SessionId,
        expected: Option<Revision>,
        tombstone: &Tombstone,
        keep: Duration,
    ) -> Result<Ended, StoreError> {
        let ended = self.inner.end(id, expected, tombstone, keep).await;
        self.note(id, None);
        ended
    }

    forward_optional_parts!();
}
