//! Probes a connection, also when nothing is sent on it: a load balancer may have forgotten it.

use std::sync::Arc;

use fred::interfaces::ClientLike;
use tokio::time::sleep;

use super::link::{Attached, SharedLink};
use super::ping::{Replies, ping_all};
use super::recovery;
use crate::watchdog::Recovery;

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
