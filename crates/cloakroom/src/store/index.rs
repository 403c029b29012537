//! The store's index of users, its store-wide operations and its event bus, behind the same pointer.

use std::time::Duration;

use cloakroom_core::admin::{ScanCursor, ScanPage, StoreAdmin};
use cloakroom_core::bus::{EventBus, Subscription};
use cloakroom_core::event::SessionEvent;
use cloakroom_core::index::{AddOutcome, AddRequest, UserIndex};
use cloakroom_core::store::UserCreated;
use cloakroom_core::{Record, SessionId, Store, StoreError, StoreErrorKind, Timestamp, UserKey};

use super::instrumented::{BoxFuture, Instrumented};

/// [`UserIndex`], [`StoreAdmin`] and [`EventBus`] of a store, with their futures boxed. If the store has none, the
/// methods return [`Unsupported`](StoreErrorKind::Unsupported).
pub(crate) trait DynUserIndex {
    fn has_index(&self) -> bool;

    fn has_admin(&self) -> bool;

    fn has_bus(&self) -> bool;

    fn place(&self, user: &UserKey, drawn: SessionId) -> SessionId;

    fn create_for_user<'a>(
        &'a self,
        user: UserKey,
        add_request: &'a AddRequest,
        record: &'a Record,
        ttl: Duration,
        event: Option<&'a SessionEvent>,
    ) -> BoxFuture<'a, UserCreated>;

    fn index_add<'a>(
        &'a self,
        user: UserKey,
        add_request: &'a AddRequest,
    ) -> BoxFuture<'a, AddOutcome>;

    fn index_evict(
        &self,
        user: UserKey,
        now: Timestamp,
        most: u32,
        replaces: Option<SessionId>,
    ) -> BoxFuture<'_, Vec<SessionId>>;

    fn index_list(&self, user: UserKey, after: Option<SessionId>) -> BoxFuture<'_, Vec<SessionId>>;

    fn index_contains(&self, user: UserKey, id: SessionId) -> BoxFuture<'_, bool>;

    fn index_remove<'a>(&'a self, user: UserKey, ids: &'a [SessionId]) -> BoxFuture<'a, ()>;

    fn scan_ids<'a>(&'a self, from: Option<&'a ScanCursor>) -> BoxFuture<'a, ScanPage>;

    fn revoked_before(&self) -> BoxFuture<'_, Timestamp>;

    fn set_revoked_before(&self, delay: Duration, keep: Duration) -> BoxFuture<'_, Timestamp>;

    fn publish<'a>(&'a self, event: &'a SessionEvent) -> BoxFuture<'a, ()>;

    fn subscribe(&self) -> Option<Subscription>;
}

impl<S: Store> DynUserIndex for S {
    fn has_index(&self) -> bool {
        self.index().is_some()
    }

    fn has_admin(&self) -> bool {
        self.admin().is_some()
    }

    fn has_bus(&self) -> bool {
        self.bus().is_some()
    }

    fn place(&self, user: &UserKey, drawn: SessionId) -> SessionId {
        Store::place(self, user, drawn)
    }

    fn create_for_user<'a>(
        &'a self,
        user: UserKey,
        add_request: &'a AddRequest,
        record: &'a Record,
        ttl: Duration,
        event: Option<&'a SessionEvent>,
    ) -> BoxFuture<'a, UserCreated> {
        let enter = async move {
            Store::create_for_user(self, &user, add_request, record, ttl, event).await
        };
        Box::pin(Instrumented::new("create_for_user", add_request.id, enter))
    }

    fn index_add<'a>(
        &'a self,
        user: UserKey,
        add_request: &'a AddRequest,
    ) -> BoxFuture<'a, AddOutcome> {
        let admit = async move { index(self)?.add(&user, add_request).await };
        Box::pin(Instrumented::new("index_add", add_request.id, admit))
    }

    fn index_evict(
        &self,
        user: UserKey,
        now: Timestamp,
        most: u32,
        replaces: Option<SessionId>,
    ) -> BoxFuture<'_, Vec<SessionId>> {
        Box::pin(async move { index(self)?.evict(&user, now, most, replaces).await })
    }

    fn index_list(&self, user: UserKey, after: Option<SessionId>) -> BoxFuture<'_, Vec<SessionId>> {
        Box::pin(async move { index(self)?.list(&user, after).await })
    }

    fn index_contains(&self, user: UserKey, id: SessionId) -> BoxFuture<'_, bool> {
        Box::pin(async move { index(self)?.contains(&user, id).await })
    }

    fn index_remove<'a>(&'a self, user: UserKey, ids: &'a [SessionId]) -> BoxFuture<'a, ()> {
        Box::pin(async move { index(self)?.remove(&user, ids).await })
    }

    fn scan_ids<'a>(&'a self, from: Option<&'a ScanCursor>) -> BoxFuture<'a, ScanPage> {
        Box::pin(async move { admin(self)?.scan_ids(from).await })
    }

    fn revoked_before(&self) -> BoxFuture<'_, Timestamp> {
        Box::pin(async move { admin(self)?.revoked_before().await })
    }

    fn set_revoked_before(&self, delay: Duration, keep: Duration) -> BoxFuture<'_, Timestamp> {
        Box::pin(async move { admin(self)?.set_revoked_before(delay, keep).await })
    }

    fn publish<'a>(&'a self, event: &'a SessionEvent) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let bus = self.bus().ok_or(UNSUPPORTED)?;
            bus.publish(event).await
        })
    }

    fn subscribe(&self) -> Option<Subscription> {
        Some(self.bus()?.subscribe())
    }
}

const UNSUPPORTED: StoreError = StoreError::new(StoreErrorKind::Unsupported);

fn index(store: &impl Store) -> Result<impl UserIndex, StoreError> {
    store.index().ok_or(UNSUPPORTED)
}

fn admin(store: &impl Store) -> Result<impl StoreAdmin, StoreError> {
    store.admin().ok_or(UNSUPPORTED)
}
