//! The sources of `cloakroom`, without its optional features, with a scheduler in place of tokio.
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

pub mod checks;

#[path = "../../../crates/cloakroom/src/budget.rs"]
mod budget;
#[path = "../../../crates/cloakroom/src/caching.rs"]
mod caching;
#[path = "../../../crates/cloakroom/src/commit/mod.rs"]
mod commit;
#[path = "../../../crates/cloakroom/src/context.rs"]
mod context;
#[path = "../../../crates/cloakroom/src/cookie/mod.rs"]
mod cookie;
#[path = "../../../crates/cloakroom/src/csrf.rs"]
mod csrf;
#[path = "../../../crates/cloakroom/src/device/disabled.rs"]
mod device;
#[path = "../../../crates/cloakroom/src/duration.rs"]
mod duration;
#[path = "../../../crates/cloakroom/src/end_notifier.rs"]
mod end_notifier;
#[path = "../../../crates/cloakroom/src/error/mod.rs"]
mod error;
#[path = "../../../crates/cloakroom/src/guard/mod.rs"]
mod guard;
#[path = "../../../crates/cloakroom/src/key_lock.rs"]
mod key_lock;
#[path = "../../../crates/cloakroom/src/load/mod.rs"]
mod load;
#[path = "../../../crates/cloakroom/src/middleware/mod.rs"]
mod middleware;
#[path = "../../../crates/cloakroom/src/migration/mod.rs"]
mod migration;
#[path = "../../../crates/cloakroom/src/navigation/mod.rs"]
mod navigation;
#[path = "../../../crates/cloakroom/src/plan.rs"]
mod plan;
#[path = "../../../crates/cloakroom/src/revocation.rs"]
mod revocation;
#[path = "../../../crates/cloakroom/src/session/mod.rs"]
mod session;
#[path = "../../../crates/cloakroom/src/session_limit.rs"]
mod session_limit;
#[path = "../../../crates/cloakroom/src/state/mod.rs"]
mod state;
#[path = "../../../crates/cloakroom/src/store/mod.rs"]
mod store;
#[path = "../../../crates/cloakroom/src/telemetry/mod.rs"]
mod telemetry;
#[path = "../../../crates/cloakroom/src/uncancellable.rs"]
mod uncancellable;
#[path = "../../../crates/cloakroom/src/users/mod.rs"]
mod users;
#[path = "../../../crates/cloakroom/src/watch.rs"]
mod watch;

pub use cloakroom_core::entries::Base64;
pub use cloakroom_core::rotation::Rotation;
pub use cloakroom_core::{
    Clock, EndReason, Entries, EntryError, Expiry, ManualClock, MemoryStore, Rng, RngError,
    SessionEvent, SessionId, Store, StoreError, StoreErrorKind, Subscription, SystemClock,
    Timestamp, UserId,
};

use tokio::lock as sync;
