//! Scenarios with the promises that hold under every schedule.

mod app;
pub mod commits;
pub mod end_notifier;
pub mod key_lock;
pub mod uncancellable;
