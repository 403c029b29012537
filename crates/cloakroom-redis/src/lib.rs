//! The Redis and Valkey store for Cloakroom.
//!
//! ```no_run
//! use cloakroom_redis::RedisStore;
//!
//! # async fn start() -> Result<(), cloakroom_redis::ConnectError> {
//! let store = RedisStore::connect("redis://127.0.0.1", "shop").await?;
//! # Ok(())
//! # }
//! ```
//!
//! Pass the store to `cloakroom::SessionLayer::new`. `"shop"` is the app's name, with which all keys
//! begin: give every app and every environment on one Redis its own. [`RedisStore::builder`] sets credentials and timeouts, and can start before Redis does.
//!
//! # Redis keys
//!
//! `cloakroom` stands for the app's name.
//!
//! | key | value | TTL |
//! |---|---|---|
//! | `cloakroom:0191e0c4-8f2a-…` | a session: `c1`, revision, last seen, limits, digest of the secret, then its entries as JSON | the shorter of the idle timeout and the time to the absolute deadline |
//! | the same | an ended session: `t1`, time, digest, reason | about a minute |
//! | `cloakroom:user:` and a hash | the sessions of a user: a sorted set of ids in the order of their creation, which also has their deadlines | to the last deadline, plus five minutes |
//! | `cloakroom:revoked-before` | sessions created before this time are revoked; only after all sessions were ended at once | 400 days |
//!
//! The hash is the SHA-256 of realm and user, in base64url. Events are published on the channel
//! `cloakroom:events`.
//!
//! The format of the values is documented in [`cloakroom_core::codec`]. No value can be used as a session
//! cookie: the store never sees a secret. The id in the key is public.
//!
//! | verb | command | round trips |
//! |---|---|---|
//! | `create` | `SET key record NX PX ttl` | 1 |
//! | `load` | `GET key` | 1 |
//! | `update` | `EVALSHA update.lua 1 key revision record ttl` | 1 |
//! | `touch` | `EVALSHA touch.lua 1 key revision seen ttl` | 1, rare |
//! | `end` | `EVALSHA end.lua 1 key revision tombstone ttl` | 1 |
//! | `create_for_user` (creates a session for a user: index entry, record and event) | `EVALSHA create_for_user.lua 2 key key …`; in a cluster and with replicas `index_add`, `create` and `publish` | 1; 2 if a limit is reached |
//! | `index_add`, `evict` (add an index entry, or change its deadline; mark sessions to be ended) | `EVALSHA index_add.lua 1 key …` | 1 |
//! | `list` | `ZRANGE`, then `EVALSHA index_list.lua 1 key id 256` | 1 per page of 256 |
//! | `contains`, `remove` | `ZSCORE`, `ZREM` | 1 |
//! | `load_many` | `MGET` of up to 64 keys; in a cluster a `GET` for each, sent together | 1 |
//! | `scan_ids` | `SCAN`, on every primary | 1 per about 500 keys |
//! | `revoked_before`, `set_revoked_before` | `GET`, `EVALSHA set_revoked_before.lua 1 key …` | 1 |
//! | `publish` | `PUBLISH` | 1 |
//! | `subscribe` | `SUBSCRIBE` and `CLIENT ID` once a second, on a connection of its own | none |
//! | [`RawKeys`] | `GET` or `GETEX`, `DEL` | 1 |
//! | [`RedisStore::ping`] | `PING` | 1 |
//! | [`RedisStore::health`] | `INFO`, `EVAL permissions.lua 0 key channel` | 1 per primary |
//!
//! While commands are in flight, requests that are ready at the same moment share one: their loads become
//! one `MGET key …`, their scripts one `EVALSHA batch.lua n key … calls`, with the calls in `MessagePack`
//! (so Redis' Lua needs its library `cmsgpack`, which it has since 2.8). In a cluster every command has
//! one key, and nothing is merged.
//!
//! A server that does not know a script yet replies `NOSCRIPT`, and is sent the text with `EVAL`.
//!
//! # Rights
//!
//! A Redis user for the store needs only these rights. Replace `cloakroom` by the app's name:
//!
//! ```text
//! ACL SETUSER shop on >password ~cloakroom:* &cloakroom:* +get +mget +set +evalsha +eval +getrange +setrange +pexpire +pttl +del +zadd +zrem +zscore +zrange +zrangebyscore +zrandmember +zcard +zcount +zrank +scan +publish +subscribe +time +ping +auth +hello +select +info +client|id
//! ```
//!
//! In a cluster it also needs `+cluster|slots +cluster|info`, behind sentinels `+role`, to wait for replicas
//! `+wait`, for a near cache `+client|tracking +client|trackinginfo`, and to migrate sessions from
//! tower-sessions `(~?????????????????????? +get +getex +del)` (a selector, from Redis 7.0 on).
//!
//! To change the password, give the user both for a while (`>new`), restart the app with the new one, then
//! remove the old one (`<old`). Redis keeps open connections when a password is removed, but the store is
//! rejected when it has to reconnect.
//!
//! # Clusters and sentinels
//!
//! In a cluster, sessions are spread over all primaries. After a slot has moved, the first command for it
//! is sent again to the new owner, within its timeout. While a slot is being migrated, its sessions that
//! have already moved are `Unavailable`. While a primary is down and has no successor, every session may be
//! `Unavailable`, including those of other primaries.
//!
//! Behind sentinels, the primary is looked up whenever the store reconnects. A failover is noticed as a
//! lost connection, as timeouts, or as a server that is not a primary any more; most of its duration is
//! the sentinels' `down-after-milliseconds`. What the old primary had not yet replicated is lost, as always
//! with Redis: a sign-out may be undone. [`RedisStoreBuilder::with_replica_acks`] makes the writes that matter
//! most wait for replicas.
//!
//! # Events
//!
//! The first subscription opens a connection that all subscriptions of the store share. When it is
//! established, and after every interruption, subscribers are informed that events may have been missed. A
//! connection that fails silently is detected within two seconds.
//!
//! # Failure modes
//!
//! [`RedisStore::health`] warns before something fails: about a policy that evicts sessions, missing or
//! failing persistence, a replica, an old server, missing rights. Each [`Warning`] says what to do.
//!
//! Every command returns within its timeout. It is sent once; only if a node of a cluster replies that it
//! does not have the key, it is sent again, to another node.
//!
//! | what happens | kind of the error |
//! |---|---|
//! | no connection, or too many commands in flight | [`Unavailable`](StoreErrorKind::Unavailable), at once |
//! | timeout, or connection lost before the reply: `load`, `ping` | `Unavailable` |
//! | the same: `create`, `update`, `touch`, `end` | [`OutcomeUnknown`](StoreErrorKind::OutcomeUnknown) |
//! | too few replicas acknowledge in time: `create`, `end` | [`NotReplicated`](StoreErrorKind::NotReplicated), and the write is kept |
//! | `LOADING`, `READONLY`, `MASTERDOWN`, `MISCONF`, `NOREPLICAS`, `BUSY` | `Unavailable` |
//! | `CLUSTERDOWN` | as for a lost connection |
//! | out of memory | `create`, `update`: [`OutOfMemory`](StoreErrorKind::OutOfMemory). `load` works; `end` removes the session without leaving a tombstone; `touch` extends the TTL but not last-seen |
//! | wrong credentials, missing rights, unknown commands | [`Refused`](StoreErrorKind::Refused) |
//! | the value has another type, or cannot be decoded | [`Unreadable`](StoreErrorKind::Unreadable), and it is not changed; an `end` of any revision replaces it |
//! | the record has a newer format | [`NewerFormat`](StoreErrorKind::NewerFormat), likewise |
//!
//! The store reconnects by itself, 50 ms to 1 s after the server is back. After three consecutive timeouts,
//! or a reply from a server that is not a primary any more, it replaces the connection, at most once a
//! second, in the background. After timeouts the server is also considered down: every command fails at
//! once, without being sent, until a `PING` in the background gets a reply. Both moments are logged with the
//! target `cloakroom_redis`.
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `near-cache` | [`NearCache`]: serves recently used sessions from an in-process cache |
//! | `tls` | TLS (`rediss://`) with rustls, ring and the system's certificates; in the builder `with_tls_ca` for a custom CA, and `with_tls_client_certificate` |

mod address;
mod builder;
mod bus;
mod classify;
mod coalesce;
mod command;
mod connection;
mod error;
mod health;
mod health_check;
mod key;
mod log;
#[cfg(feature = "near-cache")]
mod near;
mod push_connection;
mod raw_keys;
mod replication;
mod store;
#[cfg(feature = "tls")]
mod tls;
mod watchdog;

pub use self::builder::RedisStoreBuilder;
pub use self::error::{ConnectError, ConnectErrorKind};
pub use self::health::{Health, Role, ServerKind, ServerMode, Warning};
#[cfg(feature = "near-cache")]
pub use self::near::{NearCache, NearCacheBuilder, NearCacheError, NearCacheStats};
pub use self::raw_keys::RawKeys;
pub use self::store::RedisStore;
pub use cloakroom_core::{Store, StoreError, StoreErrorKind};
