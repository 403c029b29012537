//! The sources of `cloakroom-cache`, without its optional features, with a scheduler in place of tokio, and a backend in
//! memory whose commands take several steps and may fail.
// The tests of the sources need tokio itself.
#![cfg(not(test))]
#![allow(
    clippy::drop_non_drop,
    clippy::missing_panics_doc,
    dead_code,
    unexpected_cfgs,
    unreachable_pub,
    unused_imports,
    reason = "a scenario panics if a promise is broken; these are most of the modules of a crate, without its features"
)]

pub mod changes;
pub mod flights;
mod remote;

#[path = "../../../crates/cloakroom-cache/src/backend.rs"]
mod backend;
#[path = "../../../crates/cloakroom-cache/src/builder.rs"]
mod builder;
#[path = "../../../crates/cloakroom-cache/src/cached.rs"]
mod cached;
#[path = "../../../crates/cloakroom-cache/src/config.rs"]
mod config;
#[path = "../../../crates/cloakroom-cache/src/error.rs"]
mod error;
#[path = "../../../crates/cloakroom-cache/src/flight.rs"]
mod flight;
#[path = "../../../crates/cloakroom-cache/src/hash.rs"]
mod hash;
#[path = "../../../crates/cloakroom-cache/src/interrupted.rs"]
mod interrupted;
#[path = "../../../crates/cloakroom-cache/src/local.rs"]
mod local;
#[path = "../../../crates/cloakroom-cache/src/panics.rs"]
mod panics;
#[path = "../../../crates/cloakroom-cache/src/pending.rs"]
mod pending;
#[path = "../../../crates/cloakroom-cache/src/read.rs"]
mod read;
#[path = "../../../crates/cloakroom-cache/src/shared.rs"]
mod shared;
#[path = "../../../crates/cloakroom-cache/src/stats.rs"]
mod stats;
#[path = "../../../crates/cloakroom-cache/src/telemetry.rs"]
mod telemetry;

pub use self::backend::CacheBackend;
pub use self::cached::Cached;
pub use self::error::{CacheError, CacheErrorKind};
pub use self::stats::CacheStats;

use tokio::lock as sync;
