//! A store whose first scan of all sessions takes as long as a test wants.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cloakroom::{MemoryStore, Store};
use cloakroom_core::admin::{ScanCursor, ScanPage};
use cloakroom_core::store::{Created, Ended, Loaded, Touched, Updated};
use cloakroom_core::{Record, Revision, SessionId, StoreAdmin, StoreError, Timestamp, Tombstone};

use crate::faulty_store::Gate;

/// A memory store whose first scan waits at a gate.
#[derive(Clone, Debug)]
pub struct SlowScan {
    inner: MemoryStore,
    /// What the first scan waits for, before it reads anything.
    pub first_scan: Gate,
    has_scanned: Arc<AtomicBool>,
}

impl SlowScan {
    /// Wraps a store.
    #[must_use]
    pub fn new(inner: MemoryStore) -> Self {
        Self {
            inner,
            first_scan: Gate::new(),
            has_scanned: Arc::default(),
        }
    }
}

impl Store for SlowScan {
    async fn create(
        &self,
        id: SessionId,
        record: &Record,
        ttl: Duration,
    ) -> Result<Created, StoreError> {
        self.inner.create(id, record, ttl).await
    }

    async fn load(&self, id: SessionId) -> Result<Loaded, StoreError> {
        self.inner.load(id).await
    }

    async fn update(
        &self,
        id: SessionId,
        expected: Revision,
        record: &Record,
        ttl: Duration,
    ) -> Result<Updated, StoreError> {
        self.inner.update(id, expected, record, ttl).await
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
        self.inner.end(id, expected, tombstone, keep).await
    }

    fn index(&self) -> Option<impl cloakroom_core::UserIndex> {
        self.inner.index()
    }

    fn admin(&self) -> Option<impl StoreAdmin> {
        Some(self)
    }

    fn bus(&self) -> Option<impl cloakroom_core::EventBus> {
        self.inner.bus()
    }
}

impl StoreAdmin for SlowScan {
    async fn scan_ids(&self, from: Option<&ScanCursor>) -> Result<ScanPage, StoreError> {
        if !self.has_scanned.swap(true, Ordering::SeqCst) {
            self.first_scan.pass().await;
        }
        self.admin_of_inner().scan_ids(from).await
    }

    async fn revoked_before(&self) -> Result<Timestamp, StoreError> {
        self.admin_of_inner().revoked_before().await
    }

    async fn set_revoked_before(
        &self,
        delay: Duration,
        keep: Duration,
    ) -> Result<Timestamp, StoreError> {
        self.admin_of_inner().set_revoked_before(delay, keep).await
    }
}

impl SlowScan {
    fn admin_of_inner(&self) -> impl StoreAdmin {
        self.inner.admin().expect("a memory store has one")
    }
}
