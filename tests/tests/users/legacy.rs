//! A legacy store in memory, for tests of migrations.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use cloakroom::{
    CookieConfig, Entries, LegacyEnded, LegacyId, LegacySession, LegacyStore, MigrationKey,
};
use cloakroom_core::{Clock, ManualClock, StoreError, StoreErrorKind};

/// The name of the legacy cookie, whose value is the id of the legacy session.
pub(super) const COOKIE: &str = "legacy";

/// The key of a migration that starts now.
pub(super) fn key_of(clock: &ManualClock) -> MigrationKey {
    let now = clock.now().as_millis() / 1000;
    MigrationKey::new([7; 32], now).expect("a key of 32 bytes")
}

/// The sessions of the old version, by id: the user of each.
#[derive(Clone, Debug)]
pub(super) struct Legacy {
    cookie: CookieConfig,
    users: Arc<Mutex<HashMap<Vec<u8>, String>>>,
    reads: Arc<AtomicUsize>,
    failing_reads: Arc<AtomicUsize>,
    failing_ends: Arc<AtomicUsize>,
    ends_on_too_few_replicas: Arc<AtomicUsize>,
    is_damaged: Arc<AtomicBool>,
    deadline: Arc<Mutex<Option<SystemTime>>>,
}

impl Legacy {
    pub(super) fn new() -> Self {
        Self {
            cookie: CookieConfig::new(COOKIE),
            users: Arc::default(),
            reads: Arc::default(),
            failing_reads: Arc::default(),
            failing_ends: Arc::default(),
            ends_on_too_few_replicas: Arc::default(),
            is_damaged: Arc::default(),
            deadline: Arc::default(),
        }
    }

    fn users(&self) -> MutexGuard<'_, HashMap<Vec<u8>, String>> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn sign_in(&self, id: &str, user: &str) {
        self.users().insert(id.into(), user.to_owned());
    }

    pub(super) fn sign_out(&self, id: &str) -> bool {
        self.users().remove(id.as_bytes()).is_some()
    }

    pub(super) fn is_live(&self, id: &str) -> bool {
        self.users().contains_key(id.as_bytes())
    }

    /// How often a session was read since the last call.
    pub(super) fn take_reads(&self) -> usize {
        self.reads.swap(0, Ordering::Relaxed)
    }

    /// Lets the next reads fail.
    pub(super) fn fail_reads(&self, count: usize) {
        self.failing_reads.store(count, Ordering::Relaxed);
    }

    /// From now on no session can be decoded, or all can again.
    pub(super) fn damage(&self, is_damaged: bool) {
        self.is_damaged.store(is_damaged, Ordering::Relaxed);
    }

    /// Sets the deadline of all sessions.
    pub(super) fn expire_at(&self, deadline: SystemTime) {
        *self.lock_deadline() = Some(deadline);
    }

    fn lock_deadline(&self) -> MutexGuard<'_, Option<SystemTime>> {
        self.deadline.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the next ends fail, without an effect.
    pub(super) fn fail_ends(&self, count: usize) {
        self.failing_ends.store(count, Ordering::Relaxed);
    }

    /// Lets the next ends reach too few replicas.
    pub(super) fn end_on_too_few_replicas(&self, count: usize) {
        self.ends_on_too_few_replicas
            .store(count, Ordering::Relaxed);
    }
}

/// Takes one of the failures that are left.
fn fail(failing: &AtomicUsize, kind: StoreErrorKind) -> Result<(), StoreError> {
    let taken = failing.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
        left.checked_sub(1)
    });
    match taken {
        Ok(_) => Err(StoreError::new(kind)),
        Err(_) => Ok(()),
    }
}

impl LegacyStore for Legacy {
    fn cookie(&self) -> &CookieConfig {
        &self.cookie
    }

    fn open(&self, value: &str) -> Option<LegacyId> {
        Some(LegacyId::new(value))
    }

    async fn read(&self, id: &LegacyId) -> Result<Option<LegacySession>, StoreError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        fail(&self.failing_reads, StoreErrorKind::OutcomeUnknown)?;
        let users = self.users();
        let Some(user) = users.get(id.as_bytes()) else {
            return Ok(None);
        };
        if self.is_damaged.load(Ordering::Relaxed) {
            return Err(StoreError::new(StoreErrorKind::Unreadable));
        }
        let mut entries = Entries::new();
        entries.set("user", user).expect("text is JSON");
        let session = LegacySession::new(entries);
        Ok(Some(match *self.lock_deadline() {
            Some(deadline) => session.until(deadline),
            None => session,
        }))
    }

    async fn end(&self, id: &LegacyId) -> Result<LegacyEnded, StoreError> {
        fail(&self.failing_ends, StoreErrorKind::OutcomeUnknown)?;
        let id = std::str::from_utf8(id.as_bytes()).expect("the ids are text");
        let was_live = self.sign_out(id);
        fail(
            &self.ends_on_too_few_replicas,
            StoreErrorKind::NotReplicated,
        )?;
        if was_live {
            return Ok(LegacyEnded::Ended);
        }
        Ok(LegacyEnded::Missing)
    }
}
