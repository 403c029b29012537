//! What the end-to-end tests share: real servers, clients, faults, and recorders of what happens.

pub mod app;
pub mod backend;
pub mod backup;
pub mod browser;
pub mod chaos;
pub mod chromium;
pub mod client;
pub mod clocks;
pub mod cookie_jar;
pub mod demo;
pub mod device_scenarios;
pub mod documents;
pub mod faulty_store;
mod forward;
pub mod fuzz;
pub mod generous;
pub mod history;
pub mod iterations;
pub mod large_user;
pub mod log;
pub mod program;
pub mod provider;
pub mod proxy;
pub mod recipes;
pub mod recorder;
pub mod records;
pub mod redis;
pub mod resp;
pub mod rewriting;
pub mod rng;
pub mod scheduled_store;
pub mod sizing;
pub mod slow_scan;
pub mod stale_cache;
pub mod topology;
pub mod user_agent;
pub mod wait;

/// The guides that need a store on Redis or third-party crates; their examples are tests.
#[cfg(doctest)]
mod guides {
    #[doc = include_str!("../../MIGRATING.md")]
    struct Migrating;

    #[doc = include_str!("../../docs/migration.md")]
    struct Migration;

    #[doc = include_str!("../../docs/near-cache.md")]
    struct NearCache;
}
