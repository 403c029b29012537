//! Keeps Cloakroom's sessions in Redis or Valkey.
//!
//! ```no_run
//! use cloakroom_redis::RedisStore;
//!
//! # async fn start() -> Result<(), cloakroom_redis::ConnectError> {
//! let store = RedisStore::connect("redis://127.0.0.1").await?;
//! # Ok(())
//! # }
//! ```
//!
//! Hand the store to `cloakroom::SessionLayer::new`. [`RedisStore::builder`] sets a prefix,
//! credentials and time limits, and can start before Redis does.
//!
//! # What one sees in Redis
//!
//! | key | value | TTL |
//! |---|---|---|
//! | `cloakroom:0191e0c4-8f2a-…` | a session: `c1`, revision, last seen, limits, digest of the secret, then its entries as JSON | the shorter of the idle timeout and what is left to the deadline |
//! | the same | a session that ended: `t1`, when, digest, why | about a minute |
//!
//! The layout is told in [`cloakroom_core::codec`]. No value opens a session: the store never learns
//! a secret. The id in the key is public.
//!
//! | verb | command | round trips |
//! |---|---|---|
//! | `create` | `SET key record NX PX ttl` | 1 |
//! | `load` | `GET key` | 1 |
//! | `update` | `EVALSHA update.lua 1 key revision record ttl` | 1 |
//! | `touch` | `EVALSHA touch.lua 1 key revision seen ttl` | 1, rare |
//! | `end` | `EVALSHA end.lua 1 key revision tombstone ttl` | 1 |
//! | [`RedisStore::ping`] | `PING` | 1 |
//!
//! A server that does not know a script yet answers `NOSCRIPT` and is sent the text with `EVAL`. Every
//! command names one key, so a cluster works. Its user needs
//! `+get +set +evalsha +eval +getrange +setrange +pexpire +del +ping +auth +select +info +client|id`
//! on `~cloakroom:*`.
//!
//! # When Redis is not well
//!
//! Every command is answered within its time limit. A command is sent once, and never again.
//!
//! | what happens | kind of the error |
//! |---|---|
//! | no connection, too many commands waiting | [`Unavailable`](StoreErrorKind::Unavailable), at once |
//! | no answer in time, connection lost underway: `load`, `ping` | `Unavailable` |
//! | the same: `create`, `update`, `touch`, `end` | [`OutcomeUnknown`](StoreErrorKind::OutcomeUnknown) |
//! | `LOADING`, `READONLY`, `MASTERDOWN`, `MISCONF`, `NOREPLICAS`, `BUSY` | `Unavailable` |
//! | `CLUSTERDOWN` | as for a lost connection |
//! | memory is full | `create`, `update`: [`OutOfMemory`](StoreErrorKind::OutOfMemory). `load` works; `end` removes the session without leaving a tombstone; `touch` moves the TTL and leaves last-seen |
//! | wrong credentials, missing rights, unknown commands | [`Refused`](StoreErrorKind::Refused) |
//! | the key holds another type, or a broken record | [`Unreadable`](StoreErrorKind::Unreadable), and is left as it is; an `end` of any revision replaces it |
//! | the record is of a later format | [`NewerFormat`](StoreErrorKind::NewerFormat), the same |
//!
//! The connection comes back by itself, 50 ms to 1 s after the server. After three time-outs in a row,
//! or an answer from a server that is no primary any more, it is made anew, at most once a second and
//! with no request waiting for it.
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `tls` | TLS (`rediss://`), with rustls, ring and the system's certificates |

mod address;
mod builder;
mod command;
mod connection;
mod error;
mod key;
mod store;
#[cfg(feature = "tls")]
mod tls;
mod verdict;
mod watchdog;

pub use self::builder::RedisStoreBuilder;
pub use self::error::{ConnectError, ConnectErrorKind};
pub use self::store::RedisStore;
pub use cloakroom_core::{Store, StoreError, StoreErrorKind};
