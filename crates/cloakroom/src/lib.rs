//! Sessions for axum and tower.
//!
//! A browser hands in its coat (the session's data), gets a ticket (the cookie), and gets the coat
//! back when it shows the ticket. This crate is the counter: a tower layer and an axum extractor.
//! The coats hang in a store: [`MemoryStore`] for development and tests, `cloakroom-redis` for
//! production.
//!
//! ```
//! use axum::{Router, routing::get};
//! use cloakroom::{Expiry, MemoryStore, Session, SessionError, SessionLayer, hours, minutes};
//!
//! async fn hits(session: Session) -> Result<String, SessionError> {
//!     let hits = session.update("hits", |n: Option<u64>| n.unwrap_or(0) + 1)?;
//!     Ok(format!("You have been here {hits} times"))
//! }
//!
//! let sessions = SessionLayer::new(MemoryStore::new())
//!     .with_expiry(Expiry::idle(minutes(30)).absolute(hours(12)))?;
//! let app: Router = Router::new().route("/", get(hits)).layer(sessions);
//! # Ok::<(), cloakroom::ConfigError>(())
//! ```
//!
//! # What holds
//!
//! - **No lost update.** Two requests that edit one session at once both land, on any number of
//!   servers: edits are replayed on what the other has saved. [`Session::update`] never loses an
//!   increment.
//! - **No revived session.** What has ended stays ended: a slow request that saves late changes
//!   nothing, and does not fail for it.
//! - **No log-out by accident.** A request with a stale cookie never replaces or removes the cookie
//!   that a log-in beside it has set.
//! - **All of a user's sessions.** No live session of a user is outside of the user's index: ending all
//!   of them ends all of them, and a limit holds under any number of log-ins.
//! - **Nothing to replay in the store.** It keeps a digest of the cookie's secret.
//! - **One round trip.** A request that does not ask for its session costs no store command; a read
//!   costs one; a write one more.
//! - **Bounded.** A request waits for the store a second in all, by default, then is answered.
//! - **Saved before answered.** Headers leave after the session is stored; a save that failed is
//!   not answered with success.
//!
//! # Where to find what
//!
//! | to | see |
//! |---|---|
//! | set it up | [`SessionLayer`], [`CookieConfig`], [`Expiry`] |
//! | read and edit | [`Session::get`], [`insert`](Session::insert), [`update`](Session::update), [`take`](Session::take), [`Key`] |
//! | sign in and out | [`Session::sign_in`], [`Session::sign_out`], [`Session::user`] |
//! | ask for the password again | [`Fresh`], [`Session::require_fresh`] |
//! | list, limit and end a user's sessions | [`Sessions`], [`SessionLimit`], [`SessionLayer::with_devices`] |
//! | hear what happens, end live connections | [`Sessions::events`], [`Session::watch`] |
//! | notice a stolen cookie | [`SessionLayer::with_rotation`] |
//! | carry the token in a header | [`TokenHeader`] |
//! | take over the live sessions of another library | [`SessionLayer::with_arrivals`] |
//! | renew, end, choose a life | [`Session::renew`], [`Session::destroy`], [`Session::set_expiry`], [`Session::reset_expiry`] |
//! | commit at once | [`Session::save`], [`Session::update_now`], [`Session::take_once`] |
//! | outlive the request | [`Session::detach`] |
//! | do without axum, or before the handler | [`LazySession`] |
//! | shape failures | [`SessionError`], [`SessionRejection`], [`SessionLayer::with_error_response`] |
//! | test an app | [`testing`] (feature `testing`) |
//!
//! # The layer's place in a stack
//!
//! | arrangement | what happens |
//! |---|---|
//! | `Router::layer`, `merge`, `nest` | routes inside the layer have sessions; a handler outside gets [`MissingLayer`](SessionErrorKind::MissingLayer), a 500 whose text names the fix |
//! | a time-out layer around this one | the request is cancelled: what was awaited stands, edits are dropped |
//! | a time-out layer inside this one | its 408 or 5xx drops the edits of the handler that it cut off |
//! | compression, tracing, CORS | either side |
//! | a layer that catches panics | inside: its 500 drops the edits; around: the same |
//! | two layers, two cookies | both work; the extractor gives the inner one, [`LazySession::named`] either |
//! | the same cookie twice | the inner layer does nothing, and a warning tells it |
//! | WebSockets, streaming bodies | the session is saved before the headers; later edits are errors: use [`Session::detach`], and [`Session::watch`] to hear of its end |
//!
//! # What happens when
//!
//! | the request | the store | the cookie |
//! |---|---|---|
//! | does not ask for its session, or carries no cookie and only reads | nothing | nothing |
//! | carries no cookie, or one that opens nothing, and the handler writes | a new session, under an id of its own | set |
//! | reads | one load; rarely, the use is written down | nothing |
//! | writes | one load, one update | nothing; after [`set_expiry`](Session::set_expiry), the same token again |
//! | carries the cookie of a session that ended within the last minute | one load; edits stay in memory | nothing: the browser may hold a better one by now |
//! | renews | the new session, then the end of the old | set |
//! | signs in | an entry for the user, the new session, the end of the old | set |
//! | destroys | the end, at once | removed |
//! | edits, and meanwhile the session ended elsewhere | nothing; the answer's extensions hold [`EndedMeanwhile`] | nothing |
//! | edits, and the store fails | perhaps something: the answer is 503 | nothing |
//! | ends in a 5xx | edits are dropped ([`OnError`]), an ending stands | as for what was carried out |
//! | panics or is cancelled | what was awaited stands, the rest is dropped | nothing |
//!
//! Of several cookies of the session's name, two that can be tokens are tried. If one opens a live
//! session, it counts; if both do, neither is trusted, and an event says so.
//!
//! # What it tells
//!
//! Events and spans through [`tracing`](https://docs.rs/tracing), with target `cloakroom` and the
//! field `session` for the public id; with the feature `metrics`, counters and the store's latency
//! through [`metrics`](https://docs.rs/metrics). None holds a token, a cookie's value or an entry's
//! value.
//!
//! | level | what is told |
//! |---|---|
//! | info | a session was created, signed in to, renewed, ended or found expired; a sign-in was refused; an unknown token, or one of an ended session, was presented; edits were dropped since the session ended elsewhere |
//! | warn | a retired secret was presented: theft; an entry was replaced unseen; two cookies open two live sessions; the layer is mounted twice; a public cache was overruled; a use could not be written down |
//! | error | a session could not be loaded, saved or ended; a stored session cannot be read (once for each) |
//! | debug | every command to the store, with its span; edits were replayed, or dropped since the answer is an error |
//!
//! What happens to sessions is also told between servers: [`Sessions::events`].
//!
//! `docs/observability.md` in the repository lists every one with its fields, every metric with its
//! labels, and the alerts worth having.
//!
//! # Features
//!
//! | feature | what it brings |
//! |---|---|
//! | `axum` (default) | the extractors |
//! | `seal` | signed and encrypted cookies |
//! | `devices` | from where and with what users sign in |
//! | `metrics` | counters and the store's latency, through the `metrics` facade |
//! | `testing` | helpers for an app's tests |

mod arrival;
mod budget;
mod commit;
mod context;
mod cookie;
#[cfg(feature = "devices")]
mod device;
#[cfg(not(feature = "devices"))]
#[path = "device_off.rs"]
mod device;
mod epoch;
mod error;
mod event;
#[cfg(feature = "axum")]
mod extract;
mod load;
mod meter;
mod middleware;
mod plan;
mod session;
mod state;
mod store;
#[cfg(feature = "testing")]
pub mod testing;
mod turns;
mod users;
mod watch;

pub use cloakroom_core as core;
pub use cloakroom_core::rotation::Rotation;
pub use cloakroom_core::{
    EndReason, Expiry, MemoryStore, SessionEvent, SessionId, Store, Subscription, UserId,
};

pub use self::arrival::{Arrivals, MigrationKey, OldEnded, OldId, OldSession, Predecessor};
pub use self::context::{OnError, OnOverwrite};
#[cfg(feature = "seal")]
pub use self::cookie::SealKey;
pub use self::cookie::{CookieConfig, CookieLifetime, SameSite, TokenHeader};
#[cfg(feature = "devices")]
pub use self::device::{Device, Devices, ProxyHeader};
pub use self::error::{ConfigError, ConfigErrorKind, SessionError, SessionErrorKind};
#[cfg(feature = "axum")]
pub use self::extract::{Fresh, SessionRejection};
#[cfg(feature = "metrics")]
pub use self::meter::describe_metrics;
pub use self::middleware::{
    DefaultErrorResponse, EndedMeanwhile, ErrorResponse, ResponseFuture, SessionLayer,
    SessionService,
};
pub use self::session::{
    Destroyed, DetachedSession, EntryKey, EntryName, Key, LazySession, Reloaded, Saved, Session,
    SignIn,
};
pub use self::users::{EndedBy, SessionInfo, SessionLimit, Sessions};
pub use self::watch::SessionWatch;

use std::time::Duration;

/// So many minutes: `Expiry::idle(minutes(30))`.
#[must_use]
pub const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(minutes.saturating_mul(60))
}

/// So many hours.
#[must_use]
pub const fn hours(hours: u64) -> Duration {
    minutes(hours.saturating_mul(60))
}

/// So many days.
#[must_use]
pub const fn days(days: u64) -> Duration {
    hours(days.saturating_mul(24))
}

/// The guides, whose examples are tests.
#[cfg(all(doctest, feature = "axum", feature = "devices"))]
mod guides {
    #[doc = include_str!("../../../docs/devices.md")]
    struct Devices;

    #[doc = include_str!("../../../docs/sign-out-everywhere.md")]
    struct SignOutEverywhere;

    #[doc = include_str!("../../../docs/session-limits.md")]
    struct SessionLimits;

    #[doc = include_str!("../../../docs/re-authentication.md")]
    struct ReAuthentication;

    #[doc = include_str!("../../../docs/live-connections.md")]
    struct LiveConnections;
}
