//! The part of tokio that the crates of this project use, under a scheduler that permutes the order of all steps.
//!
//! The packages of `schedules` compile the sources of the crates with this package in place of tokio, and with
//! [`lock`] in place of `std::sync`. What runs is the code of the crates; only its threads and its clock are
//! replaced:
//!
//! - Each task is a thread of [`shuttle`]. At every lock and atomic, and wherever a future waits, the scheduler
//!   chooses which one continues.
//! - The macros and channels are those of tokio. Each of their operations is one step.
//! - Time is virtual, and passes when a task moves the clock: see [`time`].

mod check;
pub mod lock;
pub mod runtime;
pub mod sync;
pub mod task;
pub mod time;

pub use tokio_original::{join, pin, select};

pub use self::check::{Outcomes, check};
pub use self::task::spawn;

use shuttle::sync::atomic::{AtomicBool, Ordering};

/// Lets the scheduler choose which task continues.
pub fn step() {
    AtomicBool::new(false).load(Ordering::SeqCst);
}

/// Returns a number below `bound` that the schedule chooses, so that a replay gets the same one.
#[must_use]
pub fn choose(bound: usize) -> usize {
    use shuttle::rand::Rng as _;
    shuttle::rand::thread_rng().gen_range(0..bound)
}
