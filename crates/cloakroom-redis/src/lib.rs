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
//! begin: give every app and every environment on one Redis its own. [`RedisStore::builder`] sets
//! credentials, timeouts and TLS, and its [`connect_lazy`](RedisStoreBuilder::connect_lazy) does not wait
//! for Redis.
//!
//! # Redis keys
//!
//! `cloakroom` stands for the app's name.
//!
//! | key | value | TTL |
//! |---|---|---|
//! | `cloakroom:0191e0c4-8f2a-…` | a session: `c1`, revision, last seen, limits, digest of the secret, then its entries as JSON | the shorter of the idle timeout and the time to the absolute deadline |
//! | the same | an ended session: `t1`, time, digest, reason; of a renewed one also its successor, and the digests of several secrets | about a minute |
//! | `cloakroom:user:` and a hash | the sessions of a user: a sorted set of ids in the order of their creation, which also has their deadlines | to the last deadline, plus five minutes |
//! | `cloakroom:revoked-before` | sessions created before this time are revoked; only after all sessions were ended at once | 400 days |
//!
//! The hash is the SHA-256 of realm and user, in base64url. Events are published on the channel
//! `cloakroom:events`, and so are messages of other crates, which begin with `app`.
//!
//! The format of the values is documented in [`cloakroom_core::codec`]. No value can be used as a session
//! cookie: the store never sees a secret. The id in the key is public.
//!
//! | operation | command | round trips |
//! |---|---|---|
//! | `create` | `SET key record NX PX ttl` | 1 |
//! | `load` | `GET key` | 1 |
//! | `update` | `EVALSHA update.lua 1 key revision record ttl` | 1 |
//! | `touch` | `EVALSHA touch.lua 1 key revision seen ttl` | 1, rare |
//! | `end` | `EVALSHA end.lua 1 key revision tombstone ttl` | 1 |
//! | `create_for_user` (creates a session for a user: index entry, record and event) | `EVALSHA sign_in.lua 2 key key …`, or `create_for_user.lua` with a session limit and at one of eight sign-ins; in a cluster, if the keys are in different slots, `index_add` and `EVALSHA create.lua 1 key …`, and `publish` if they are sent at once; with replicas `index_add`, `create` and `publish` | 1; 2 with replicas, or with keys in different slots unless they are sent at once; one more if a limit is reached |
//! | `index_add`, `evict` (add an index entry, or change its deadline; mark sessions to be ended) | `EVALSHA index_add.lua 1 key …`, or `index_put.lua` for most entries without a session limit | 1 |
//! | `list` | `ZRANGE`, then `EVALSHA index_list.lua 1 key id 256` | 1 per page of 256 |
//! | `contains`, `remove` | `ZSCORE`, `ZREM` | 1 |
//! | `load_many` | `MGET` of up to 64 keys; in a cluster a `GET` for each, sent together | 1 |
//! | `scan_ids` | `SCAN`, on every primary | 1 per about 500 keys |
//! | `revoked_before`, `set_revoked_before` | `GET`, `EVALSHA set_revoked_before.lua 1 key …` | 1 |
//! | `publish` | `PUBLISH` | 1 |
//! | `subscribe` | `SUBSCRIBE` and `CLIENT ID` once a second, on a connection of its own | none |
//! | [`RawKeys`] | `GET` or `GETEX`, `DEL` | 1 |
//! | [`AppScripts`] (scripts and messages of other crates) | `EVALSHA`, `GET`; `SUBSCRIBE` as for `subscribe` | 1 |
//! | [`RedisStore::ping`] | `PING` | 1 |
//! | [`RedisStore::health`] | `INFO`, `EVAL permissions.lua 0 key channel` | 1 per primary |
//! | [`RedisStore::connect`] | `EVAL permissions.lua 1 key key channel`, `INFO`; in a cluster `EVAL permissions.lua 0 key channel` on each primary instead of `INFO`; if the server is in cluster mode and the URL is not, 16 times `GET key` | 2, in a cluster 1 and 1 per primary |
//!
//! While commands are in flight, requests that are ready at the same moment share one: their loads become
//! one `MGET key …`, their scripts one `EVALSHA batch.lua n key … calls`, with the calls in `MessagePack`, and
//! so do the calls of each script of another crate (so Redis' Lua needs its library `cmsgpack`, which it has since 2.8). After replies of
//! more than 256 KiB, the calls that follow are not run, and are sent by themselves. Events of merged sign-ins are the lines of one
//! message, and so are events that are published by themselves.
//!
//! In a cluster, every operation has one key, or two in one slot: a new session of a user is in the slot of the user's
//! index, for which some digits of its id are chosen. Loads are sent together, and scripts for one node become one
//! `EVALSHA node_batch.lua 1 key …`. It uses keys that it does not declare, in several slots, with the flag
//! `allow-cross-slot-keys` of Redis 7.0. Once a minute for each node, it checks that the node rejects a key that
//! another node has, which counts as an error in its `INFO errorstats`. With older servers, a cluster of one
//! primary, or a proxy that does not pass this check, no scripts are merged.
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
//! When the store connects, it detects a server in cluster mode behind a URL without `-cluster` (one shard, or
//! a proxy in front of several). Then every command has one key, nothing is merged, and the log and
//! [`RedisStore::health`] warn. One of several shards without a proxy is an error when connecting. A store
//! [`from_client`](RedisStore::from_client) detects it by `health`, or by the first `CROSSSLOT`, whose
//! commands are then sent one by one.
//!
//! In a cluster, sessions are spread over all primaries. After a slot has moved, the first command for it
//! is sent again to the new owner, within its timeout. Writes that are in flight to the old one at that moment
//! may have an unknown outcome. While a slot is being migrated, its sessions that have already moved are
//! `Unavailable`, and users whose index is in it can neither sign in nor renew a session. While a primary is
//! down and has no successor, every session may be `Unavailable`, including those of other primaries.
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
//! connection that fails silently is detected within a second and the command timeout.
//!
//! # Failure modes
//!
//! [`RedisStore::health`] warns before something fails: about a policy that evicts sessions, missing or
//! failing persistence, a replica, an old server, missing rights or commands, cluster mode. Each [`Warning`] says
//! what to do. Missing rights and commands without which no session can be kept are errors when connecting.
//!
//! Every command returns within its timeout. It is sent once, and again only after a reply which proves that
//! it was not executed: `NOSCRIPT`, another node of a cluster has the key, or a merged call was not run. (Of a
//! merged sign-in, the index entry may have been written.) A read whose connection is lost waits for a new one,
//! for the time of another timeout, and is sent once more: it returns within three timeouts.
//!
//! | what happens | kind of the error |
//! |---|---|
//! | no connection, or too many commands in flight | [`Unavailable`](StoreErrorKind::Unavailable), at once |
//! | timeout, or connection lost before the reply: `load`, `list` (also at the second attempt), `ping` | `Unavailable` |
//! | the same: `create`, `update`, `touch`, `end` | [`OutcomeUnknown`](StoreErrorKind::OutcomeUnknown) |
//! | too few replicas acknowledge in time: `create`, `end`, `set_revoked_before`, `RawKeys::remove` | [`NotReplicated`](StoreErrorKind::NotReplicated), and the write is kept |
//! | `LOADING`, `READONLY`, `MASTERDOWN`, `MISCONF`, `NOREPLICAS`, `BUSY` | `Unavailable` |
//! | `CLUSTERDOWN` | as for a lost connection |
//! | out of memory | `create`, `update`: [`OutOfMemory`](StoreErrorKind::OutOfMemory). `load` works; `end` removes the session without leaving a tombstone; `touch` extends the TTL but not last-seen |
//! | wrong credentials, missing rights, unknown commands, `CROSSSLOT`; `MOVED` without the URL of a cluster | [`Refused`](StoreErrorKind::Refused): it stays until someone changes the configuration |
//! | the value has another type, or cannot be decoded | [`Unreadable`](StoreErrorKind::Unreadable), and it is not changed; an `end` of any revision replaces it |
//! | the record has a newer format | [`NewerFormat`](StoreErrorKind::NewerFormat), likewise |
//!
//! The store reconnects by itself, 50 ms to 1 s after the server is back. Every connection is probed with a
//! `PING` every two seconds, also when nothing else is sent, so that no load balancer forgets it
//! ([`with_probe_interval`](RedisStoreBuilder::with_probe_interval)). A connection that is silent, with or without
//! requests, is noticed within that interval and one and a quarter command timeouts (2.3 s by default), and
//! replaced in the background, at most once a second; so is one to a server that is not a primary any more.
//! Commands in flight still get their replies.
//!
//! If a new connection gets no reply within the command timeout either, the server is considered down:
//! every command fails at once, without being sent, until there is a reply. Both moments are logged with
//! the target `cloakroom_redis`.
//!
//! A store works in several Tokio runtimes. When the one ends in which it was connected, the next command
//! connects it in its own.
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `near-cache` | [`NearCache`]: serves recently used sessions from an in-process cache |
//! | `tls` | TLS (`rediss://`) with rustls, ring and the system's certificates; in the builder `with_tls_ca` for a custom CA, `with_tls_pin` for a self-signed certificate, `with_tls_server_name` for another host, and `with_tls_client_certificate` |

#![cfg_attr(docsrs, feature(doc_cfg))]

mod address;
mod app_message;
mod app_script;
mod builder;
#[cfg(feature = "tls")]
mod builder_tls;
mod bus;
mod classify;
mod coalesce;
mod command;
mod connect;
mod connection;
mod error;
mod health;
mod health_check;
mod key;
mod log;
#[cfg(feature = "near-cache")]
mod near;
mod probe;
mod push_connection;
mod raw_keys;
mod replication;
mod store;
mod sync;
#[cfg(feature = "tls")]
mod tls;
mod watchdog;
mod wording;

pub use self::app_message::{AppMessage, AppMessages};
pub use self::app_script::{AppScript, AppScripts, ScriptReply};
pub use self::builder::RedisStoreBuilder;
pub use self::error::{ConnectError, ConnectErrorKind};
pub use self::health::{Health, Role, ServerKind, ServerMode, Warning};
#[cfg(feature = "near-cache")]
pub use self::near::{NearCache, NearCacheBuilder, NearCacheError, NearCacheStats};
pub use self::raw_keys::RawKeys;
pub use self::store::RedisStore;
pub use cloakroom_core::codec::RecordFormat;
pub use cloakroom_core::{Store, StoreError, StoreErrorKind};

/// Guides for operating the store.
#[cfg(all(doc, not(doctest), unix))]
pub mod guides {
    /// [failover]: crate::guides::failover
    /// [servers]: crate::guides::servers
    #[doc = include_str!("../docs/redis.md")]
    pub mod redis {}

    #[doc = include_str!("../docs/servers.md")]
    pub mod servers {}

    #[doc = include_str!("../docs/failover.md")]
    pub mod failover {}

    /// [failover]: crate::guides::failover
    #[doc = include_str!("../docs/near-cache.md")]
    pub mod near_cache {}
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
