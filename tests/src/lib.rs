//! What the end-to-end tests share.

pub mod app;
pub mod backend;
pub mod backup;
pub mod browser;
pub mod chromium;
pub mod client;
pub mod demo;
pub mod devices;
pub mod dice;
pub mod faults;
pub mod fuzz;
pub mod ledger;
pub mod log;
pub mod long;
pub mod meters;
pub mod monitor;
pub mod ordeal;
pub mod program;
pub mod proxy;
pub mod redis;
pub mod resp;
pub mod samples;
pub mod topology;
pub mod wait;

/// The guides that need a store on Redis, or what others have written; their examples are tests.
#[cfg(doctest)]
mod guides {
    #[doc = include_str!("../../MIGRATING.md")]
    struct Migrating;

    #[doc = include_str!("../../docs/migration.md")]
    struct Migration;

    #[doc = include_str!("../../docs/near-cache.md")]
    struct NearCache;
}
