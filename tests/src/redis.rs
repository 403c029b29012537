//! A real Redis server for one test, shared with the benchmarks.

pub use test_support::monitor::Monitor;
pub use test_support::redis::RedisServer;
pub use test_support::{free_port, new_folder};
