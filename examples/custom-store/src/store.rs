//! The store.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cloakroom_core::bus::LocalBus;
use cloakroom_core::codec::{self, Stored};
use cloakroom_core::store::{Created, Ended, Loaded, Touched, Updated};
use cloakroom_core::{
    Clock, EventBus, Record, Revision, SessionId, Store, StoreAdmin, StoreError, StoreErrorKind,
    SystemClock, Timestamp, Tombstone, UserIndex,
};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::files::{Directory, Files, names};

/// How long a command may take.
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// Keeps sessions in a directory, one file for each. Clones share it.
///
/// They survive a restart of the process. A power failure may lose the last writes, since files are not
/// synced to the disk.
#[derive(Clone)]
pub struct FileStore {
    directory: Arc<Directory>,
    pub(crate) bus: LocalBus,
}

impl FileStore {
    /// Opens a directory, which is created if it is missing.
    ///
    /// # Errors
    ///
    /// Fails if the directory cannot be used, or another process uses it.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::open_with_clock(path, SystemClock)
    }

    /// Opens a directory. The time is read from `clock`.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_with_clock(path: impl AsRef<Path>, clock: impl Clock) -> io::Result<Self> {
        let directory = Directory::open(path.as_ref(), Arc::new(clock))?;
        Ok(Self {
            directory: Arc::new(directory),
            bus: LocalBus::new(),
        })
    }

    /// Runs one command on a thread for blocking work. `if_late` is the error if it takes too long.
    ///
    /// The thread runs the command to its end even if this future is dropped or the time is up.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        if_late: StoreErrorKind,
        command: impl FnOnce(&Files<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let directory = Arc::clone(&self.directory);
        let task = spawn_blocking(move || command(&directory.lock()));
        match timeout(TIME_LIMIT, task).await {
            Ok(Ok(result)) => result,
            Ok(Err(panicked)) => Err(StoreError::with_source(if_late, panicked)),
            Err(elapsed) => Err(StoreError::with_source(if_late, elapsed)),
        }
    }

    /// Runs a command that changes nothing.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        command: impl FnOnce(&Files<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.run(StoreErrorKind::Unavailable, command).await
    }

    /// Runs a command that may change something: if it is late, it may still be executed.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        command: impl FnOnce(&Files<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.run(StoreErrorKind::OutcomeUnknown, command).await
    }

    /// Deletes all files that have expired. To be called every minute or so.
    ///
    /// # Errors
    ///
    /// Fails if the directory cannot be read, or a file cannot be deleted.
    pub async fn delete_expired(&self) -> Result<(), StoreError> {
        for name in self.read(names).await? {
            // Each file is a command of its own, so that requests need not wait for all of them.
            self.write(move |files| files.delete_expired(&name)).await?;
        }
        Ok(())
    }
}

impl fmt::Debug for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStore").finish_non_exhaustive()
    }
}

/// Returns what is stored under an id, unless it has expired.
fn get(files: &Files<'_>, id: SessionId) -> Result<Option<Stored>, StoreError> {
    match files.read(&id.to_string())? {
        Some(text) => Ok(Some(codec::decode(text.as_bytes())?)),
        None => Ok(None),
    }
}

/// Stores an encoded record or tombstone.
fn put(files: &Files<'_>, id: SessionId, value: &str, ttl: Duration) -> Result<(), StoreError> {
    files.write(&id.to_string(), value, files.now.plus(ttl))
}

impl Store for FileStore {
    async fn create(
        &self,
        id: SessionId,
        record: &Record,
        ttl: Duration,
    ) -> Result<Created, StoreError> {
        let value = codec::encode(record);
        self.write(move |files| {
            if get(files, id)?.is_some() {
                return Ok(Created::Collision);
            }
            put(files, id, &value, ttl)?;
            Ok(Created::Created)
        })
        .await
    }

    async fn load(&self, id: SessionId) -> Result<Loaded, StoreError> {
        self.read(move |files| {
            Ok(match get(files, id)? {
                Some(Stored::Record(record)) => Loaded::Record(record),
                Some(Stored::Tombstone(tombstone)) => Loaded::Tombstone(tombstone),
                None => Loaded::Nothing,
            })
        })
        .await
    }

    async fn update(
        &self,
        id: SessionId,
        expected: Revision,
        record: &Record,
        ttl: Duration,
    ) -> Result<Updated, StoreError> {
        let value = codec::encode(record);
        self.write(move |files| match get(files, id)? {
            None => Ok(Updated::Missing),
            Some(Stored::Tombstone(tombstone)) => Ok(Updated::Ended(tombstone)),
            Some(Stored::Record(stored)) if stored.revision() != expected => {
                Ok(Updated::Conflict(stored))
            }
            Some(Stored::Record(_)) => {
                put(files, id, &value, ttl)?;
                Ok(Updated::Updated)
            }
        })
        .await
    }

    async fn touch(
        &self,
        id: SessionId,
        expected: Revision,
        seen: Timestamp,
        ttl: Duration,
    ) -> Result<Touched, StoreError> {
        self.write(move |files| match get(files, id)? {
            Some(Stored::Record(stored)) if stored.revision() == expected => {
                let value = codec::encode(&stored.touched(seen));
                put(files, id, &value, ttl)?;
                Ok(Touched::Touched)
            }
            _ => Ok(Touched::Superseded),
        })
        .await
    }

    async fn end(
        &self,
        id: SessionId,
        expected: Option<Revision>,
        tombstone: &Tombstone,
        keep: Duration,
    ) -> Result<Ended, StoreError> {
        let value = codec::encode_tombstone(tombstone);
        self.write(move |files| {
            let ended = match get(files, id)? {
                Some(Stored::Tombstone(first)) => return Ok(Ended::AlreadyEnded(first)),
                Some(Stored::Record(stored))
                    if expected.is_some_and(|expected| expected != stored.revision()) =>
                {
                    return Ok(Ended::Conflict(stored));
                }
                Some(Stored::Record(_)) => Ended::Ended,
                None => Ended::Missing,
            };
            put(files, id, &value, keep)?;
            Ok(ended)
        })
        .await
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
