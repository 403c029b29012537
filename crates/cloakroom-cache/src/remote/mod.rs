//! Where all servers of an app keep their records: Redis, or memory.
//!
//! A record is a value, or that there is none. To store a loaded record, a server needs a lease, which it takes when
//! it finds nothing usable. Whatever changes the record in between takes the lease away. So a load that began
//! before a change cannot undo it, however long it takes.

mod memory;
mod record;
mod redis;

use cloakroom_core::StoreError;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use cloakroom_redis::{AppMessage, AppMessages};

pub(crate) use self::memory::{Memory, SharedMemory};
pub(crate) use self::record::{Fill, Found, Lease, Mode, Notice, Stored};
pub(crate) use self::redis::Redis;
use crate::hash::KeyHash;

/// The records of one cache.
#[derive(Debug)]
pub(crate) enum Remote {
    Redis(Redis),
    Memory(Memory),
}

impl Remote {
    /// Reads a record, and takes the lease if it has to be loaded.
    pub(crate) async fn read(
        &self,
        key: KeyHash,
        lease: &Lease,
        generation: u64,
        mode: Mode,
    ) -> Result<Found, StoreError> {
        match self {
            Self::Redis(redis) => redis.read(key, lease, generation, mode).await,
            Self::Memory(memory) => Ok(memory.read(key, lease, generation, mode)),
        }
    }

    /// Ends a load: stores a record, removes it, or gives the lease back. Returns whether the lease was still there.
    pub(crate) async fn fill(
        &self,
        key: KeyHash,
        token: &str,
        fill: Fill<'_>,
    ) -> Result<bool, StoreError> {
        match self {
            Self::Redis(redis) => redis.fill(key, token, fill).await,
            Self::Memory(memory) => Ok(memory.fill(key, token, fill)),
        }
    }

    /// Replaces a record, or with `None` removes it, takes the lease away, and informs all servers.
    pub(crate) async fn write(
        &self,
        key: KeyHash,
        stored: Option<&Stored>,
    ) -> Result<(), StoreError> {
        match self {
            Self::Redis(redis) => redis.write(key, stored).await,
            Self::Memory(memory) => {
                memory.write(key, stored);
                Ok(())
            }
        }
    }

    /// Begins a new generation, informs all servers, and returns it.
    pub(crate) async fn forget_all(&self) -> Result<u64, StoreError> {
        match self {
            Self::Redis(redis) => redis.forget_all().await,
            Self::Memory(memory) => Ok(memory.forget_all()),
        }
    }

    /// Returns the current generation.
    pub(crate) async fn generation(&self) -> Result<u64, StoreError> {
        match self {
            Self::Redis(redis) => redis.generation().await,
            Self::Memory(memory) => Ok(memory.generation()),
        }
    }

    /// Subscribes to changes.
    pub(crate) fn subscribe(&self) -> Notices {
        match self {
            Self::Redis(redis) => Notices::Redis(redis.subscribe()),
            Self::Memory(memory) => Notices::Memory(memory.subscribe()),
        }
    }
}

/// The changes of one cache.
#[derive(Debug)]
pub(crate) enum Notices {
    Redis(AppMessages),
    Memory(broadcast::Receiver<Notice>),
}

impl Notices {
    /// Waits for the next change; `None` once the backend is gone.
    pub(crate) async fn next(&mut self) -> Option<Notice> {
        match self {
            Self::Redis(messages) => Some(match messages.next().await? {
                AppMessage::Text(text) => {
                    KeyHash::decode(&text).map_or(Notice::AllChanged, Notice::Changed)
                }
                _ => Notice::AllChanged,
            }),
            Self::Memory(receiver) => match receiver.recv().await {
                Ok(notice) => Some(notice),
                Err(RecvError::Lagged(_)) => Some(Notice::AllChanged),
                Err(RecvError::Closed) => None,
            },
        }
    }
}
