//! A plain, blocking client for Redis, shared with the benchmarks.

pub use test_support::resp::{Connection, Reply};
