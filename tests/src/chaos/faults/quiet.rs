//! A network that forgets connections on which nothing is sent, as load balancers and NAT do: they stay
//! open, and what is sent on them is dropped. No request should be affected, neither the first one after a
//! pause nor those after it.

use std::time::Duration;

use super::{Load, Loss, Outcome, block_in_place};
use crate::proxy::Proxy;
use crate::redis::RedisServer;
use crate::topology::{Cluster, Sentinel};

/// After this time without a byte, a connection is forgotten.
const MEMORY: Duration = Duration::from_secs(3);

/// For how long the clients are quiet.
const PAUSES: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(8)];

/// The pause before a single request.
const VISIT_PAUSE: Duration = Duration::from_secs(4);

/// Pauses, and requests of many clients after each.
pub async fn quiet_then_silent() -> Outcome {
    let server = block_in_place(RedisServer::start);
    let proxy = Proxy::start(server.port()).await;
    let load = Load::start(&proxy.url()).await;
    proxy.forget_after(MEMORY);
    quiet(load, "nothing is sent for 5 s and for 8 s").await
}

/// One request in each period in which the network forgets a connection.
pub async fn one_request_per_idle_period() -> Outcome {
    let server = block_in_place(RedisServer::start);
    let proxy = Proxy::start(server.port()).await;
    let mut load = Load::start_quiet(&proxy.url()).await;
    proxy.forget_after(MEMORY);
    load.fault_starts();
    load.visits(4, VISIT_PAUSE).await;
    load.fault_ends("one request every 4 s", Loss::Nothing)
        .await
        .unnoticed()
}

/// The same as the first, with the primary of sentinels.
pub async fn sentinel_quiet_then_silent() -> Outcome {
    let servers = block_in_place(Sentinel::start_servers);
    let proxy = Proxy::start(servers[0].port()).await;
    let sentinel = block_in_place(|| Sentinel::monitor(servers, proxy.port()));
    let load = Load::start(&sentinel.url()).await;
    proxy.forget_after(MEMORY);
    quiet(load, "Sentinel: nothing is sent for 5 s and for 8 s").await
}

/// The same with every node of a cluster.
pub async fn cluster_quiet_then_silent() -> Outcome {
    let cluster = block_in_place(Cluster::start);
    let proxies = with_proxies(&cluster).await;
    let load = Load::start(&Cluster::url_of(proxies[0].port())).await;
    for proxy in &proxies {
        proxy.forget_after(MEMORY);
    }
    quiet(load, "Cluster: nothing is sent for 5 s and for 8 s").await
}

/// A proxy in front of each primary of a cluster, which announces the proxy's port.
pub(super) async fn with_proxies(cluster: &Cluster) -> Vec<Proxy> {
    let mut proxies = Vec::new();
    for primary in cluster.primaries() {
        proxies.push(Proxy::start(primary.port()).await);
    }
    let ports: Vec<_> = proxies.iter().map(Proxy::port).collect();
    block_in_place(|| cluster.announce(&ports));
    proxies
}

async fn quiet(mut load: Load, name: &'static str) -> Outcome {
    load.fault_starts();
    for pause in PAUSES {
        load.pause(pause).await;
    }
    load.visits(2, VISIT_PAUSE).await;
    load.fault_ends(name, Loss::Nothing).await.unnoticed()
}
