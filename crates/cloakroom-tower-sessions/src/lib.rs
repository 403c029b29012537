//! Cloakroom and tower-sessions, both ways, for its versions 0.14 and 0.15.
//!
//! | you have | you want | take |
//! |---|---|---|
//! | `SessionManagerLayer`, which is to stay | a store on Redis that loses nothing | [`TowerStore`](v0_15::TowerStore) |
//! | axum-login, axum-messages, handlers that take `tower_sessions::Session` | Cloakroom's layer below them | [`BridgeLayer`](v0_15::BridgeLayer) |
//! | live sessions in tower-sessions' Redis store | Cloakroom's layer, and nobody logged out | [`moving_in`] (feature `moving-in`) |
//!
//! The first two stand in a module for each version, behind a feature of the same name: `v0_14` (on which
//! axum-login 0.18 and axum-messages 0.8 stand) and `v0_15`. Both features can be on, and both bridges
//! in one stack.
//!
//! # Our layer, their `Session`
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
//! axum-login's builder insists on tower-sessions' own layer; its service does not, and goes in with
//! `tower::layer::layer_fn(|inner| AuthManager::new(inner, backend, "axum-login.data"))`.
//!
//! | theirs | becomes |
//! |---|---|
//! | `get`, `get_value`, `insert`, `insert_value`, `remove`, `remove_value`, `clear` | the same, on what was loaded; one load for all that ask |
//! | `load` | what the Cloakroom session holds, without another look at the store; what was not saved is dropped |
//! | `save` | a save at once |
//! | the end of the request | what changed is put into the Cloakroom session, entry by entry, and saved with it |
//! | `cycle_id` | a renewal: the session gets a new id and secret, and the old one ends when the new one is stored |
//! | `flush`, `delete` | the end of the session, then and there |
//! | `id` | the public id, which opens nothing; `None` until there is one |
//! | `set_expiry(OnInactivity)` | [`Session::set_expiry`](cloakroom::Session::set_expiry) with that idle timeout, and an end after thirty days, or after the timeout if that is longer |
//! | `set_expiry(AtDateTime)` | an end at that moment; a past one ends the session |
//! | `set_expiry(OnSessionEnd)`, `None` after another | [`Session::reset_expiry`](cloakroom::Session::reset_expiry): the layer's own rule |
//! | `expiry`, `expiry_date`, `expiry_age` | what was set with `set_expiry` in this request; without that `None`, and two weeks, whatever the layer's rule is. Ask [`Session::expires_at`](cloakroom::Session::expires_at) |
//! | `is_empty`, `is_modified` | as theirs |
//!
//! The options of `SessionManagerLayer` become those of the session layer around the bridge:
//! `MIGRATING.md` in the repository lists them all, and what each method becomes in a handler that
//! takes [`cloakroom::Session`] instead.
//!
//! **What holds.** An answer of 5xx drops edits. A session that ended meanwhile is not begun again by
//! edits that were made on it, and the request does not fail for it. What cannot be taken over (too
//! large, an expiry that the layer forbids, a key that begins with `$`) is answered with an error, not
//! with success.
//!
//! **Both kinds of extractor in one request** are one session. Their `Session` copies what is there
//! when it is first asked, and hands its edits over at `save` and at the end; so it sees native edits
//! that came before, and native code sees what it has saved. Different entries merge. Of one entry that
//! both change, theirs is handed over last. A request without a cookie has nothing that theirs
//! would load, so there both come together at the end.
//!
//! **Beyond the request** (a spawned task, a WebSocket) `save` updates a session that is there, and
//! begins none; `flush` ends it; `cycle_id` is an error, for no cookie could follow. (Of a session that
//! the same request began, a late `cycle_id` cannot be told from `flush`, and ends it.)
//!
//! # Their layer, our store
//!
//! ```
//! use cloakroom_core::MemoryStore;
//! use cloakroom_tower_sessions::v0_15::TowerStore;
//!
//! // Any store of Cloakroom's: `cloakroom_redis::RedisStore` in production.
//! let store = TowerStore::new(MemoryStore::new()).with_realm("shop");
//! // let sessions = tower_sessions::SessionManagerLayer::new(store);
//! ```
//!
//! What differs from tower-sessions' own Redis store:
//!
//! | | theirs | ours |
//! |---|---|---|
//! | keys | the id, which is what the cookie holds | the store's prefix and a hash of the id |
//! | two requests change different entries at once | the later save wins, the other's edits are lost | both land |
//! | the session ended while the request was at work | 500 | the answer goes out; nothing is revived |
//! | `flush`, then `insert` | goes on under the id that was flushed | a fresh id |
//!
//! What stands between the load and the save is kept in the record itself, under the key
//! `$cloakroom.loaded`; it is not stored. No session lives longer than 400 days.
//!
//! What the trait cannot express, and only the bridge can do:
//!
//! - `cycle_id` arrives as a `delete` and, at the end of the request, a `create`. If the request fails
//!   in between, the session is lost.
//! - Their layer takes the cookie away from whoever presents a stale one, also when a log-in beside it
//!   has just set a better one.
//! - An entry that is changed, saved at once and left alone counts as changed for the rest of the
//!   request: a save at its end writes it again.
//! - The id is one secret of 128 random bits, known to everybody who may call `Session::id`. There is
//!   no public id that may be logged.
//! - Sessions of a user cannot be listed or ended, and secrets do not rotate.

#[cfg(any(feature = "v0_14", feature = "v0_15"))]
mod identity;
#[cfg(any(feature = "v0_14", feature = "v0_15"))]
mod life;
#[cfg(any(feature = "v0_14", feature = "v0_15"))]
mod merge;
#[cfg(feature = "moving-in")]
pub mod moving_in;
#[cfg(feature = "v0_14")]
#[allow(clippy::duplicate_mod, reason = "one source for both versions")]
pub mod v0_14;
#[cfg(feature = "v0_15")]
#[allow(clippy::duplicate_mod, reason = "one source for both versions")]
pub mod v0_15;
