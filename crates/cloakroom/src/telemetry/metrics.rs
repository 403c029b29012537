//! What is counted and timed: every metric of the crate, in one place. Without the feature `metrics`
//! nothing of it costs anything.
//!
//! Labels are words of this crate, a few for each: never an id, a token, a key or a value.

pub(crate) use self::facade::Stopwatch;
use self::facade::count;
#[cfg(feature = "metrics")]
pub use self::facade::describe_metrics;

const LOADS: &str = "cloakroom_loads_total";
const MOVED_IN: &str = "cloakroom_sessions_moved_in_total";
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

/// A request's cookie was looked up, or the request had none that can be a token.
pub(crate) fn load(result: &'static str) {
    count(LOADS, &[("result", result)]);
}

/// A session moved in from another system.
pub(crate) fn moved_in() {
    load("moved_in");
    count(MOVED_IN, &[]);
}

/// A session was begun.
pub(crate) fn created() {
    count(CREATED, &[]);
}

/// Somebody signed in.
pub(crate) fn signed_in() {
    count(SIGNED_IN, &[]);
}

/// A session was carried over to a new id.
pub(crate) fn renewed() {
    count(RENEWED, &[]);
}

/// The store has ended a session.
pub(crate) fn ended(reason: &'static str) {
    count(ENDED, &[("reason", reason)]);
}

/// Edits were put on top of what others had saved.
pub(crate) fn replayed() {
    count(REPLAYS, &[]);
}

/// An entry that another request changed was replaced unseen.
pub(crate) fn overwritten() {
    count(OVERWRITTEN, &[]);
}

/// The edits of a request were dropped.
pub(crate) fn edits_dropped(reason: &'static str) {
    count(DROPPED, &[("reason", reason)]);
}

/// Something that a request asked of its session failed.
pub(crate) fn failed(operation: &'static str, kind: &'static str) {
    count(ERRORS, &[("operation", operation), ("kind", kind)]);
}

/// The store was asked for something, and this came of it.
pub(crate) fn command(verb: &'static str, outcome: &'static str, time: &Stopwatch) {
    count(COMMANDS, &[("verb", verb), ("outcome", outcome)]);
    time.observe(DURATION, &[("verb", verb)]);
}

#[cfg(feature = "metrics")]
mod facade {
    use std::time::Instant;

    use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};

    type Labels = [(&'static str, &'static str)];

    pub(super) fn count(name: &'static str, labels: &Labels) {
        counter!(name, labels).increment(1);
    }

    /// Runs from when it is made.
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

    /// Tells the metrics recorder what each metric of this crate means, and its unit.
    ///
    /// Call it once, after the recorder is installed: what is told before that is lost. Metrics
    /// count without it, too.
    ///
    /// ```
    /// // let recorder = PrometheusBuilder::new().install()?;
    /// cloakroom::describe_metrics();
    /// ```
    pub fn describe_metrics() {
        for (name, meaning) in [
            (super::LOADS, "cookies looked up, by what they opened"),
            (super::CREATED, "sessions begun"),
            (super::MOVED_IN, "sessions that came from another system"),
            (super::SIGNED_IN, "users who signed in"),
            (super::RENEWED, "sessions carried over to a new id"),
            (super::ENDED, "sessions that the store has ended"),
            (super::REPLAYS, "edits replayed on a fresher record"),
            (super::OVERWRITTEN, "entries replaced unseen"),
            (super::DROPPED, "requests whose edits were dropped"),
            (super::ERRORS, "failures of what requests asked for"),
            (super::COMMANDS, "commands to the store, by outcome"),
        ] {
            describe_counter!(name, Unit::Count, meaning);
        }
        describe_histogram!(
            super::DURATION,
            Unit::Seconds,
            "how long the store took, or was waited for"
        );
    }
}

#[cfg(not(feature = "metrics"))]
mod facade {
    type Labels = [(&'static str, &'static str)];

    pub(super) fn count(_: &'static str, _: &Labels) {}

    /// Without the feature it does not even look at the time.
    #[derive(Debug)]
    pub(crate) struct Stopwatch;

    impl Stopwatch {
        pub(crate) fn start() -> Self {
            Self
        }

        #[allow(clippy::unused_self, reason = "the other one has something to look at")]
        pub(super) fn observe(&self, _: &'static str, _: &Labels) {}
    }
}
