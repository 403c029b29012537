//! What a session holds.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::args::Setup;

/// How long a session lives without use, everywhere.
pub(super) const IDLE: Duration = Duration::from_secs(24 * 60 * 60);

/// The five entries, and more if the server was told so.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Entries {
    pub(super) user: u64,
    pub(super) name: String,
    pub(super) roles: Vec<String>,
    pub(super) theme: String,
    pub(super) visits: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) more: Vec<String>,
}

impl Entries {
    /// What somebody who signs in begins with.
    pub(super) fn new(setup: Setup) -> Self {
        static USERS: AtomicU64 = AtomicU64::new(1000);
        Self {
            user: USERS.fetch_add(1, Ordering::Relaxed),
            name: "Ada Lovelace".to_owned(),
            roles: vec!["reader".to_owned(), "editor".to_owned()],
            theme: "dark".to_owned(),
            visits: 0,
            more: vec!["x".repeat(setup.bytes); setup.more],
        }
    }
}

/// The answer to who reads.
pub(super) fn page(name: &str, visits: u64) -> String {
    format!("{name} {visits}")
}
