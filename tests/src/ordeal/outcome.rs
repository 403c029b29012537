//! What visitors write down together, and what came of an ordeal.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a request may wait for the store (the layer's budget), and what a busy machine may add.
const LONGEST: Duration = Duration::from_millis(1000 + 500);

/// How long requests may fail after the fault is over.
const RECOVERY: Duration = Duration::from_secs(5);

/// What may be lost of what was acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Nothing: the server keeps what it has answered.
    Nothing,
    /// What the server held: it was taken away.
    All,
    /// What a primary had not yet handed on to the replica that follows it.
    Late,
}

/// What came of an ordeal.
#[derive(Clone, Debug)]
pub struct Outcome {
    name: &'static str,
    loss: Loss,
    tally: Tally,
    recovery: Duration,
    unnoticed: bool,
}

#[derive(Clone, Debug, Default)]
struct Tally {
    succeeded: u64,
    unavailable: u64,
    longest: Duration,
    last_failure: Option<Instant>,
    lost: u64,
    revived: u64,
    wrongs: Vec<String>,
}

/// What all visitors write down.
#[derive(Debug)]
pub(super) struct Book {
    opened: Instant,
    tally: Mutex<Tally>,
}

impl Default for Book {
    fn default() -> Self {
        Self {
            opened: Instant::now(),
            tally: Mutex::default(),
        }
    }
}

impl Book {
    pub(super) fn begins(&self) {
        let mut tally = self.tally();
        tally.longest = Duration::ZERO;
        tally.unavailable = 0;
    }

    pub(super) fn succeeded(&self, took: Duration) {
        let mut tally = self.tally();
        tally.succeeded += 1;
        tally.longest = tally.longest.max(took);
    }

    pub(super) fn unavailable(&self, took: Duration) {
        let mut tally = self.tally();
        tally.unavailable += 1;
        tally.longest = tally.longest.max(took);
        tally.last_failure = Some(Instant::now());
    }

    /// So much of what was acknowledged is not there.
    pub(super) fn lost(&self, count: u64) {
        self.tally().lost += count;
    }

    /// A session is back that had been ended.
    pub(super) fn revived(&self) {
        self.tally().revived += 1;
    }

    /// What must never happen, whatever the fault.
    pub(super) fn wrong(&self, what: String) {
        self.tally().wrongs.push(what);
    }

    pub(super) fn successes(&self) -> u64 {
        self.tally().succeeded
    }

    pub(super) fn last_failure(&self) -> Instant {
        self.tally().last_failure.unwrap_or(self.opened)
    }

    pub(super) fn close(&self, name: &'static str, loss: Loss, recovery: Duration) -> Outcome {
        Outcome {
            name,
            loss,
            tally: self.tally().clone(),
            recovery,
            unnoticed: false,
        }
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outcome {
    /// The head of a table of outcomes.
    pub const HEAD: &str = "| fault | answered | 503 | longest | back after | acknowledged and lost | \
                            ended and back | else wrong |\n|---|---|---|---|---|---|---|---|";

    /// A line of the table.
    #[must_use]
    pub fn row(&self) -> String {
        let Self {
            name,
            tally,
            recovery,
            ..
        } = self;
        let allowed = match self.loss {
            Loss::Nothing => "",
            Loss::All => " (taken away)",
            Loss::Late => " (not handed on)",
        };
        format!(
            "| {name} | {} | {} | {} ms | {} ms | {}{allowed} | {} | {} |",
            tally.succeeded,
            tally.unavailable,
            tally.longest.as_millis(),
            recovery.as_millis(),
            tally.lost,
            tally.revived,
            tally.wrongs.len(),
        )
    }

    /// Whether the promises were kept.
    ///
    /// # Errors
    ///
    /// Names those that fell.
    pub fn judge(&self) -> Result<(), String> {
        let tally = &self.tally;
        let mut fallen = tally.wrongs.clone();
        fallen.truncate(10);
        if tally.longest > LONGEST {
            fallen.push(format!("a request took {:?}", tally.longest));
        }
        if tally.lost > 0 && self.loss == Loss::Nothing {
            fallen.push(format!("{} acknowledged writes are lost", tally.lost));
        }
        if tally.revived > 0 && self.loss != Loss::Late {
            fallen.push(format!("{} ended sessions are back", tally.revived));
        }
        if self.recovery > RECOVERY {
            fallen.push(format!("requests still failed after {:?}", self.recovery));
        }
        fallen.extend(self.misjudged());
        match fallen.is_empty() {
            true => Ok(()),
            false => Err(format!("{}: {}", self.name, fallen.join("; "))),
        }
    }

    /// This fault is one that requests need not feel: next to none may fail.
    #[must_use]
    pub const fn unnoticed(mut self) -> Self {
        self.unnoticed = true;
        self
    }

    /// Why this ordeal proves nothing, or what was felt that should not have been.
    fn misjudged(&self) -> Option<String> {
        let Tally {
            succeeded,
            unavailable,
            lost,
            ..
        } = self.tally;
        // A busy machine may let one or another wait too long.
        if self.unnoticed {
            let many = unavailable * 100 > succeeded;
            return many.then(|| format!("{unavailable} requests failed, and none needs to"));
        }
        if self.loss == Loss::All && lost == 0 {
            return Some("all was taken away, and no visitor missed anything".to_owned());
        }
        let felt = unavailable > 0 || lost > 0;
        (!felt).then(|| "no request felt it, so it proves nothing".to_owned())
    }
}
