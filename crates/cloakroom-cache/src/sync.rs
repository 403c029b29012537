//! The locks and atomics of this crate. Those of the standard library, except where the package `schedules-cache` compiles
//! the same sources to run them under a scheduler that permutes all steps: there, this module is another one.

pub(crate) use std::sync::{Arc, Mutex, MutexGuard, PoisonError, atomic};
