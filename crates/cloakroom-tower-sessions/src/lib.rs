//! Adapters between Cloakroom and tower-sessions 0.14 and 0.15.
//!
//! | you have | you want | use |
//! |---|---|---|
//! | `SessionManagerLayer`, which is to stay | a Redis store without lost updates | [`TowerSessionsStore`](v0_15::TowerSessionsStore) |
//! | axum-login, axum-messages, handlers that take `tower_sessions::Session` | Cloakroom's layer below them | [`BridgeLayer`](v0_15::BridgeLayer) |
//! | live sessions in tower-sessions' Redis store | Cloakroom's layer, without signing users out | [`migration`] (feature `migration`) |
//!
//! The first two are in one module for each version, behind a feature of the same name: `v0_14` (which
//! axum-login 0.18 and axum-messages 0.8 use) and `v0_15`. Both features can be enabled together, and both
//! bridges can be in one stack.
//!
//! # `tower_sessions::Session` on Cloakroom's layer
//!
//! ```
//! use axum::{Router, routing::get};
//! use cloakroom::{MemoryStore, Session, SessionLayer};
//! use cloakroom_tower_sessions::v0_15::BridgeLayer;
//!
//! // Elsewhere: `async fn theirs(session: tower_sessions::Session)`.
//! async fn ours(session: Session) -> String {
//!     format!("{:?}", session.id())
//! }
//!
//! let app: Router = Router::new()
//!     .route("/", get(ours))
//!     // Here: MessagesManagerLayer, AuthManager and the like.
//!     .layer(BridgeLayer::new())
//!     .layer(SessionLayer::new(MemoryStore::new()));
//! ```
//!
//! axum-login's builder requires tower-sessions' own layer. Its service does not: add it with
//! `tower::layer::layer_fn(|inner| AuthManager::new(inner, backend, "axum-login.data"))`.
//!
//! | tower-sessions | with the bridge |
//! |---|---|
//! | `get`, `get_value`, `insert`, `insert_value`, `remove`, `remove_value`, `clear` | the same, on the loaded data; the session is loaded once per request |
//! | `load` | reads the Cloakroom session again, without a store command; unsaved edits are discarded |
//! | `save` | saves immediately |
//! | the end of the request | changed entries are written to the Cloakroom session, one by one, and saved with it |
//! | `cycle_id` | renews the session: it gets a new id and secret, and the old one ends when the new one is stored |
//! | `flush`, `delete` | ends the session immediately |
//! | `id` | the public id, which is not a credential; `None` until the session is stored. After the load of a session that ended a short while ago, its id |
//! | `set_expiry(OnInactivity)` | [`Session::set_expiry`](cloakroom::Session::set_expiry) with that idle timeout, and an absolute timeout of thirty days, or of the idle timeout if that is longer |
//! | `set_expiry(AtDateTime)` | the session ends at that time; a time in the past ends it immediately |
//! | `set_expiry(OnSessionEnd)`, or `None` after another | [`Session::reset_expiry`](cloakroom::Session::reset_expiry): the timeouts of the layer |
//! | `expiry`, `expiry_date`, `expiry_age` | what was set with `set_expiry` in this request; otherwise `None` and two weeks, whatever the layer's timeouts are. Use [`Session::expires_at`](cloakroom::Session::expires_at) instead |
//! | `is_empty`, `is_modified` | the same |
//!
//! The options of `SessionManagerLayer` become options of the session layer around the bridge. `MIGRATING.md`
//! in the repository lists them all, and what replaces each method in a handler that takes
//! [`cloakroom::Session`] instead.
//!
//! **Failures.** With a 5xx response, edits are discarded. If the session was ended concurrently, edits do not
//! create it again, and the request does not fail. The same holds for `cycle_id`: if the session was renewed or
//! ended concurrently, or less than about a minute ago, nothing is stored and no cookie is set, since the browser
//! may have a better one. Without [`with_user`](v0_15::BridgeLayer::with_user) that concerns a sign-in, too, as
//! axum-login does it, with the cookie of a session that was just revoked: a warning is logged once. Edits that
//! cannot be taken over (the session is too large, the layer does not allow the expiry, or a key begins with `$`)
//! produce an error response.
//!
//! **Users.** With [`with_user`](v0_15::BridgeLayer::with_user), the bridge finds the user in the data, so that a
//! sign-in through tower-sessions is one for Cloakroom, too: always configure it with axum-login.
//!
//! **Both kinds of extractor in one request** use the same session. A `tower_sessions::Session` copies the
//! session's data on first use, and writes its edits back at `save` and at the end of the request. So it sees
//! earlier edits of native code, and native code sees what it has saved. Edits of different entries are
//! merged. If both change the same entry, the edit through tower-sessions is applied last. In a request without
//! a cookie, tower-sessions loads nothing, so the edits are merged at the end only.
//!
//! **After the response** (in a spawned task or a WebSocket), `save` updates an existing session and does not
//! create one; `flush` ends it; `cycle_id` is an error, because no cookie could be sent. Exception: for a
//! session that the same request created, a late `cycle_id` cannot be distinguished from `flush`, and ends it.
//!
//! # `SessionManagerLayer` on a Cloakroom store
//!
//! ```
//! use cloakroom_core::MemoryStore;
//! use cloakroom_tower_sessions::v0_15::TowerSessionsStore;
//!
//! // Any Cloakroom store: `cloakroom_redis::RedisStore` in production.
//! let store = TowerSessionsStore::new(MemoryStore::new()).with_realm("shop");
//! // let sessions = tower_sessions::SessionManagerLayer::new(store);
//! ```
//!
//! Differences from tower-sessions' own Redis store:
//!
//! | | `tower-sessions-redis-store` | `TowerSessionsStore` |
//! |---|---|---|
//! | keys | the id, which is the value of the cookie | the store's prefix and a hash of the id |
//! | two requests change different entries concurrently | the later save wins, the other's edits are lost | both are kept |
//! | the session ends during the request | 500 | the response is sent; the session stays ended |
//! | `flush`, then `insert` | continues under the id that was flushed | a new id |
//!
//! Between load and save, the loaded data is kept in the record itself, under the key `$cloakroom.loaded`; it
//! is not stored. No session lives longer than 400 days.
//!
//! Limitations of the trait, which only the bridge avoids:
//!
//! - `cycle_id` calls `delete` and, at the end of the request, `create`. If the request fails in between, the
//!   session is lost.
//! - `SessionManagerLayer` removes the cookie when a request presents a stale one, even if a concurrent sign-in
//!   has just set a new one.
//! - An entry that is changed and saved immediately counts as changed until the end of the request: a second
//!   save writes it again.
//! - The id is the secret: 128 random bits, known to all code that may call `Session::id`. There is no public id
//!   that is safe to log.
//! - The sessions of a user cannot be listed or revoked, and tokens are not rotated.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(any(feature = "v0_14", feature = "v0_15"))]
mod diff;
#[cfg(any(feature = "v0_14", feature = "v0_15"))]
mod edit;
#[cfg(any(feature = "v0_14", feature = "v0_15"))]
mod expiry;
#[cfg(any(feature = "v0_14", feature = "v0_15"))]
mod identity;
#[cfg(feature = "migration")]
pub mod migration;
#[cfg(any(feature = "v0_14", feature = "v0_15"))]
mod user;
#[cfg(feature = "v0_14")]
#[allow(clippy::duplicate_mod, reason = "one source for both versions")]
pub mod v0_14;
#[cfg(feature = "v0_15")]
#[allow(clippy::duplicate_mod, reason = "one source for both versions")]
pub mod v0_15;
