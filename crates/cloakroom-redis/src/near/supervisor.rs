//! The task that keeps an invalidation connection to every primary.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::{AbortHandle, JoinSet};
use tokio::time::interval;

use super::invalidation::InvalidationConnection;
use super::shared::SharedCache;
use crate::push_connection::PushConnection;

/// How many messages are buffered, of all primaries together. If one primary sends more before they are
/// read, the oldest are dropped, and the whole cache is cleared instead.
///
/// fred allocates as many places for each of its nine kinds of messages, about 700 bytes in all, so that
/// this is 1.4 MB. A message names all keys that have changed in one iteration of the server's event loop.
const BUFFERED_MESSAGES: usize = 2048;

/// The least number of messages that are buffered of one primary.
const MIN_BUFFERED_MESSAGES: usize = 64;

/// The supervising task. Dropping this ends it.
pub(super) struct Supervisor(Mutex<AbortHandle>);

impl Supervisor {
    /// Starts the task in the current runtime.
    pub(super) fn start(cache: &Arc<SharedCache>) -> Self {
        Self(Mutex::new(spawn(cache)))
    }

    /// Starts the task again in the current runtime, if it has ended with another one.
    pub(super) fn resume(&self, cache: &Arc<SharedCache>) {
        let mut task = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if task.is_finished() {
            *task = spawn(cache);
        }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        let task = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        task.abort();
    }
}

fn spawn(cache: &Arc<SharedCache>) -> AbortHandle {
    tokio::spawn(run(Arc::clone(cache))).abort_handle()
}

/// Checks at each heartbeat which primaries there are, and reconnects if they have changed.
async fn run(cache: Arc<SharedCache>) {
    // An earlier task may have left primaries to which nothing is connected any more.
    cache.validity.set_nodes(&[]);
    let mut connections = JoinSet::new();
    let mut heartbeat = interval(cache.heartbeat());
    loop {
        heartbeat.tick().await;
        let connection = cache.store.connection();
        let nodes = connection.nodes();
        // None of these tasks ends by itself; one that has panicked leaves a primary without a connection.
        let is_lost = connections.try_join_next().is_some();
        if !cache.validity.set_nodes(&nodes) && !is_lost {
            continue;
        }
        // Sessions that were read from a primary without a connection may have changed.
        connections.shutdown().await;
        cache.clear();
        let messages = buffered_messages(nodes.len());
        for node in nodes {
            cache.validity.extend_until(&node, None);
            let client = connection.push_client(node.clone(), messages);
            let invalidation = InvalidationConnection {
                cache: Arc::clone(&cache),
                node,
                // A check that takes longer than the window is of no use. A shorter limit would only make
                // the cache unusable on a busy machine.
                connection: PushConnection::open(client, connection.timeout().max(cache.window)),
                flushes: None,
                has_failed: false,
            };
            connections.spawn(invalidation.run());
        }
    }
}

/// How many messages of one primary are buffered: a power of two, since tokio allocates that many.
pub(super) fn buffered_messages(primaries: usize) -> usize {
    let each = BUFFERED_MESSAGES / primaries.max(1);
    1 << each.max(MIN_BUFFERED_MESSAGES).ilog2()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_buffers_are_bounded_whatever_the_number_of_primaries() {
        for primaries in 0..=BUFFERED_MESSAGES / MIN_BUFFERED_MESSAGES {
            let each = buffered_messages(primaries);
            assert!(each.is_power_of_two() && each >= MIN_BUFFERED_MESSAGES);
            assert!(primaries * each <= BUFFERED_MESSAGES, "{primaries}");
        }
        assert_eq!(buffered_messages(1), BUFFERED_MESSAGES);
        assert_eq!(buffered_messages(1000), MIN_BUFFERED_MESSAGES);
    }
}
