//! More than one server, or one that is reached in another way than by a plain port.

mod cluster;
mod link;
mod replicated;
mod sentinel;
mod tls;

use std::thread::sleep;
use std::time::{Duration, Instant};

pub use self::cluster::Cluster;
pub use self::replicated::Replicated;
pub use self::sentinel::Sentinel;
pub use self::tls::{Authority, Identity, TlsServer};

use crate::redis::RedisServer;
use crate::resp::Reply;

/// How long servers may take to find each other.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for a condition.
///
/// # Panics
///
/// When it does not come.
pub fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}: it does not come");
        sleep(Duration::from_millis(10));
    }
}

/// Whether one of the lines that INFO answers is this one.
pub(crate) fn tells(server: &RedisServer, section: &str, line: &str) -> bool {
    match server.command(&["INFO", section]) {
        Reply::Bytes(text) => String::from_utf8_lossy(&text).lines().any(|l| l == line),
        _ => false, // still loading
    }
}

/// A replica gets its first copy at once.
fn copied_at_once() -> Vec<String> {
    ["--repl-diskless-sync-delay", "0"]
        .map(str::to_owned)
        .into()
}
