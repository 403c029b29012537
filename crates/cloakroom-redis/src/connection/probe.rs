//! Probes a connection, also when nothing is sent on it: a load balancer may have forgotten it.

use std::sync::Arc;
use std::time::Duration;

use fred::clients::{Client, WithOptions};
use fred::error::Error as FredError;
use fred::interfaces::ClientLike;
use fred::types::Value;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::client::{for_node, with_timeout};
use super::link::{Attached, SharedLink};
use super::recovery;
use crate::classify::ErrorClass;
use crate::watchdog::Recovery;

/// Which nodes of a server or cluster have replied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Replies {
    All,
    Some,
    None,
}

/// Sends a `PING` to every node once in an interval, as long as the store exists. Without a reply, the
/// connection is recovered.
pub(super) async fn run(attached: Attached) {
    while let Some(interval) = attached.link().map(|link| link.timeouts.probe) {
        sleep(interval).await;
        if let Some(link) = attached.link() {
            probe(&link).await;
        }
    }
}

async fn probe(link: &Arc<SharedLink>) {
    if link.is_stopped() {
        recovery::start(link, Recovery::Revive);
    } else if link.client().is_connected()
        && ping_all(link, link.timeouts.reply()).await != Replies::All
    {
        recovery::start(link, Recovery::Check);
    }
    // In any other state, fred is reconnecting.
}

/// Sends a `PING` to every node, and waits for the replies for `patience`.
pub(super) async fn ping_all(link: &SharedLink, patience: Duration) -> Replies {
    let client = with_timeout(&link.client(), patience);
    let nodes = link.nodes();
    let count = nodes.len();
    let mut pings = JoinSet::new();
    for node in nodes {
        pings.spawn(ping(for_node(&client, node)));
    }
    let mut replied = 0;
    while let Some(result) = pings.join_next().await {
        replied += usize::from(result.unwrap_or(false));
    }
    match replied {
        0 => Replies::None,
        all if all == count => Replies::All,
        _ => Replies::Some,
    }
}

/// Whether a node replies. An error that it sends is a reply: commands get theirs as fast.
async fn ping(client: WithOptions<Client>) -> bool {
    let pong: Result<Value, FredError> = client.ping(None).await;
    !pong.is_err_and(|error| {
        matches!(
            ErrorClass::of(&error),
            ErrorClass::TimedOut | ErrorClass::NeverSent | ErrorClass::Unclear
        )
    })
}
