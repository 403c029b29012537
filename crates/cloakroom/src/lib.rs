//! Session middleware for axum and tower.
//!
//! A [`SessionLayer`] gives each request a session, whose data is kept in a store: [`MemoryStore`] for
//! development and tests, `cloakroom-redis` for production. The browser has a cookie with a random token. In
//! an axum handler, [`Session`] is an extractor.
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
//! let sessions = SessionLayer::builder(MemoryStore::new())
//!     .with_expiry(Expiry::idle(minutes(30)).absolute(hours(12)))
//!     .build()?;
//! let app: Router = Router::new().route("/", get(hits)).layer(sessions);
//! # Ok::<(), cloakroom::ConfigError>(())
//! ```
//!
//! # Guarantees
//!
//! - **No lost updates.** Concurrent changes of one session are merged, on any number of servers: edits are
//!   replayed on what another request has saved. [`Session::update`] and [`Session::increment`] never lose a
//!   change. Two [`insert`](Session::insert)s under one key are the exception: the later one wins.
//! - **No revived sessions.** A session that has ended stays ended: a slow request that saves late changes
//!   nothing, and does not fail for it.
//! - **No accidental sign-out.** A request with a stale cookie never replaces or removes the cookie that a
//!   concurrent sign-in or renewal has set, and neither does a request of another site, from which browsers
//!   withhold the cookie. A session does not expire while a request uses it. Concurrent sign-ins of a user with
//!   one cookie open one session, and the cookies of all responses are valid.
//! - **All sessions of a user.** Every live session of a user is in the user's index: revoking all of them misses
//!   none, and a session limit holds for any number of concurrent sign-ins.
//! - **A leaked store contains no tokens.** It has only a digest of each token.
//! - **One round trip.** A request that does not use its session costs no store command, a read costs one, a
//!   write one more.
//! - **Bounded latency.** By default, a request waits for the store for at most one second in all.
//! - **Saved before the response.** Headers are sent after the session is stored; if that fails, the response
//!   is an error.
//!
//! # Overview
//!
//! | to | see |
//! |---|---|
//! | configure it | [`SessionLayer`], [`SessionLayerBuilder`], [`CookieConfig`], [`Expiry`] |
//! | read and edit | [`Session::get`], [`insert`](Session::insert), [`update`](Session::update), [`take`](Session::take), [`Key`] |
//! | count, append, merge without losing concurrent edits | [`Session::increment`], [`push`](Session::push), [`merge`](Session::merge), [`update`](Session::update) |
//! | sign in and out | [`Session::sign_in`], [`Session::sign_out`], [`Session::user_id`] |
//! | guard routes and handlers; redirect to the sign-in page and back | [`RequireSignIn`], [`SignedIn`], [`Permitted`], [`SessionLayerBuilder::with_sign_in_page`], [`Next`] |
//! | keep pages out of caches; clean up at a sign-out | [`SessionLayerBuilder::with_cache_policy`], [`with_clear_site_data`](SessionLayerBuilder::with_clear_site_data) |
//! | say why a session has ended; change the password | [`Session::ended_reason`], [`Session::password_changed`] |
//! | entries that expire by themselves; flash messages | [`Session::insert_for`], [`Session::flash`] |
//! | act as another user | [`Session::impersonate`] |
//! | require a recent sign-in | [`RecentSignIn`], [`Session::require_recent_sign_in`] |
//! | keep bytes; change a stored type | [`Base64`], [`SessionLayerBuilder::with_mismatch_policy`] |
//! | list, limit and end a user's sessions | [`Sessions`], [`SessionLimit`], [`SessionLayerBuilder::with_device_tracking`] |
//! | subscribe to session events, end live connections | [`Sessions::events`], [`Session::watch`] |
//! | detect stolen cookies | [`SessionLayerBuilder::with_rotation`] |
//! | use a token in a header | [`TokenHeader`] |
//! | sign in with OAuth or OpenID Connect | `OAuthTransactions` (feature `oauth`) |
//! | protect forms with a token | [`Session::csrf_token`], [`Session::check_csrf_token`] |
//! | migrate the live sessions of another library | [`SessionLayerBuilder::with_migration`] |
//! | renew, end, set the expiry | [`Session::renew`], [`Session::destroy`], [`Session::set_expiry`], [`Session::reset_expiry`] |
//! | save immediately | [`Session::save`], [`Session::update_now`], [`Session::take_once`] |
//! | outlive the request | [`Session::detach`] |
//! | use it without axum, or in middleware | [`LazySession`] |
//! | customize error responses | [`SessionError`], [`SessionRejection`], [`ErrorResponse`], [`SessionLayerBuilder::with_error_response`] |
//! | test an app | [`testing`] (feature `testing`) |
//!
//! Guides (`guides`, in documentation that was built with all features, on Unix): a list of devices, signing out
//! everywhere, session limits, re-authentication, live connections, guards, flash messages, impersonation, what follows from a
//! sign-out, sign-ins with OAuth providers, CSRF, an audit log, tests, and recipes.
//!
//! # Order of layers
//!
//! | arrangement | effect |
//! |---|---|
//! | `Router::layer`, `merge`, `nest` | routes inside the layer have sessions; a handler outside gets [`MissingLayer`](SessionErrorKind::MissingLayer), a 500 whose text names the fix |
//! | timeout layer outside | the request is cancelled: what was awaited stands, edits are discarded |
//! | timeout layer inside | its 408 or 5xx discards the edits of the cancelled handler |
//! | compression, tracing, CORS | inside or outside |
//! | `CatchPanicLayer` | inside: its 500 discards the edits; outside: the same |
//! | two layers, two cookies | both work; the extractor returns the inner session, [`LazySession::named`] either |
//! | two layers, the same cookie | the inner layer does nothing, and logs a warning |
//! | WebSockets, streaming bodies | the session is saved before the headers are sent; later edits are errors: use [`Session::detach`], and [`Session::watch`] to learn of its end |
//!
//! # Store and cookie
//!
//! | the request | store | cookie |
//! |---|---|---|
//! | does not use its session, or has no cookie and only reads | nothing | nothing |
//! | has no valid cookie, and the handler writes | creates a session under a new id | set |
//! | writes without a cookie, and the browser may hold one that it did not send: a page of another site caused the request, or it is outside of the cookie's path | nothing, unless it signs a user in; the response's extensions contain [`EditsDiscarded`] | nothing |
//! | reads | one load; rarely, an update of last-seen | nothing |
//! | writes | one load, one update | nothing; after [`set_expiry`](Session::set_expiry), set to the same token |
//! | has the cookie of a session that ended within the last minute | one load; edits stay in memory | nothing: the browser may have a better one by now |
//! | renews | creates the new session, then ends the old one | set |
//! | signs in | adds the session to the user's index, creates it, ends the old one | set |
//! | begins a sign-in with OAuth | nothing | one of its own is set; the session's stays |
//! | completes it | stores a mark, for as long as the callback could be replayed | its own is removed |
//! | destroys the session | ends it, immediately | removed |
//! | edits, and the session is ended concurrently | nothing; the response's extensions contain [`EndedConcurrently`] | nothing |
//! | edits, and the session has expired meanwhile, or its record is gone | nothing: the response is a 409 | nothing |
//! | takes longer than half of the idle timeout | in the background, last-seen is updated once in that time | nothing |
//! | edits, and the store fails | unknown, or nothing: the response is an error, see below | nothing |
//! | edits, and 1,024 others on this server are writing the session | nothing: the response is a 429 | nothing |
//! | ignores that [`destroy`](Session::destroy) has failed | the session may be alive: the response is an error | nothing |
//! | ends in a 5xx | edits are discarded ([`ErrorPolicy`]), a sign-out stands | as for the steps that have succeeded |
//! | panics or is cancelled | what was awaited stands, the rest is discarded | nothing |
//!
//! Of several cookies of the session's name, up to eight with well-formed tokens are looked up. If one of them
//! belongs to a live session, that session is used. If several do, none is used, and a warning is logged; a sign-in
//! or a sign-out then ends all of them. [`CookieConfig::with_former`] accepts a former name, scope or seal as well.
//!
//! If the store fails, the status of the response says whether that passes by itself
//! ([`SessionError::status`]): 503 while the store is unavailable, and if the outcome of a write is unknown; 507 if it
//! is full; 500 if it refuses commands.
//!
//! # Observability
//!
//! Events and spans are emitted through [`tracing`](https://docs.rs/tracing), with target `cloakroom` and the
//! public id in the field `session`; with the feature `metrics`, counters and the latency of the store
//! through [`metrics`](https://docs.rs/metrics). None contains a token, or the value of a cookie or an entry.
//!
//! | level | events |
//! |---|---|
//! | info | a session was created, signed in to, renewed, ended or found expired; a sign-in or the callback of an OAuth provider was refused; an unknown token or one of an ended session was presented; changes were discarded because the session was ended concurrently, or has expired during the request |
//! | warn | a replaced token was used again (a stolen cookie); a concurrent change was overwritten; two cookies belong to two live sessions; the layer is mounted twice; a page outside of the cookie's path edited its session, or a browser refuses the cookie (once for each layer); a stored value has another type than requested (once for each key and type); a public `Cache-Control` was replaced; last-seen could not be updated |
//! | error | a session could not be loaded or saved (once in ten seconds, with the number of the others), or ended; a stored session cannot be read (once for each) |
//! | debug | every store command, with its span; concurrent changes were merged; changes were discarded because of an error response, or because the browser may hold a cookie that it did not send |
//!
//! Session events are also published to all servers: [`Sessions::events`].
//!
//! `docs/observability.md` in the repository lists all events with their fields, all metrics with their
//! labels, and useful alerts.
//!
//! # Features
//!
//! | feature | contents |
//! |---|---|
//! | `axum` (default) | the extractors |
//! | `sealed-cookies` | signed and encrypted cookies |
//! | `client-address` | [`ClientAddress`]: the client's address behind trusted proxies, for layers such as rate limits |
//! | `devices` | recording of user agent and address; includes `client-address` |
//! | `oauth` | the transactions of sign-ins with OAuth and OpenID Connect; includes `sealed-cookies` |
//! | `metrics` | counters and the latency of the store, through the `metrics` facade |
//! | `testing` | helpers for the tests of apps |

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "client-address")]
mod address;
mod budget;
mod caching;
mod commit;
mod context;
mod cookie;
mod csrf;
#[cfg(feature = "devices")]
mod device;
#[cfg(not(feature = "devices"))]
#[path = "device/disabled.rs"]
mod device;
mod duration;
mod end_notifier;
mod error;
#[cfg(feature = "axum")]
mod extract;
mod guard;
mod key_lock;
mod load;
mod middleware;
mod migration;
mod navigation;
#[cfg(feature = "oauth")]
mod oauth;
mod plan;
mod revocation;
mod session;
mod session_limit;
mod state;
mod store;
mod sync;
mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
mod uncancellable;
mod users;
mod watch;

pub use cloakroom_core::entries::Base64;
pub use cloakroom_core::rotation::Rotation;
pub use cloakroom_core::{
    Clock, EndReason, Entries, EntryError, Expiry, ManualClock, MemoryStore, Rng, RngError,
    SessionClient, SessionEvent, SessionId, Store, StoreError, StoreErrorKind, Subscription,
    SystemClock, Timestamp, UserId,
};

#[cfg(feature = "client-address")]
pub use self::address::{ClientAddress, ProxyHeader};
pub use self::caching::{CachePolicy, ClearSiteData};
pub use self::context::{ConflictPolicy, ErrorPolicy, MismatchPolicy};
#[cfg(feature = "sealed-cookies")]
pub use self::cookie::CookieKey;
pub use self::cookie::{CookieConfig, CookieLifetime, EditsDiscarded, SameSite, TokenHeader};
#[cfg(feature = "devices")]
pub use self::device::{Device, DeviceTracking};
pub use self::duration::{days, hours, minutes};
pub use self::error::{ConfigError, ConfigErrorKind, SessionError, SessionErrorKind};
#[cfg(feature = "axum")]
pub use self::extract::{Permitted, RecentSignIn, SessionRejection, SignedIn};
pub use self::guard::{AnyUser, GuardFuture, GuardService, Permission, RequireSignIn};
pub use self::middleware::{
    DefaultErrorResponse, EmptyBody, EndedConcurrently, ErrorResponse, ErrorResponseForRequest,
    RequestHead, ResponseBody, ResponseFuture, SessionLayer, SessionLayerBuilder, SessionService,
};
pub use self::migration::{
    LegacyEnded, LegacyId, LegacySession, LegacyStore, Migration, MigrationKey,
};
pub use self::navigation::{LocalPath, LocalPathError, Next};
#[cfg(feature = "oauth")]
pub use self::oauth::{OAuthConfig, OAuthTransaction};
pub use self::session::{
    Counter, Destroyed, DetachedSession, EntryKey, EntryName, Key, LazySession, Reloaded, Saved,
    Session, SignIn,
};
#[cfg(feature = "oauth")]
pub use self::session::{NewOAuthTransaction, OAuthTransactions};
pub use self::session_limit::SessionLimit;
#[cfg(feature = "metrics")]
pub use self::telemetry::metrics::describe_metrics;
pub use self::users::{RevokedBy, SessionInfo, SessionPage, Sessions};
pub use self::watch::SessionWatch;

/// Guides for common tasks. Their examples are tests, here or in `tests/` of the repository.
#[cfg(all(any(doc, doctest), unix, feature = "axum", feature = "devices"))]
pub mod guides {
    #[doc = include_str!("../docs/devices.md")]
    pub mod devices {}

    /// [near-cache]: https://docs.rs/cloakroom-redis
    /// [live-connections]: crate::guides::live_connections
    #[doc = include_str!("../docs/sign-out-everywhere.md")]
    pub mod sign_out_everywhere {}

    #[doc = include_str!("../docs/session-limits.md")]
    pub mod session_limits {}

    #[doc = include_str!("../docs/re-authentication.md")]
    pub mod re_authentication {}

    #[doc = include_str!("../docs/live-connections.md")]
    pub mod live_connections {}

    #[doc = include_str!("../docs/guards.md")]
    pub mod guards {}

    /// [near-cache]: https://docs.rs/cloakroom-redis
    #[doc = include_str!("../docs/signing-out.md")]
    pub mod signing_out {}

    #[doc = include_str!("../docs/flash.md")]
    pub mod flash {}

    #[cfg(feature = "testing")]
    #[doc = include_str!("../docs/testing.md")]
    pub mod testing {}

    /// [devices]: crate::guides::devices
    #[doc = include_str!("../docs/audit-log.md")]
    pub mod audit_log {}

    #[doc = include_str!("../docs/impersonation.md")]
    pub mod impersonation {}

    /// [csrf]: crate::guides::csrf
    #[cfg(not(doctest))]
    #[doc = include_str!("../docs/oauth.md")]
    pub mod oauth {}

    /// [oauth]: crate::guides::oauth
    #[cfg(not(doctest))]
    #[doc = include_str!("../docs/csrf.md")]
    pub mod csrf {}

    /// [csrf]: crate::guides::csrf
    /// [live-connections]: crate::guides::live_connections
    /// [oauth]: crate::guides::oauth
    #[cfg(not(doctest))]
    #[doc = include_str!("../docs/recipes.md")]
    pub mod recipes {}
}

#[cfg(all(doctest, feature = "axum"))]
#[doc = include_str!("../README.md")]
struct Readme;
