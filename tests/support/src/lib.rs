//! What the tests and the benchmarks share: a Redis server of their own, and plain clients for Redis
//! and HTTP.
//!
//! The clients share no code with Cloakroom and what it is built on: a fault there must not hide itself
//! from what looks for it. They are for one machine, and panic rather than return what no caller handles.

mod local;
mod running;

pub mod http;
pub mod monitor;
pub mod redis;
pub mod resp;

pub use self::local::{free_port, new_folder};
