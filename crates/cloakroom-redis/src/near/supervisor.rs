//! The task that keeps an invalidation connection to every primary.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::{AbortHandle, JoinSet};
use tokio::time::interval;

use super::invalidation::InvalidationConnection;
use super::shared::SharedCache;
use crate::push_connection::PushConnection;

/// How many messages of a server are buffered. If there are more, the whole cache is cleared.
const BUFFERED_MESSAGES: usize = 1 << 16;

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
        for node in nodes {
            cache.validity.extend_until(&node, None);
            let client = connection.push_client(node.clone(), BUFFERED_MESSAGES);
            let invalidation = InvalidationConnection {
                cache: Arc::clone(&cache),
                node,
                connection: PushConnection::open(client, connection.timeout()),
                flushes: None,
            };
            connections.spawn(invalidation.run());
        }
    }
}
