//! The task that keeps an invalidation connection to every primary.

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio::time::interval;

use super::invalidation::InvalidationConnection;
use super::shared::SharedCache;
use crate::push_connection::PushConnection;

/// How many messages of a server are buffered. If there are more, the whole cache is cleared.
const BUFFERED_MESSAGES: usize = 1 << 16;

/// Checks at each heartbeat which primaries there are, and reconnects if they have changed.
pub(super) async fn run(cache: Arc<SharedCache>) {
    let mut connections = JoinSet::new();
    let mut heartbeat = interval(cache.heartbeat());
    loop {
        heartbeat.tick().await;
        let connection = cache.store.connection();
        let nodes = connection.nodes();
        if !cache.validity.set_nodes(&nodes) {
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
