//! Whoever ends this program early shall find nothing left behind.
//!
//! The subjects end by themselves when the driver is gone; a Redis would not.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::{fs, process, thread};

use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;

use crate::Problem;

/// The Redis processes that run, and their folders.
static RUNNING: Mutex<Vec<(u32, PathBuf)>> = Mutex::new(Vec::new());

/// From now on, a signal that asks this process to end clears up before it does.
pub(super) fn clear_up_at_the_end() -> Result<(), Problem> {
    let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]
        .into_iter()
        .collect();
    // For this thread and all that it starts; children begin with no signal blocked.
    signals.thread_block()?;
    thread::spawn(move || {
        if signals.wait().is_ok() {
            for (redis, folder) in running().iter() {
                let redis = Pid::from_raw(i32::try_from(*redis).unwrap_or(i32::MAX));
                kill(redis, Signal::SIGKILL).unwrap_or_default();
                drop(fs::remove_dir_all(folder));
            }
        }
        process::exit(130)
    });
    Ok(())
}

pub(super) fn started(redis: u32, folder: &Path) {
    running().push((redis, folder.to_owned()));
}

pub(super) fn ended(redis: u32) {
    running().retain(|running| running.0 != redis);
}

fn running() -> MutexGuard<'static, Vec<(u32, PathBuf)>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}
