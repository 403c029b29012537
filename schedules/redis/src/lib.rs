//! The sources of `cloakroom-redis` whose threads share state, with a scheduler in place of tokio, and a server in memory
//! in place of Redis.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "these are some of the modules of a crate"
)]

pub mod batches;
#[path = "../../../crates/cloakroom-redis/src/coalesce/mod.rs"]
mod coalesce;
#[path = "../../../crates/cloakroom-redis/src/key.rs"]
mod key;
pub mod near;
mod store;
mod sync;

// The sources find `quick_cache::sync` here.
extern crate self as quick_cache;
pub use quick_cache_original::Weighter;
