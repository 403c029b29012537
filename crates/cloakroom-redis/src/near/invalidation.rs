//! A connection on which one server reports which keys change (`CLIENT TRACKING`).
//!
//! fred passes on invalidation messages, but reports neither that it has reconnected, after which the
//! server sends none, nor that the database was flushed: that message names no keys, and fred 10.1
//! discards it. So four times per window the server is queried for its role, whether it tracks this
//! connection, and how often it was flushed. The replies arrive after all messages that were sent before
//! them.

use std::sync::Arc;
use std::time::Duration;

use fred::clients::{Client, WithOptions};
use fred::error::{Error as FredError, ErrorKind};
use fred::interfaces::{ClientLike, TrackingInterface};
use fred::types::client::Invalidation;
use fred::types::{ClusterHash, CustomCommand, Value};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;
use tokio::time::{Instant, sleep_until};

use super::shared::SharedCache;
use super::validity::Node;
use crate::health::Info;
use crate::log;
use crate::push_connection::{PushConnection, next};

/// The time from a failed check to the next one.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Receives the messages of one server, until its task is aborted.
pub(super) struct InvalidationConnection {
    pub(super) cache: Arc<SharedCache>,
    pub(super) node: Node,
    pub(super) connection: PushConnection,
    /// How often the server was flushed, by the last check; `None` while the server sends no messages.
    pub(super) flushes: Option<u64>,
    /// Whether the last check has failed, which was logged.
    pub(super) has_failed: bool,
}

impl InvalidationConnection {
    pub(super) async fn run(mut self) {
        let mut messages = self.connection.client.invalidation_rx();
        self.connection.first_connection().await;
        loop {
            let began = Instant::now();
            let checked = {
                let check = check(&self.connection.client, &self.cache);
                let check = self.connection.within_timeout(check);
                tokio::pin!(check);
                loop {
                    tokio::select! {
                        message = next(&mut messages) => self.cache.on_invalidation(message),
                        checked = &mut check => break checked,
                    }
                }
            };
            // Messages that arrived before the reply must take effect before the cache is declared valid.
            apply_received(&mut messages, &self.cache);
            let pause = if checked.is_ok() {
                self.cache.heartbeat()
            } else {
                RETRY_INTERVAL
            };
            if self.apply(checked, began).await {
                messages = self.connection.client.invalidation_rx();
            }
            loop {
                tokio::select! {
                    message = next(&mut messages) => self.cache.on_invalidation(message),
                    () = sleep_until(began + pause) => break,
                }
            }
        }
    }

    /// Extends the validity of the cache after a successful check, or invalidates it. Returns whether the
    /// client was replaced.
    async fn apply(&mut self, checked: Result<Tracking, FredError>, began: Instant) -> bool {
        let name = self.cache.store.redacted_url();
        let had_failed = std::mem::replace(&mut self.has_failed, checked.is_err());
        match checked {
            Ok(Tracking { is_new, flushes }) => {
                if is_new || self.flushes != Some(flushes) {
                    // What was cached before tracking started may have changed without a message.
                    self.cache.clear();
                }
                if self.flushes.replace(flushes).is_none() {
                    log::invalidation_started(name);
                }
                self.cache.extend_validity(&self.node, began);
                false
            }
            Err(error) => {
                self.cache.validity.extend_until(&self.node, None);
                self.cache.clear();
                if self.flushes.take().is_some() {
                    log::invalidation_lost(name, error.details());
                } else if !had_failed {
                    log::invalidation_failed(name, error.details());
                }
                // A new connection may reach another server; it does not help against missing rights.
                matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Protocol)
                    && self.connection.reconnect().await
            }
        }
    }
}

/// Applies the messages that have arrived. If there were more than the buffer holds, the cache is cleared.
fn apply_received(messages: &mut Receiver<Invalidation>, cache: &SharedCache) {
    while let Some(message) = try_next(messages) {
        cache.on_invalidation(message);
    }
}

/// Returns the next message, if one has arrived; inside, `None` if some were missed.
fn try_next(messages: &mut Receiver<Invalidation>) -> Option<Option<Invalidation>> {
    match messages.try_recv() {
        Ok(message) => Some(Some(message)),
        Err(TryRecvError::Lagged(_)) => Some(None),
        Err(TryRecvError::Empty | TryRecvError::Closed) => None,
    }
}

/// The state of a server that tracks this connection.
struct Tracking {
    /// It did not before this check.
    is_new: bool,
    /// How often the server was flushed.
    flushes: u64,
}

/// Checks that the server tracks this connection, and enables it if it does not.
async fn check(client: &WithOptions<Client>, cache: &SharedCache) -> Result<Tracking, FredError> {
    let is_new = !is_tracked(client, cache).await?;
    if is_new {
        let args = ["TRACKING", "ON", "BCAST", "PREFIX", &cache.tracked_prefix];
        send(client, "CLIENT", &args).await?;
    }
    let role = send(client, "INFO", &["replication"]).await?;
    if !Info(&text(&role)).is("role", "master") {
        return Err(unusable("the server is not a primary"));
    }
    let commands = send(client, "INFO", &["commandstats"]).await?;
    let flushes = count_flushes(&Info(&text(&commands)));
    Ok(Tracking { is_new, flushes })
}

/// Whether the server reports every change under the prefix to this connection.
async fn is_tracked(client: &WithOptions<Client>, cache: &SharedCache) -> Result<bool, FredError> {
    let info = send(client, "CLIENT", &["TRACKINGINFO"]).await?;
    reports_all(&info, &cache.tracked_prefix)
}

/// Whether the reply to `CLIENT TRACKINGINFO` says that.
fn reports_all(info: &Value, prefix: &str) -> Result<bool, FredError> {
    let Value::Map(info) = info else {
        return Err(unusable("the server does not use RESP3"));
    };
    let contains = |field: &'static str, word: &str| {
        let values = info.get(&field.into()).cloned();
        let values = values.map(Value::into_array).unwrap_or_default();
        values
            .iter()
            .any(|value| value.as_str().as_deref() == Some(word))
    };
    Ok(contains("flags", "on") && contains("flags", "bcast") && contains("prefixes", prefix))
}

async fn send(
    client: &WithOptions<Client>,
    name: &'static str,
    args: &[&str],
) -> Result<Value, FredError> {
    let command = CustomCommand::new_static(name, ClusterHash::FirstKey, false);
    let args: Vec<Value> = args.iter().map(|&arg| arg.into()).collect();
    client.custom(command, args).await
}

fn text(value: &Value) -> String {
    String::from_utf8_lossy(value.as_bytes().unwrap_or_default()).into_owned()
}

/// How often `FLUSHDB`, `FLUSHALL` and `SWAPDB` were executed, by the reply to `INFO commandstats`.
fn count_flushes(stats: &Info<'_>) -> u64 {
    let calls = |name: &str| -> Option<u64> {
        let calls = stats.text(name)?.strip_prefix("calls=")?;
        calls.split(',').next()?.parse().ok()
    };
    ["cmdstat_flushdb", "cmdstat_flushall", "cmdstat_swapdb"]
        .into_iter()
        .filter_map(calls)
        .sum()
}

fn unusable(why: &'static str) -> FredError {
    FredError::new(ErrorKind::Protocol, why)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use cloakroom_core::store::Loaded;
    use cloakroom_core::{EndReason, SessionId, Timestamp, Tombstone};
    use fred::types::config::Server;
    use tokio::sync::broadcast;

    use super::super::supervisor::buffered_messages;
    use super::*;
    use crate::store::RedisStore;

    fn id(number: u128) -> SessionId {
        let bytes = 0x0191_e0c4_8f2a_7c3e_9b1d_u128 << 48 | number;
        SessionId::from_bytes(bytes.to_be_bytes()).unwrap()
    }

    fn message(id: SessionId) -> Invalidation {
        Invalidation {
            keys: vec![format!("cloakroom:{id}").into()],
            server: Server::new("127.0.0.1", 1),
        }
    }

    fn cache() -> SharedCache {
        let store = RedisStore::builder("redis://127.0.0.1:1", "cloakroom").connect_lazy();
        SharedCache::new(
            store.expect("it is valid"),
            64 << 20,
            Duration::from_secs(1),
        )
    }

    /// The task of the connection is not polled meanwhile, so that the buffer overflows.
    #[tokio::test]
    async fn a_burst_of_changes_that_overflows_the_buffer_clears_the_cache() {
        let cache = cache();
        let (sender, mut receiver) = broadcast::channel(buffered_messages(1));
        let (changed, unchanged) = (id(0), id(1_000_000));
        let until = Instant::now() + Duration::from_secs(60);
        let session = || {
            let tombstone = Tombstone::new(None, Timestamp::from_millis(1), EndReason::Destroyed);
            Loaded::Tombstone(tombstone)
        };
        for id in [changed, unchanged] {
            let version = cache.sessions.version(id);
            cache.sessions.insert_read(id, version, session(), until);
        }
        // A read in flight that has found the state before the burst.
        let in_flight = cache.sessions.version(changed);
        for number in 0..200_000 {
            sender.send(message(id(number))).unwrap();
        }
        apply_received(&mut receiver, &cache);
        cache
            .sessions
            .insert_read(changed, in_flight, session(), until);
        let now = Instant::now();
        assert_eq!(
            cache.sessions.get(changed, now),
            None,
            "its message is lost"
        );
        assert_eq!(cache.sessions.get(unchanged, now), None);
        assert_eq!(cache.counters.cleared.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn changes_that_fit_into_the_buffer_remove_only_what_has_changed() {
        let cache = cache();
        let (sender, mut receiver) = broadcast::channel(buffered_messages(1));
        let until = Instant::now() + Duration::from_secs(60);
        let count = buffered_messages(1) as u128;
        for id in [id(0), id(count)] {
            let tombstone = Tombstone::new(None, Timestamp::from_millis(1), EndReason::Destroyed);
            let (session, version) = (Loaded::Tombstone(tombstone), cache.sessions.version(id));
            cache.sessions.insert_read(id, version, session, until);
        }
        for number in 0..count {
            sender.send(message(id(number))).unwrap();
        }
        apply_received(&mut receiver, &cache);
        let now = Instant::now();
        assert_eq!(cache.sessions.get(id(0), now), None);
        assert!(cache.sessions.get(id(count), now).is_some());
        assert_eq!(cache.counters.cleared.load(Ordering::Relaxed), 0);
    }

    /// A server that sends messages about the keys that were read, for instance, does not report what others write.
    #[test]
    fn a_server_reports_all_changes_only_if_it_says_so_in_full() {
        let info = |flags: &[&str], prefixes: &[&str]| {
            let list = |words: &[&str]| {
                let words = words.iter().map(|word| Value::from(word.to_string()));
                Value::Array(words.collect())
            };
            let map = [("flags", list(flags)), ("prefixes", list(prefixes))];
            Value::Map(map.try_into().expect("it is a map"))
        };
        let reports = |flags: &[&str], prefixes: &[&str]| {
            reports_all(&info(flags, prefixes), "shop:").expect("it is a map")
        };
        assert!(reports(&["on", "bcast"], &["shop:"]));
        assert!(reports(&["on", "bcast", "noloop"], &["a:", "shop:"]));
        assert!(!reports(&["off"], &[]));
        assert!(!reports(&["on"], &["shop:"]));
        assert!(!reports(&["bcast"], &["shop:"]));
        assert!(!reports(&["on", "bcast"], &["shop"]));
        assert!(!reports(&["on", "bcast"], &[]));
        // RESP2.
        assert!(reports_all(&Value::Array(Vec::new()), "shop:").is_err());
    }

    #[test]
    fn only_flushes_are_counted() {
        let stats = "# Commandstats\r\ncmdstat_set:calls=3,usec=1\r\ncmdstat_flushdb:calls=2,usec=1\r\n\
                     cmdstat_flushall:calls=40,usec=5,failed_calls=0\r\n";
        assert_eq!(count_flushes(&Info(stats)), 42);
        assert_eq!(count_flushes(&Info("# Commandstats\r\n")), 0);
    }
}
