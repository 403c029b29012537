//! All log events of this crate, with target `cloakroom_redis`.
//!
//! No event contains a password or stored data. A server is named by its URL without credentials.

use std::time::Duration;

use tracing::{info, warn};

const TARGET: &str = "cloakroom_redis";

pub(crate) fn server_down(server: &str) {
    warn!(
        target: TARGET, server,
        "Redis is not responding: commands fail fast until it recovers"
    );
}

pub(crate) fn server_up(server: &str, after: Duration) {
    info!(target: TARGET, server, ?after, "Redis is responding again");
}

pub(crate) fn subscribed(server: &str) {
    info!(target: TARGET, server, "subscribed to session events");
}

pub(crate) fn subscription_lost(server: &str, error: &str) {
    warn!(
        target: TARGET, server, error,
        "subscription to session events lost: events may be missed until it is restored"
    );
}

#[cfg(feature = "near-cache")]
pub(crate) fn invalidation_started(server: &str) {
    info!(target: TARGET, server, "near cache: invalidation connection established");
}

#[cfg(feature = "near-cache")]
pub(crate) fn invalidation_lost(server: &str, error: &str) {
    warn!(
        target: TARGET, server, error,
        "near cache: invalidation connection lost, sessions are read from Redis until it is restored"
    );
}
