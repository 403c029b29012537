//! What all servers share: the entries of a session, the page, and the route whose requests wait.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::args::ServeArgs;

/// The idle timeout, the same for all.
pub(super) const IDLE: Duration = Duration::from_secs(24 * 60 * 60);

/// The five entries of a session, and more if the arguments say so.
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
    /// Returns the entries of a new session, for a new user.
    pub(super) fn new(args: ServeArgs) -> Self {
        static USERS: AtomicU64 = AtomicU64::new(1000);
        Self {
            user: USERS.fetch_add(1, Ordering::Relaxed),
            name: "Ada Lovelace".to_owned(),
            roles: vec!["reader".to_owned(), "editor".to_owned()],
            theme: "dark".to_owned(),
            visits: 0,
            more: vec!["x".repeat(args.entry_bytes); args.extra_entries],
        }
    }
}

/// Returns the body of a response to a read.
pub(super) fn page(name: &str, visits: u64) -> String {
    format!("{name} {visits}")
}

static HELD: AtomicUsize = AtomicUsize::new(0);
static RELEASED: Semaphore = Semaphore::const_new(0);

/// Waits until all requests are released, so that the memory that they occupy can be measured.
pub(super) async fn hold() {
    HELD.fetch_add(1, Ordering::Relaxed);
    // It never has a permit; closing it ends all waits.
    drop(RELEASED.acquire().await);
}

/// Returns how many requests have come to wait.
pub(super) fn held() -> usize {
    HELD.load(Ordering::Relaxed)
}

/// Releases all requests that wait, now and later.
pub(super) fn release() {
    RELEASED.close();
}

/// The entries that the races write. Each is the number 1.
const RACE_KEYS: [&str; 3] = ["cart", "a", "b"];

/// Waits, as a handler that has loaded its session and does some work.
pub(super) async fn pause(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

/// Returns the names of the entries that a session has, and `user` if somebody is signed in.
pub(super) fn shown(is_signed_in: bool, has: impl Fn(&str) -> bool) -> String {
    let keys = RACE_KEYS.into_iter().filter(|key| has(key));
    let user = is_signed_in.then_some("user");
    keys.chain(user).collect::<Vec<_>>().join(" ")
}
