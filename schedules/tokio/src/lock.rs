//! What the crates import as `crate::sync`: the locks and atomics of `std::sync`, each use of which is a step.

pub use shuttle::sync::{Arc, Mutex, MutexGuard, PoisonError};
pub use shuttle::thread_local;

/// The atomics. All orderings are those of `SeqCst`.
pub mod atomic {
    pub use shuttle::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
}
