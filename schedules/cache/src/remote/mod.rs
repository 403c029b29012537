//! In place of the backends: one in memory. Each command is on its way before it is executed, and its reply afterwards.
//! While it fails, a write is executed or not, and its outcome is not known.

#[path = "../../../../crates/cloakroom-cache/src/remote/memory.rs"]
mod memory;
#[path = "../../../../crates/cloakroom-cache/src/remote/record.rs"]
mod record;

use std::cell::Cell;

use cloakroom_core::{StoreError, StoreErrorKind};
use cloakroom_redis::RedisStore;
use tokio::choose;
use tokio::sync::broadcast;
use tokio::task::yield_now;

pub(crate) use self::memory::{Memory, SharedMemory};
pub(crate) use self::record::{Fill, Found, Lease, Mode, Notice, Stored};
use crate::hash::KeyHash;

thread_local! {
    static FAILS: Cell<bool> = const { Cell::new(false) };
}

/// Sets whether writes fail.
pub(crate) fn set_fails(fails: bool) {
    FAILS.set(fails);
}

/// Not used here.
#[derive(Debug)]
pub(crate) struct Redis;

impl Redis {
    pub(crate) fn new(_: &RedisStore, _: &str) -> Self {
        Self
    }
}

#[derive(Debug)]
pub(crate) enum Remote {
    Redis(Redis),
    Memory(Memory),
}

impl Remote {
    pub(crate) async fn read(
        &self,
        key: KeyHash,
        lease: &Lease,
        generation: u64,
        mode: Mode,
    ) -> Result<Found, StoreError> {
        slowly(|| self.memory().read(key, lease, generation, mode)).await
    }

    pub(crate) async fn fill(
        &self,
        key: KeyHash,
        token: &str,
        fill: Fill<'_>,
    ) -> Result<bool, StoreError> {
        slowly(|| self.memory().fill(key, token, fill)).await
    }

    pub(crate) async fn write(
        &self,
        key: KeyHash,
        stored: Option<&Stored>,
    ) -> Result<(), StoreError> {
        if FAILS.get() && choose(2) == 0 {
            yield_now().await;
            return Err(StoreError::new(StoreErrorKind::OutcomeUnknown));
        }
        let result = slowly(|| self.memory().write(key, stored)).await;
        if FAILS.get() && choose(2) == 0 {
            return Err(StoreError::new(StoreErrorKind::OutcomeUnknown));
        }
        result
    }

    pub(crate) async fn forget_all(&self) -> Result<u64, StoreError> {
        slowly(|| self.memory().forget_all()).await
    }

    pub(crate) async fn generation(&self) -> Result<u64, StoreError> {
        slowly(|| self.memory().generation()).await
    }

    pub(crate) fn subscribe(&self) -> Notices {
        Notices(self.memory().subscribe())
    }

    fn memory(&self) -> &Memory {
        match self {
            Self::Memory(memory) => memory,
            Self::Redis(_) => unreachable!("the backend is in memory"),
        }
    }
}

async fn slowly<T>(command: impl FnOnce() -> T) -> Result<T, StoreError> {
    yield_now().await;
    let result = command();
    yield_now().await;
    Ok(result)
}

/// The changes of one cache.
#[derive(Debug)]
pub(crate) struct Notices(broadcast::Receiver<Notice>);

impl Notices {
    pub(crate) async fn next(&mut self) -> Option<Notice> {
        let notice = self.0.recv().await.ok()?;
        yield_now().await;
        Some(notice)
    }
}
