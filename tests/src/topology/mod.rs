//! Setups other than one server on a plain port: cluster, sentinels, replicas, TLS.

mod cluster;
mod delay;
mod replicated;
mod sentinel;
mod tls;

use std::thread::sleep;
use std::time::{Duration, Instant};

pub use self::cluster::Cluster;
pub use self::delay::DelayedPort;
pub use self::replicated::Replicated;
pub use self::sentinel::Sentinel;
pub use self::tls::{Authority, Identity, TlsServer};

use crate::redis::RedisServer;
use crate::resp::Reply;

/// How long servers may take to connect to each other.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for a condition.
///
/// # Panics
///
/// When it does not hold in time.
pub fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}: not in time");
        sleep(Duration::from_millis(10));
    }
}

/// Whether INFO contains a line.
pub(crate) fn info_has(server: &RedisServer, section: &str, line: &str) -> bool {
    match server.command(&["INFO", section]) {
        Reply::Bytes(text) => String::from_utf8_lossy(&text).lines().any(|l| l == line),
        _ => false, // still loading
    }
}

/// Options with which a replica gets its first copy without delay.
fn with_immediate_sync() -> Vec<String> {
    ["--repl-diskless-sync-delay", "0"]
        .map(str::to_owned)
        .into()
}
