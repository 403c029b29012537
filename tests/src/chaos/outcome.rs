//! What the clients observe together, and the outcome of a fault.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::CLIENTS;
use super::app::TimeLimits;

/// How much longer than it may wait for the store a request may take, on a busy machine.
const SLACK: Duration = Duration::from_secs(2);

/// How long requests may fail after the end of the fault.
const RECOVERY: Duration = Duration::from_secs(5);

/// How many requests can be in progress: two of each client.
const IN_PROGRESS: u64 = 2 * CLIENTS;

/// Which acknowledged writes may be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// None: the server keeps what it has acknowledged.
    Nothing,
    /// All: the data of the server was removed.
    All,
    /// Those that a primary had not yet replicated to its successor.
    Unreplicated,
}

/// The outcome of a fault.
#[derive(Clone, Debug)]
pub struct Outcome {
    name: &'static str,
    loss: Loss,
    /// How long the servers waited for the store.
    limits: TimeLimits,
    counts: Counts,
    recovery: Duration,
    unnoticed: bool,
    /// For how long the app itself was stopped.
    stopped: Duration,
}

#[derive(Clone, Debug, Default)]
struct Counts {
    succeeded: u64,
    unavailable: u64,
    longest: Duration,
    last_failure: Option<Instant>,
    lost: u64,
    revived: u64,
    violations: Vec<String>,
}

/// What all clients observe.
#[derive(Debug)]
pub(super) struct Observations {
    started: Instant,
    counts: Mutex<Counts>,
    /// Whether Redis may refuse commands, for which the status is 500: trying again does not help.
    refusals_allowed: AtomicBool,
}

impl Default for Observations {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            counts: Mutex::default(),
            refusals_allowed: AtomicBool::new(false),
        }
    }
}

impl Observations {
    pub(super) fn allow_refusals(&self) {
        self.refusals_allowed.store(true, Ordering::Relaxed);
    }

    pub(super) fn are_refusals_allowed(&self) -> bool {
        self.refusals_allowed.load(Ordering::Relaxed)
    }

    pub(super) fn fault_starts(&self) {
        let mut counts = self.counts();
        counts.longest = Duration::ZERO;
        counts.unavailable = 0;
    }

    pub(super) fn succeeded(&self, took: Duration) {
        let mut counts = self.counts();
        counts.succeeded += 1;
        counts.longest = counts.longest.max(took);
    }

    pub(super) fn unavailable(&self, took: Duration) {
        let mut counts = self.counts();
        counts.unavailable += 1;
        counts.longest = counts.longest.max(took);
        counts.last_failure = Some(Instant::now());
    }

    /// Counts acknowledged writes that are missing.
    pub(super) fn lost(&self, count: u64) {
        self.counts().lost += count;
    }

    /// Counts an ended session that is live again.
    pub(super) fn revived(&self) {
        self.counts().revived += 1;
    }

    /// Records a violation that no fault excuses.
    pub(super) fn violation(&self, what: String) {
        self.counts().violations.push(what);
    }

    pub(super) fn successes(&self) -> u64 {
        self.counts().succeeded
    }

    pub(super) fn last_failure(&self) -> Instant {
        self.counts().last_failure.unwrap_or(self.started)
    }

    pub(super) fn close(
        &self,
        name: &'static str,
        loss: Loss,
        limits: TimeLimits,
        recovery: Duration,
    ) -> Outcome {
        Outcome {
            name,
            loss,
            limits,
            counts: self.counts().clone(),
            recovery,
            unnoticed: false,
            stopped: Duration::ZERO,
        }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outcome {
    /// The header of a table of outcomes.
    pub const HEAD: &str = "| fault | succeeded | 503 | slowest | recovered after | lost writes | \
                            resurrected | other violations |\n|---|---|---|---|---|---|---|---|";

    /// A row of the table.
    #[must_use]
    pub fn row(&self) -> String {
        let Self {
            name,
            counts,
            recovery,
            ..
        } = self;
        let allowed = match self.loss {
            Loss::Nothing => "",
            Loss::All => " (data deleted)",
            Loss::Unreplicated => " (not replicated)",
        };
        format!(
            "| {name} | {} | {} | {} ms | {} ms | {}{allowed} | {} | {} |",
            counts.succeeded,
            counts.unavailable,
            counts.longest.as_millis(),
            recovery.as_millis(),
            counts.lost,
            counts.revived,
            counts.violations.len(),
        )
    }

    /// Checks the guarantees.
    ///
    /// # Errors
    ///
    /// Names the violated ones.
    pub fn verify(&self) -> Result<(), String> {
        let counts = &self.counts;
        let mut violations = counts.violations.clone();
        violations.truncate(10);
        if counts.longest > self.limits.of_a_request() + SLACK + self.stopped {
            violations.push(format!("a request took {:?}", counts.longest));
        }
        if counts.lost > 0 && self.loss == Loss::Nothing {
            violations.push(format!("{} acknowledged writes are lost", counts.lost));
        }
        if counts.revived > 0 && self.loss != Loss::Unreplicated {
            violations.push(format!("{} ended sessions are back", counts.revived));
        }
        if self.recovery > RECOVERY {
            violations.push(format!("requests still failed after {:?}", self.recovery));
        }
        violations.extend(self.unexpected());
        if violations.is_empty() {
            Ok(())
        } else {
            Err(format!("{}: {}", self.name, violations.join("; ")))
        }
    }

    /// Declares that this fault should not affect requests: hardly any may fail.
    #[must_use]
    pub const fn unnoticed(mut self) -> Self {
        self.unnoticed = true;
        self
    }

    /// Declares for how long the app itself was stopped: its requests may take so much longer.
    #[must_use]
    pub const fn stopped_for(mut self, duration: Duration) -> Self {
        self.stopped = duration;
        self
    }

    /// Why this run proves nothing, or which failures should not have happened.
    fn unexpected(&self) -> Option<String> {
        let Counts {
            succeeded,
            unavailable,
            lost,
            ..
        } = self.counts;
        if self.unnoticed {
            // While the app is stopped, the requests in progress time out. A few others may fail: of the default time limits on a
            // busy machine, or because a slot of a Cluster is just between two nodes.
            let in_progress = if self.stopped.is_zero() {
                0
            } else {
                IN_PROGRESS
            };
            let many = unavailable.saturating_sub(in_progress) * 100 > succeeded;
            return many.then(|| format!("{unavailable} requests failed, and none should"));
        }
        if self.loss == Loss::All && lost == 0 {
            return Some("all data was removed, and no client noticed".to_owned());
        }
        let affected = unavailable > 0 || lost > 0;
        (!affected).then(|| "no request was affected, so it proves nothing".to_owned())
    }
}
