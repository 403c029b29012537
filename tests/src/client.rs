//! A plain HTTP client that keeps one cookie, shared with the benchmarks.

pub use test_support::http::{Client, Response as TestResponse, exchange};
