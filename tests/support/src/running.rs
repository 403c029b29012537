//! The Redis servers of this process, so that a program that is interrupted leaves none behind.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The process ids of the servers that run, and the folders of their files.
static RUNNING: Mutex<Vec<(u32, PathBuf)>> = Mutex::new(Vec::new());

pub(crate) fn add(process: u32, folder: &Path) {
    running().push((process, folder.to_owned()));
}

/// Must be called before the process is waited for: afterwards its id may belong to another one.
pub(crate) fn remove(process: u32) {
    running().retain(|running| running.0 != process);
}

pub(crate) fn kill_all() {
    for (process, folder) in running().drain(..) {
        drop(
            Command::new("kill")
                .args(["-s", "KILL", &process.to_string()])
                .status(),
        );
        drop(fs::remove_dir_all(folder));
    }
}

fn running() -> MutexGuard<'static, Vec<(u32, PathBuf)>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}
