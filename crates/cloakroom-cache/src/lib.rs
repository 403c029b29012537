//! The user record behind a session, cached: in the Redis of Cloakroom's sessions, for all servers, and in the process.
//!
//! [`Cached`] keeps values by key, and loads what it does not have: once for all servers. No load that was slow brings
//! back what [`forget`](Cached::forget) has removed. [`CurrentUser`] is the record of the signed-in user, as an extractor
//! for axum. [`CachedBackend`] caches the users of axum-login.
//!
//! ```no_run
//! use cloakroom_cache::{CacheBackend, Cached};
//! use cloakroom_redis::RedisStore;
//!
//! # async fn name_of(id: i64) -> Result<Option<String>, std::io::Error> { Ok(None) }
//! # async fn start() -> Result<(), Box<dyn std::error::Error>> {
//! let store = RedisStore::connect("redis://127.0.0.1", "shop").await?;
//! let names = Cached::<i64, String>::builder(&CacheBackend::new(&store), "name").build(name_of)?;
//! let name = names.get(&7).await?;
//! # Ok(())
//! # }
//! ```
//!
//! The guide (`guides`, in documentation that was built on Unix) says what a read may return, what happens while Redis
//! is unavailable, and lists all keys, events and metrics.
//!
//! # Features
//!
//! | feature | contents |
//! |---|---|
//! | `axum` (default) | [`CurrentUser`] |
//! | `axum-login` | [`CachedBackend`] |
//! | `metrics` | counters, through the `metrics` facade |

#![cfg_attr(docsrs, feature(doc_cfg))]

mod backend;
mod builder;
mod cached;
#[cfg(feature = "axum-login")]
mod cached_backend;
mod config;
#[cfg(feature = "axum")]
mod current_user;
mod error;
mod flight;
mod hash;
mod interrupted;
mod local;
mod panics;
mod pending;
mod read;
mod remote;
mod shared;
mod stats;
mod sync;
mod telemetry;

pub use self::backend::CacheBackend;
pub use self::builder::CachedBuilder;
pub use self::cached::Cached;
#[cfg(feature = "axum-login")]
pub use self::cached_backend::{CachedBackend, CachedBackendError};
#[cfg(feature = "axum")]
pub use self::current_user::{CurrentUser, CurrentUserRejection, SessionUser};
pub use self::error::{CacheError, CacheErrorKind, ConfigError};
pub use self::stats::CacheStats;
#[cfg(feature = "metrics")]
pub use self::telemetry::describe_metrics;

/// Guides. Their examples are tests.
#[cfg(all(any(doc, doctest), unix, feature = "axum", feature = "axum-login"))]
pub mod guides {
    #[doc = include_str!("../docs/user-cache.md")]
    pub mod user_cache {}
}
