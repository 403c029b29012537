//! A directory of small files, each with the time at which it expires.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cloakroom_core::{Clock, StoreError, StoreErrorKind, Timestamp};

/// The directory, and the lock that every command takes.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    /// Held from the first read of a command to its last write: this makes the command atomic.
    lock: Mutex<()>,
    /// Locked as long as the directory is open, so that no second process opens it.
    _owner: File,
}

impl Directory {
    pub(crate) fn open(path: &Path, clock: Arc<dyn Clock>) -> io::Result<Self> {
        fs::create_dir_all(path)?;
        let owner = File::create(path.join("lock"))?;
        owner.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => {
                io::Error::new(ErrorKind::ResourceBusy, "another process uses it")
            }
            TryLockError::Error(error) => error,
        })?;
        Ok(Self {
            path: path.to_owned(),
            clock,
            lock: Mutex::default(),
            _owner: owner,
        })
    }

    /// Locks the directory for one command.
    pub(crate) fn lock(&self) -> Files<'_> {
        let guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        Files {
            path: &self.path,
            now: self.clock.now(),
            _guard: guard,
        }
    }
}

/// The files of a locked directory.
pub(crate) struct Files<'a> {
    path: &'a Path,
    /// The time by the store's clock, which decides what has expired.
    pub(crate) now: Timestamp,
    _guard: MutexGuard<'a, ()>,
}

impl Files<'_> {
    /// Returns a file's text, or `None` if the file is missing or has expired.
    pub(crate) fn read(&self, name: &str) -> Result<Option<String>, StoreError> {
        let text = match fs::read_to_string(self.path.join(name)) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(store_error(error)),
        };
        let parsed = text.split_once('\n').and_then(|(expires, text)| {
            let expires = Timestamp::from_millis(expires.parse().ok()?);
            Some((expires, text))
        });
        let (expires, text) = parsed.ok_or(StoreError::new(StoreErrorKind::Unreadable))?;
        Ok((self.now < expires).then(|| text.to_owned()))
    }

    /// Writes a file. At every moment it has either its old or its new text, even if the process dies.
    pub(crate) fn write(
        &self,
        name: &str,
        text: &str,
        expires: Timestamp,
    ) -> Result<(), StoreError> {
        let unfinished = self.path.join("unfinished");
        let written = fs::write(&unfinished, format!("{}\n{text}", expires.as_millis()));
        // The file itself is still unchanged, so the command has certainly not been executed.
        written.map_err(store_error)?;
        let renamed = fs::rename(&unfinished, self.path.join(name));
        // A network file system may rename the file and then fail to say so.
        renamed.map_err(|error| StoreError::with_source(StoreErrorKind::OutcomeUnknown, error))
    }

    /// Deletes a file if it has expired. A file that cannot be read stays.
    pub(crate) fn delete_expired(&self, name: &str) -> Result<(), StoreError> {
        let path = self.path.join(name);
        if let Ok(None) = self.read(name)
            && path.exists()
        {
            fs::remove_file(path).map_err(store_error)?;
        }
        Ok(())
    }
}

/// Returns the names of all files.
pub(crate) fn names(files: &Files<'_>) -> Result<Vec<String>, StoreError> {
    let mut names = Vec::new();
    for file in fs::read_dir(files.path).map_err(store_error)? {
        names.extend(file.map_err(store_error)?.file_name().into_string());
    }
    Ok(names)
}

/// Says what is known about a command that failed before it changed anything.
fn store_error(error: io::Error) -> StoreError {
    let kind = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreErrorKind::OutOfMemory,
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => StoreErrorKind::Refused,
        ErrorKind::InvalidData => StoreErrorKind::Unreadable,
        _ => StoreErrorKind::Unavailable,
    };
    StoreError::with_source(kind, error)
}
