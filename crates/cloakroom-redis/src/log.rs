//! All log events of this crate, with target `cloakroom_redis`.
//!
//! No event contains a password or stored data. A server is named by its URL without credentials.

use std::time::Duration;

use tracing::{error, info, warn};

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

/// `why` says what the server rejects: the user name or the password, or a command that opens the connection.
pub(crate) fn connection_rejected(server: Option<String>, why: &str) {
    error!(
        target: TARGET, server, why,
        "Redis rejects the connection: commands are refused until it accepts it"
    );
}

pub(crate) fn cluster_mode(server: &str) {
    warn!(
        target: TARGET, server,
        "the server is in cluster mode: use a `redis-cluster` URL; with this one nothing is merged"
    );
}

/// Commands that the user may not send, or that the server does not have, and what needs them.
pub(crate) fn missing_commands(server: &str, commands: &str) {
    warn!(
        target: TARGET, server, commands,
        "the user may not send some commands, or the server does not have them: what needs them will fail"
    );
}

pub(crate) fn replica(server: &str) {
    warn!(
        target: TARGET, server,
        "the server is a replica and rejects writes: connect to its primary, or use sentinels"
    );
}

/// What connecting in the foreground would have returned.
pub(crate) fn unusable(error: &str) {
    error!(target: TARGET, error, "the server cannot keep sessions");
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

pub(crate) fn subscription_failed(server: &str, error: &str) {
    warn!(
        target: TARGET, server, error,
        "cannot subscribe to session events: they may be missed until this is possible"
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

#[cfg(feature = "near-cache")]
pub(crate) fn invalidation_failed(server: &str, error: &str) {
    warn!(
        target: TARGET, server, error,
        "near cache: the server does not report changes, sessions are read from Redis until it does"
    );
}
