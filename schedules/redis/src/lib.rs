//! The sources of `cloakroom-redis` whose threads share state, with a scheduler in place of tokio, and a server in memory
//! in place of Redis.
// The tests of the sources need tokio itself.
#![cfg(not(test))]
#![allow(
    clippy::drop_non_drop,
    clippy::missing_panics_doc,
    clippy::unused_self,
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "a scenario panics if a promise is broken; these are some of the modules of a crate"
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
