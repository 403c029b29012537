//! What is told to the log: every event of the crate, in one place, with target `cloakroom_redis`.
//!
//! None holds a password, or anything that is stored. A server is named as its URL, without
//! credentials.

use std::time::Duration;

use tracing::{info, warn};

const TARGET: &str = "cloakroom_redis";

pub(crate) fn down(server: &str) {
    warn!(
        target: TARGET, server,
        "Redis does not answer: commands are refused until it does"
    );
}

pub(crate) fn up_again(server: &str, after: Duration) {
    info!(target: TARGET, server, ?after, "Redis answers again");
}

pub(crate) fn listens(server: &str) {
    info!(target: TARGET, server, "listening for the events of other servers");
}

pub(crate) fn listens_no_more(server: &str, error: &str) {
    warn!(
        target: TARGET, server, error,
        "the subscription to events is lost: some may be missed until it holds again"
    );
}

#[cfg(feature = "near-cache")]
pub(crate) fn near_cache_hears(server: &str) {
    info!(target: TARGET, server, "the near cache hears what changes");
}

#[cfg(feature = "near-cache")]
pub(crate) fn near_cache_hears_no_more(server: &str, error: &str) {
    warn!(
        target: TARGET, server, error,
        "the near cache does not hear what changes: until it does, every session is read from Redis"
    );
}
