//! Every log event of the crate, with target `cloakroom_limit`, and the metric that belongs to it.
//!
//! No event and no label contains an address, an account, a user or a cookie: limits appear by their names,
//! accounts by a hash. A test compares this file with `docs/rate-limits.md` and `docs/login-guard.md`.

use cloakroom_core::StoreError;
use tracing::{debug, error, info, warn};

const TARGET: &str = "cloakroom_limit";

const REQUESTS: &str = "cloakroom_limit_requests_total";
const FALLBACKS: &str = "cloakroom_limit_fallbacks_total";
const ATTEMPTS: &str = "cloakroom_sign_in_attempts_total";

/// A limit has seen a request.
pub(crate) fn counted(limit: &str, outcome: &'static str) {
    metrics::count(REQUESTS, &[("limit", limit), ("outcome", outcome)]);
    if matches!(outcome, "refused" | "reported") {
        debug!(target: TARGET, limit, outcome, "request above a limit");
    }
}

/// The store could not be asked, and a fallback has decided.
pub(crate) fn fallback(kind: &'static str) {
    metrics::count(FALLBACKS, &[("fallback", kind)]);
}

pub(crate) fn store_lost(error: &StoreError) {
    warn!(target: TARGET, error = display_chain(error), "the store cannot be reached; limits fall back until it can");
}

pub(crate) fn store_back() {
    info!(target: TARGET, "the store can be reached again; limits are counted there");
}

pub(crate) fn refund_failed(error: &StoreError) {
    debug!(target: TARGET, error = display_chain(error), "failed to give back units of a limit; they become available with time");
}

/// An attempt to sign in was not allowed.
pub(crate) fn attempt_refused(account: &str, reason: &'static str) {
    metrics::count(ATTEMPTS, &[("outcome", reason)]);
    info!(target: TARGET, account, reason, "sign-in attempt refused");
}

/// An attempt has failed: the password was wrong, or the account does not exist.
pub(crate) fn attempt_failed(account: &str, failures: u32, known_device: bool) {
    metrics::count(ATTEMPTS, &[("outcome", "failed")]);
    info!(target: TARGET, account, failures, known_device, "sign-in attempt failed");
}

pub(crate) fn attempt_succeeded(account: &str, failures: u32, known_device: bool) {
    metrics::count(ATTEMPTS, &[("outcome", "succeeded")]);
    info!(target: TARGET, account, failures, known_device, "sign-in attempt succeeded");
}

pub(crate) fn attempt_cancelled(account: &str) {
    metrics::count(ATTEMPTS, &[("outcome", "cancelled")]);
    debug!(target: TARGET, account, "sign-in attempt given back; the password was not checked");
}

pub(crate) fn stopped(account: &str, failures: u32) {
    warn!(target: TARGET, account, failures, "account stopped for unknown browsers after too many failures in a row");
}

pub(crate) fn lifted(account: &str) {
    info!(target: TARGET, account, "delays and stop of an account lifted");
}

pub(crate) fn site_under_attack() {
    warn!(target: TARGET, "unusually many failed sign-in attempts on the whole site; logged at most once a minute");
}

pub(crate) fn settle_failed(account: &str, error: &StoreError) {
    error!(target: TARGET, account, error = display_chain(error), "failed to record a successful sign-in; earlier failures still count");
}

/// An error and what caused it, in one line.
fn display_chain(error: &StoreError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(feature = "metrics")]
pub use self::metrics::describe_metrics;

#[cfg(feature = "metrics")]
mod metrics {
    use metrics::{Unit, counter, describe_counter};

    pub(super) fn count(name: &'static str, labels: &[(&'static str, &str)]) {
        let labels: Vec<(&'static str, String)> = labels
            .iter()
            .map(|(label, value)| (*label, (*value).to_owned()))
            .collect();
        counter!(name, &labels).increment(1);
    }

    /// Registers the description and unit of each metric of this crate with the metrics recorder.
    ///
    /// Call it once, after the recorder is installed: earlier descriptions are lost. Metrics are recorded
    /// without it, too.
    pub fn describe_metrics() {
        for (name, meaning) in [
            (
                super::REQUESTS,
                "requests that a limit has seen, by outcome",
            ),
            (super::FALLBACKS, "decisions without the store, by fallback"),
            (super::ATTEMPTS, "attempts to sign in, by outcome"),
        ] {
            describe_counter!(name, Unit::Count, meaning);
        }
    }
}

#[cfg(not(feature = "metrics"))]
mod metrics {
    pub(super) fn count(_: &'static str, _: &[(&'static str, &str)]) {}
}
