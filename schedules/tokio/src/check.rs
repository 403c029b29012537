//! Runs a scenario under many schedules.

use std::env;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

use shuttle::scheduler::{PctScheduler, RandomScheduler, ReplayScheduler, Scheduler};
use shuttle::{Config, Runner};

use crate::time;

/// How often a thread with priority is interrupted, at most, in the schedules of the second kind.
const PCT_DEPTH: usize = 3;

/// The stack of a task. The futures of a commit are deep in a debug build.
const STACK: usize = 1 << 20;

/// How often the schedules of a check have had each outcome: an outcome that none has was not checked.
#[derive(Debug)]
pub struct Outcomes<const N: usize> {
    names: [&'static str; N],
    counts: [AtomicU64; N],
}

impl<const N: usize> Outcomes<N> {
    /// Returns counters for these outcomes.
    #[must_use]
    pub const fn new(names: [&'static str; N]) -> Self {
        Self {
            names,
            counts: [const { AtomicU64::new(0) }; N],
        }
    }

    /// Counts an outcome.
    ///
    /// # Panics
    ///
    /// If it is not one of those.
    pub fn count(&self, name: &str) {
        let place = self.names.iter().position(|known| *known == name);
        let count = &self.counts[place.expect("the outcome has a counter")];
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an outcome if it has occurred.
    pub fn count_if(&self, has_occurred: bool, name: &str) {
        if has_occurred {
            self.count(name);
        }
    }

    fn missing(&self) -> Vec<&'static str> {
        let counts = self.names.iter().zip(&self.counts);
        let missing = counts.filter(|(_, count)| count.load(Ordering::Relaxed) == 0);
        missing.map(|(name, _)| *name).collect()
    }
}

/// Runs a scenario under `schedules` schedules: one half random, the other with random priorities and few preemptions
/// (PCT). Each of the outcomes has to occur, unless fewer schedules are run.
///
/// The environment overrides: `SCHEDULES` how many, `SCHEDULES_SEED` the seed, which is 1 otherwise, so that each run
/// checks the same ones. `SCHEDULE` is the text of a failed schedule, to be run alone.
///
/// # Panics
///
/// If a schedule panics, or if all its tasks wait for each other; or if an outcome is missing.
#[allow(clippy::print_stderr, reason = "a failure has to be repeatable")]
pub fn check<const N: usize>(
    schedules: usize,
    outcomes: &'static Outcomes<N>,
    scenario: impl Fn() + Send + Sync + 'static,
) {
    let scenario = std::sync::Arc::new(move || {
        time::reset();
        scenario();
        time::reset();
    });
    if let Some(schedule) = var::<String>("SCHEDULE") {
        let scheduler = ReplayScheduler::new_from_encoded(&schedule);
        return run(scheduler, scenario);
    }
    let seed = var("SCHEDULES_SEED").unwrap_or(1);
    let all = schedules;
    let schedules = var("SCHEDULES").unwrap_or(all).max(2);
    let checked = catch_unwind(AssertUnwindSafe(|| {
        let half = schedules / 2;
        let random = scenario.clone();
        run(RandomScheduler::new_from_seed(seed, half), random);
        let pct = PctScheduler::new_from_seed(seed, PCT_DEPTH, schedules - half);
        run(pct, scenario);
    }));
    if let Err(panic) = checked {
        eprintln!(
            "SCHEDULES={schedules} SCHEDULES_SEED={seed} fails again; the text of the schedule, as SCHEDULE, runs it alone"
        );
        resume_unwind(panic);
    }
    let missing = outcomes.missing();
    assert!(
        missing.is_empty() || schedules < all,
        "no schedule has these outcomes: {missing:?}"
    );
}

fn run(
    scheduler: impl Scheduler + 'static,
    scenario: std::sync::Arc<impl Fn() + Send + Sync + 'static>,
) {
    let mut config = Config::new();
    config.stack_size = STACK;
    config.silence_warnings = true;
    Runner::new(scheduler, config).run(move || scenario());
}

fn var<T>(name: &str) -> Option<T>
where
    T: FromStr,
    T::Err: Display,
{
    let text = env::var(name).ok()?;
    let value = text.trim().parse();
    Some(value.unwrap_or_else(|error| panic!("{name}={text}: {error}")))
}
