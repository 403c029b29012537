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
//! | `cloakroom:user:` and a hash | the sessions of a user: a sorted set of ids by absolute deadline | what is left to the last deadline, and five minutes |
//! | `cloakroom:epoch` | before when no session may have begun; only after everything was ended | 400 days |
//!
//! What happens to sessions is published on the channel `cloakroom:events`. The hash is that of the
//! realm and the user: SHA-256, in base64url.
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
//! | `enter` (a session is entered for its user, stored and told of) | `EVALSHA enter.lua 2 key key …`; in a cluster and with replicas as `admit`, `create` and `publish` | 1; 2 where a limit is reached |
//! | `admit` (an entry moves to another deadline) | `EVALSHA admit.lua 1 key …` | 1 |
//! | `entered`, `forget` | `ZRANGE`, `ZREM` | 1 |
//! | `everything` | `SCAN`, at every primary | 1 for about 500 keys |
//! | `epoch`, `begin_epoch` | `GET`, `EVALSHA epoch.lua 1 key …` | 1 |
//! | `publish` | `PUBLISH` | 1 |
//! | `subscribe` | on a connection of its own, once a second: `SUBSCRIBE`, `CLIENT ID` | none |
//! | [`ForeignKeys`], keys of others | `GET` or `GETEX`, `DEL` | 1 |
//! | [`RedisStore::ping`] | `PING` | 1 |
//! | [`RedisStore::check`] | `INFO`, `EVAL rights.lua 0 key channel` | 1, per primary |
//!
//! Requests that come at the same moment, while others are under way, share a command: their loads one
//! `MGET key …`, their scripts one `EVALSHA batch.lua n key … calls`, where the calls are in `MessagePack` (so
//! Redis' Lua must have its library `cmsgpack`, as it has since 2.8). In a cluster they do not: there, every
//! command names one key.
//!
//! A server that does not know a script yet answers `NOSCRIPT` and is sent the text with `EVAL`.
//!
//! # Rights
//!
//! A user of its own needs no more than this; another key prefix stands in place of `cloakroom`:
//!
//! ```text
//! ACL SETUSER shop on >password ~cloakroom:* &cloakroom:* +get +mget +set +evalsha +eval +getrange +setrange +pexpire +pttl +del +zadd +zrem +zscore +zrange +zrangebyscore +zrandmember +zremrangebyscore +scan +publish +subscribe +ping +auth +hello +select +info +client|id
//! ```
//!
//! and in a cluster `+cluster|slots +cluster|info`, behind sentinels `+role`, to wait for replicas
//! `+wait`, for a near cache `+client|tracking +client|trackinginfo`, for sessions that move in from
//! tower-sessions `(~?????????????????????? +get +getex +del)` (a selector, from Redis 7.0 on).
//!
//! For a password that changes, give the user both for a while (`>new`), then restart the app with the
//! new one, then take the old one away (`<old`): Redis keeps connections that are open, and the store is
//! refused when it has to make one.
//!
//! # Clusters and sentinels
//!
//! In a cluster, sessions spread over all primaries. When a slot has a new owner, the first command that
//! meets it is sent there, within its time limit. While a slot is moved key by key, its sessions that
//! have gone ahead are `Unavailable`, until the new owner is declared. While a primary is down and has no
//! successor, every session may be `Unavailable`, also those of other primaries.
//!
//! Behind sentinels, the primary is asked for again whenever the connection is made anew. A failover
//! is noticed as a lost connection, as time-outs, or as a server that is no primary any more; the
//! sentinels' `down-after-milliseconds` is most of the time that it takes. What the old primary had not
//! yet handed on to the new one is lost, as always with Redis: a log-out may be undone.
//! [`RedisStoreBuilder::with_replicas`] lets the writes for which that matters wait.
//!
//! # Events
//!
//! The first subscription opens a connection, on which all subscriptions of the store listen. Whenever
//! it begins to hold, and after every gap, it tells that events may have been missed; a connection that
//! is cut off in silence is found within two seconds.
//!
//! # When Redis is not well
//!
//! [`RedisStore::check`] tells before: a policy that evicts sessions, nothing on disk, writes to disk
//! that fail, a replica, an old server, missing rights. Each [`Warning`] says what to do.
//!
//! Every command is answered within its time limit. A command is sent once, and never again, but to
//! another node of a cluster, when the first has answered that it is not the one.
//!
//! | what happens | kind of the error |
//! |---|---|
//! | no connection, too many commands waiting | [`Unavailable`](StoreErrorKind::Unavailable), at once |
//! | no answer in time, connection lost underway: `load`, `ping` | `Unavailable` |
//! | the same: `create`, `update`, `touch`, `end` | [`OutcomeUnknown`](StoreErrorKind::OutcomeUnknown) |
//! | fewer replicas than asked for have it in time: `create`, `end` | [`NotReplicated`](StoreErrorKind::NotReplicated), and the write stands |
//! | `LOADING`, `READONLY`, `MASTERDOWN`, `MISCONF`, `NOREPLICAS`, `BUSY` | `Unavailable` |
//! | `CLUSTERDOWN` | as for a lost connection |
//! | memory is full | `create`, `update`: [`OutOfMemory`](StoreErrorKind::OutOfMemory). `load` works; `end` removes the session without leaving a tombstone; `touch` moves the TTL and leaves last-seen |
//! | wrong credentials, missing rights, unknown commands | [`Refused`](StoreErrorKind::Refused) |
//! | the key holds another type, or a broken record | [`Unreadable`](StoreErrorKind::Unreadable), and is left as it is; an `end` of any revision replaces it |
//! | the record is of a later format | [`NewerFormat`](StoreErrorKind::NewerFormat), the same |
//!
//! The connection comes back by itself, 50 ms to 1 s after the server. After three time-outs in a row,
//! or an answer from a server that is no primary any more, it is made anew, at most once a second and
//! with no request waiting for it. After the time-outs, the server is known to be down: every command
//! is refused at once, and none is sent, until a `PING` in the background is answered. The target
//! `cloakroom_redis` tells the log of both moments.
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `near-cache` | [`NearCache`]: sessions used a moment ago are served from this process |
//! | `tls` | TLS (`rediss://`), with rustls, ring and the system's certificates; in the builder `with_tls_ca` for one's own, and `with_tls_client_certificate` |

mod address;
mod builder;
mod bus;
mod coalesce;
mod command;
mod connection;
mod error;
mod event;
mod foreign;
mod health;
mod key;
mod line;
#[cfg(feature = "near-cache")]
mod near;
mod replicas;
mod store;
#[cfg(feature = "tls")]
mod tls;
mod verdict;
mod watchdog;

pub use self::builder::RedisStoreBuilder;
pub use self::error::{ConnectError, ConnectErrorKind};
pub use self::foreign::ForeignKeys;
pub use self::health::{Health, Role, ServerKind, ServerMode, Warning};
#[cfg(feature = "near-cache")]
pub use self::near::{NearCache, NearCacheBuilder, NearCacheStats};
pub use self::store::RedisStore;
pub use cloakroom_core::{Store, StoreError, StoreErrorKind};
