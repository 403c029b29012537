//! Backups of a server's files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::redis::{RedisServer, new_folder};

/// A copy of a server's files, removed on drop.
#[derive(Debug)]
pub struct Backup {
    folder: PathBuf,
}

impl Backup {
    /// Copies a server's files as they are now, while it runs.
    ///
    /// # Panics
    ///
    /// When they cannot be copied.
    #[must_use]
    pub fn take(server: &RedisServer) -> Self {
        let backup = Self {
            folder: new_folder(),
        };
        copy(server.folder(), &backup.folder);
        backup
    }

    /// Starts a new server on a copy of these files.
    ///
    /// # Panics
    ///
    /// When it does not start.
    #[must_use]
    pub fn serve(&self, options: &[&str]) -> RedisServer {
        RedisServer::start_in(options, |folder| copy(&self.folder, folder))
    }

    /// Removes a file or folder from the copy.
    ///
    /// # Panics
    ///
    /// When it is not there.
    pub fn remove(&self, name: &str) {
        let path = self.folder.join(name);
        let removed = if path.is_dir() {
            fs::remove_dir_all(path)
        } else {
            fs::remove_file(path)
        };
        removed.expect("it is there");
    }

    /// The names of its files.
    ///
    /// # Panics
    ///
    /// When they cannot be read.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.folder).expect("the copy is there");
        let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
        entries.map(|entry| name(entry.expect("a file"))).collect()
    }
}

impl Drop for Backup {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.folder));
    }
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp")
        .arg("-r")
        .arg(from.join("."))
        .arg(to)
        .status();
    assert!(copied.expect("there is a `cp`").success());
}
