//! The task that keeps a listener at every primary.

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio::time::interval;

use super::listener::Listener;
use super::shared::Shared;
use crate::line::Line;

/// So many messages of a server wait to be taken in. More, and everything is forgotten.
const MESSAGES: usize = 1 << 16;

/// Looks at each beat which primaries there are.
pub(super) async fn keep(shared: Arc<Shared>) {
    let mut listeners = JoinSet::new();
    let mut beat = interval(shared.beat());
    loop {
        beat.tick().await;
        let connection = shared.store.connection();
        let nodes = connection.nodes();
        if !shared.trust.expect(&nodes) {
            continue;
        }
        // What was read from a server that nobody listened to may have changed.
        listeners.shutdown().await;
        shared.forget_all();
        for node in nodes {
            shared.trust.extend(&node, None);
            let client = connection.client_of(node.clone(), MESSAGES);
            let listener = Listener {
                shared: Arc::clone(&shared),
                node,
                line: Line::open(client, connection.limit()),
                flushed: None,
            };
            listeners.spawn(listener.listen());
        }
    }
}
