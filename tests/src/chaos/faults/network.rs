//! Faults of the network between the app and the server.

use std::time::Duration;

use super::{FAULT_DURATION, Load, Loss, Outcome, block_in_place, sleep};
use crate::proxy::{Network, Proxy, deliver};
use crate::redis::RedisServer;
use crate::topology::Replicated;

async fn server_behind_proxy() -> (RedisServer, Proxy, Load) {
    let server = block_in_place(RedisServer::start);
    let (proxy, load) = through_a_proxy(&server).await;
    (server, proxy, load)
}

async fn through_a_proxy(server: &RedisServer) -> (Proxy, Load) {
    let proxy = Proxy::start(server.port()).await;
    let load = Load::start(&proxy.url()).await;
    (proxy, load)
}

/// Every command arrives later than its timeout.
pub async fn slow() -> Outcome {
    let (_server, proxy, load) = server_behind_proxy().await;
    load.fault_starts();
    proxy.set(Network::Slow(Duration::from_millis(400)));
    sleep(FAULT_DURATION).await;
    proxy.set(Network::Normal);
    load.fault_ends("400 ms of latency", Loss::Nothing).await
}

/// Replies arrive half, and then the connection is closed.
pub async fn replies_truncated() -> Outcome {
    let (_server, proxy, load) = server_behind_proxy().await;
    load.fault_starts();
    for _ in 0..10 {
        proxy.set(Network::TruncateReplies);
        sleep(FAULT_DURATION / 20).await;
        proxy.set(Network::Normal);
        sleep(FAULT_DURATION / 20).await;
    }
    load.fault_ends("connections cut in the middle of replies", Loss::Nothing)
        .await
}

/// Connections stay open, and nothing arrives.
pub async fn half_open() -> Outcome {
    silent(Network::Blackholed, "half-open connections").await
}

/// Connections stay open, and no command arrives.
pub async fn commands_lost() -> Outcome {
    silent(Network::CommandsDropped, "no command arrives").await
}

/// Connections stay open, and no reply arrives: commands are executed.
pub async fn replies_lost() -> Outcome {
    silent(Network::RepliesDropped, "no reply arrives").await
}

async fn silent(network: Network, name: &'static str) -> Outcome {
    let (_server, proxy, load) = server_behind_proxy().await;
    load.fault_starts();
    proxy.set(network);
    sleep(FAULT_DURATION * 2).await;
    proxy.set(Network::Normal);
    load.fault_ends(name, Loss::Nothing).await
}

/// Connections are closed, and new ones are accepted and get no reply.
pub async fn accepted_without_replies() -> Outcome {
    let (_server, proxy, load) = server_behind_proxy().await;
    load.fault_starts();
    proxy.set(Network::Blackholed);
    proxy.disconnect();
    sleep(FAULT_DURATION * 2).await;
    proxy.set(Network::Normal);
    load.fault_ends("connections are accepted and get no reply", Loss::Nothing)
        .await
}

/// Commands are delayed until their requests have completed, and then delivered; all commands that were
/// delivered in time are delivered a second time.
pub async fn commands_delayed_and_duplicated() -> Outcome {
    let (server, proxy, load) = server_behind_proxy().await;
    load.fault_starts();
    proxy.record();
    sleep(FAULT_DURATION).await;
    proxy.set(Network::Held);
    sleep(FAULT_DURATION).await;
    let sent = proxy.take_recorded();
    proxy.disconnect();
    proxy.set(Network::Normal);
    // Sessions are used, ended and created; then the delayed commands arrive.
    sleep(FAULT_DURATION).await;
    deliver(server.port(), &sent).await;
    deliver(server.port(), &sent).await;
    load.fault_ends("commands delayed and duplicated", Loss::Nothing)
        .await
}

/// The address leads to another server with the same data, as after a failover behind DNS or a load
/// balancer.
pub async fn address_changes() -> Outcome {
    let servers = block_in_place(|| Replicated::start(1));
    let (proxy, load) = through_a_proxy(servers.primary()).await;
    let successor = &servers.replicas()[0];
    load.fault_starts();
    block_in_place(|| successor.command(&["REPLICAOF", "NO", "ONE"]));
    sleep(FAULT_DURATION / 3).await;
    proxy.redirect_to(successor.port());
    load.fault_ends("the address points to another server", Loss::Unreplicated)
        .await
}
