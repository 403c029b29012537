//! Every metric of the crate. Without the feature `metrics`, all of this compiles to nothing.
//!
//! Labels have a small, fixed set of values: never an id, a token, a key or a value.

pub(crate) use self::facade::Stopwatch;
use self::facade::count;
#[cfg(feature = "metrics")]
pub use self::facade::describe_metrics;

const LOADS: &str = "cloakroom_loads_total";
const MIGRATED: &str = "cloakroom_sessions_migrated_total";
const CREATED: &str = "cloakroom_sessions_created_total";
const SIGNED_IN: &str = "cloakroom_sign_ins_total";
const RENEWED: &str = "cloakroom_sessions_renewed_total";
const ENDED: &str = "cloakroom_sessions_ended_total";
const REPLAYS: &str = "cloakroom_replays_total";
const OVERWRITTEN: &str = "cloakroom_overwritten_entries_total";
const DROPPED: &str = "cloakroom_edits_dropped_total";
const ERRORS: &str = "cloakroom_errors_total";
const COMMANDS: &str = "cloakroom_store_commands_total";
const DURATION: &str = "cloakroom_store_duration_seconds";

/// Counts a lookup of a session, by its result; `none` for a request without a token.
pub(crate) fn load(result: &'static str) {
    count(LOADS, &[("result", result)]);
}

/// Counts a session that was migrated from the legacy store.
pub(crate) fn migrated() {
    load("migrated");
    count(MIGRATED, &[]);
}

/// Counts a created session.
pub(crate) fn created() {
    count(CREATED, &[]);
}

/// Counts a sign-in.
pub(crate) fn signed_in() {
    count(SIGNED_IN, &[]);
}

/// Counts a renewal.
pub(crate) fn renewed() {
    count(RENEWED, &[]);
}

/// Counts a session that the store has ended.
pub(crate) fn ended(reason: &'static str) {
    count(ENDED, &[("reason", reason)]);
}

/// Counts a commit whose changes were merged with concurrent ones.
pub(crate) fn replayed() {
    count(REPLAYS, &[]);
}

/// Counts an entry whose concurrent change was overwritten.
pub(crate) fn overwritten() {
    count(OVERWRITTEN, &[]);
}

/// Counts a request whose changes were discarded.
pub(crate) fn edits_dropped(reason: &'static str) {
    count(DROPPED, &[("reason", reason)]);
}

/// Counts a failed operation.
pub(crate) fn failed(operation: &'static str, kind: &'static str) {
    count(ERRORS, &[("operation", operation), ("kind", kind)]);
}

/// Counts and times a store command.
pub(crate) fn command(verb: &'static str, outcome: &'static str, stopwatch: &Stopwatch) {
    count(COMMANDS, &[("verb", verb), ("outcome", outcome)]);
    stopwatch.observe(DURATION, &[("verb", verb)]);
}

#[cfg(feature = "metrics")]
mod facade {
    use std::time::Instant;

    use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};

    type Labels = [(&'static str, &'static str)];

    pub(super) fn count(name: &'static str, labels: &Labels) {
        counter!(name, labels).increment(1);
    }

    /// Measures the time since its creation.
    #[derive(Debug)]
    pub(crate) struct Stopwatch(Instant);

    impl Stopwatch {
        pub(crate) fn start() -> Self {
            Self(Instant::now())
        }

        pub(super) fn observe(&self, name: &'static str, labels: &Labels) {
            histogram!(name, labels).record(self.0.elapsed());
        }
    }

    /// Registers the description and unit of each metric of this crate with the metrics recorder.
    ///
    /// Call it once, after the recorder is installed: earlier descriptions are lost. Metrics are
    /// recorded without it, too.
    ///
    /// ```
    /// // let recorder = PrometheusBuilder::new().install()?;
    /// cloakroom::describe_metrics();
    /// ```
    pub fn describe_metrics() {
        for (name, meaning) in [
            (super::LOADS, "session lookups, by result"),
            (super::CREATED, "sessions created"),
            (super::MIGRATED, "sessions migrated from the legacy store"),
            (super::SIGNED_IN, "sign-ins"),
            (super::RENEWED, "sessions renewed under a new id"),
            (super::ENDED, "sessions ended, by reason"),
            (super::REPLAYS, "commits merged with concurrent changes"),
            (super::OVERWRITTEN, "concurrent changes overwritten"),
            (super::DROPPED, "requests whose changes were discarded"),
            (super::ERRORS, "failed session operations"),
            (super::COMMANDS, "store commands, by outcome"),
        ] {
            describe_counter!(name, Unit::Count, meaning);
        }
        describe_histogram!(
            super::DURATION,
            Unit::Seconds,
            "duration of store commands, including cancelled ones"
        );
    }
}

#[cfg(not(feature = "metrics"))]
mod facade {
    type Labels = [(&'static str, &'static str)];

    pub(super) fn count(_: &'static str, _: &Labels) {}

    /// Without the feature, the clock is not read.
    #[derive(Debug)]
    pub(crate) struct Stopwatch;

    impl Stopwatch {
        pub(crate) fn start() -> Self {
            Self
        }

        #[allow(clippy::unused_self, reason = "the signature of the other one")]
        pub(super) fn observe(&self, _: &'static str, _: &Labels) {}
    }
}
