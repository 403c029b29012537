//! Every log event of the crate, with target `cloakroom_cache`, and the metrics.
//!
//! No event and no label contains a key or a value. A test compares this file with `docs/user-cache.md`.

use cloakroom_core::StoreError;
use tracing::{debug, info, warn};

use crate::error::CacheError;

const TARGET: &str = "cloakroom_cache";

const READS: &str = "cloakroom_cache_reads_total";
const LOADS: &str = "cloakroom_cache_loads_total";

/// A read, and where its value came from.
pub(crate) fn read(cache: &str, from: &'static str) {
    metrics::count(READS, &[("cache", cache), ("from", from)]);
}

/// A call of the loader, and its outcome.
pub(crate) fn loaded(cache: &str, outcome: &'static str) {
    metrics::count(LOADS, &[("cache", cache), ("outcome", outcome)]);
}

pub(crate) fn store_lost(cache: &str, error: &StoreError) {
    warn!(target: TARGET, cache, error = display_chain(error), "the store cannot be reached; values are loaded without it until it can");
}

pub(crate) fn store_back(cache: &str) {
    info!(target: TARGET, cache, "the store can be reached again; values are cached there");
}

pub(crate) fn load_failed(cache: &str, error: &CacheError) {
    debug!(target: TARGET, cache, error = display_chain(error), "failed to load a value");
}

pub(crate) fn refresh_failed(cache: &str, error: &CacheError) {
    warn!(target: TARGET, cache, error = display_chain(error), "failed to load a value again; the stale one is used meanwhile");
}

pub(crate) fn undecodable(cache: &str, error: &serde_json::Error) {
    debug!(target: TARGET, cache, error = display_chain(error), "a cached value cannot be decoded, and is loaded again");
}

pub(crate) fn not_cached(cache: &str, error: &CacheError) {
    warn!(target: TARGET, cache, error = display_chain(error), "a loaded value cannot be cached");
}

pub(crate) fn change_not_stored(cache: &str, error: &StoreError) {
    warn!(target: TARGET, cache, error = display_chain(error), "failed to store a change; it is tried again in the background");
}

/// An error and what caused it, in one line.
fn display_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
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
                super::READS,
                "reads of a cache, by where the value came from",
            ),
            (super::LOADS, "calls of a cache's loader, by outcome"),
        ] {
            describe_counter!(name, Unit::Count, meaning);
        }
    }
}

#[cfg(not(feature = "metrics"))]
mod metrics {
    pub(super) fn count(_: &'static str, _: &[(&'static str, &str)]) {}
}
