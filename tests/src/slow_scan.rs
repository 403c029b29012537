//! A store whose first scan of all sessions takes as long as a test wants.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cloakroom::{MemoryStore, Store};
use cloakroom_core::admin::{ScanCursor, ScanPage};
use cloakroom_core::{StoreAdmin, StoreError, Timestamp};

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
    crate::forward_verbs!();

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
