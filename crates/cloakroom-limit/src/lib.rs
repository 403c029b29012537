//! Rate limits for requests, and a guard for sign-ins, on the Redis of Cloakroom's sessions.
//!
//! [`RateLimitLayer`] limits requests by address, user, session, header or what the app chooses.
//! [`LoginGuard`] protects sign-ins against guessing, without letting a stranger lock a user out.
//! [`RateLimiter`] limits anything else that has a key. All of them count in the Redis of a
//! [`RedisStore`](cloakroom_redis::RedisStore), for all servers of the app together, or in memory.
//!
//! ```no_run
//! use std::net::SocketAddr;
//! use std::time::Duration;
//! use axum::extract::ConnectInfo;
//! use axum::{Router, routing::get};
//! use cloakroom::{ClientAddress, SessionLayer};
//! use cloakroom_limit::{By, Limits, Rate, RateLimitLayer};
//! use cloakroom_redis::RedisStore;
//!
//! # async fn start() -> Result<(), Box<dyn std::error::Error>> {
//! let store = RedisStore::connect("redis://127.0.0.1", "shop").await?;
//! let limits = Limits::new(&store);
//! let address = ClientAddress::new(|extensions| {
//!     extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip())
//! });
//! let per_address = RateLimitLayer::builder(&limits)
//!     .with_limit(Rate::new("address", 600, Duration::from_secs(60)), By::address(address))
//!     .build()?;
//! let per_user = RateLimitLayer::builder(&limits)
//!     .with_limit(Rate::new("api", 100, Duration::from_secs(60)).with_burst(20), By::user())
//!     .build()?;
//!
//! // The last layer that is added is the outermost: address, session, user.
//! let app: Router = Router::new()
//!     .route("/", get(|| async { "Hello" }))
//!     .layer(per_user)
//!     .layer(SessionLayer::new(store))
//!     .layer(per_address);
//! // Serve it with `app.into_make_service_with_connect_info::<SocketAddr>()`: otherwise no request has an address.
//! # Ok(())
//! # }
//! ```
//!
//! The guides (`guides`, in documentation that was built on Unix) explain how to choose limits, list
//! all keys, events and metrics, and say what happens while Redis is unavailable.
//!
//! # Features
//!
//! | feature | contents |
//! |---|---|
//! | `axum` (default) | [`LoginRefused`] is a response |
//! | `metrics` | counters, through the `metrics` facade |

#![cfg_attr(docsrs, feature(doc_cfg))]

mod account;
mod algorithm;
mod bounded;
mod check;
mod decision;
mod error;
mod guard;
mod hash;
mod layer;
mod limiter;
mod limits;
mod memory;
mod network;
mod rate;
mod redis;
mod refusals;
mod response;
mod telemetry;

pub use self::decision::{Decision, DecisionOutcome, LimitStatus};
pub use self::error::ConfigError;
pub use self::guard::{
    Attempt, DeviceKey, LoginGuard, LoginGuardBuilder, LoginRefused, RefusalReason, SignedIn,
};
pub use self::layer::{
    By, LimitBody, RateLimitLayer, RateLimitLayerBuilder, RateLimitService, ResponseFuture,
};
pub use self::limiter::{RateLimiter, RateLimiterBuilder};
pub use self::limits::{Fallback, Limits};
pub use self::rate::Rate;
#[cfg(feature = "metrics")]
pub use self::telemetry::describe_metrics;

/// Guides. Their examples are tests.
#[cfg(all(any(doc, doctest), unix, feature = "axum"))]
pub mod guides {
    #[doc = include_str!("../docs/rate-limits.md")]
    pub mod rate_limits {}

    #[doc = include_str!("../docs/login-guard.md")]
    pub mod login_guard {}
}
