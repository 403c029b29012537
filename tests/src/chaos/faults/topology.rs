//! Failovers.

use super::quiet::with_proxies;
use super::{FAULT_DURATION, Load, Loss, Outcome, block_in_place, sleep};
use crate::proxy::Network;
use crate::topology::{Cluster, Sentinel, wait_for};

/// The primary is killed, and the sentinels elect another one.
pub async fn sentinel_failover() -> Outcome {
    let mut sentinel = block_in_place(Sentinel::start);
    let load = Load::start(&sentinel.url()).await;
    let old = sentinel.primary();
    load.fault_starts();
    block_in_place(|| {
        sentinel.servers_mut()[0].kill();
        wait_for("a new primary", || sentinel.primary() != old);
    });
    load.fault_ends("Sentinel: the primary killed", Loss::Unreplicated)
        .await
}

/// The primary hangs, and the sentinels elect another one. Then it resumes.
pub async fn sentinel_failover_frozen() -> Outcome {
    let sentinel = block_in_place(Sentinel::start);
    let load = Load::start(&sentinel.url()).await;
    let old = sentinel.primary();
    load.fault_starts();
    block_in_place(|| {
        sentinel.servers()[0].freeze();
        wait_for("a new primary", || sentinel.primary() != old);
        sentinel.servers()[0].thaw();
    });
    load.fault_ends(
        "Sentinel: the primary hung, then continued",
        Loss::Unreplicated,
    )
    .await
}

/// Nothing that is sent to one of the primaries arrives, for a shorter time than the cluster needs to notice
/// it; nor what it sends.
pub async fn cluster_node_silent() -> Outcome {
    let cluster = block_in_place(Cluster::start);
    let proxies = with_proxies(&cluster).await;
    let load = Load::start(&Cluster::url_of(proxies[0].port())).await;
    load.fault_starts();
    proxies[1].set(Network::Blackholed);
    sleep(FAULT_DURATION * 2).await;
    proxies[1].set(Network::Normal);
    load.fault_ends("Cluster: one node silent", Loss::Nothing)
        .await
}

/// A primary is killed, and the cluster promotes its replica.
pub async fn cluster_primary_killed() -> Outcome {
    let mut cluster = block_in_place(Cluster::start);
    let load = Load::start(&cluster.url()).await;
    load.fault_starts();
    block_in_place(|| {
        cluster.kill(0);
        cluster.wait_until_replaced(0);
    });
    load.fault_ends("Cluster: a primary killed", Loss::Unreplicated)
        .await
}

/// A thousand slots migrate from one primary to another, key by key: so many that sessions in use are among them.
pub async fn cluster_slots_migrated() -> Outcome {
    let cluster = block_in_place(Cluster::start);
    let load = Load::start_patient(&cluster.url()).await;
    load.fault_starts();
    block_in_place(|| cluster.move_slots(0, 1, 1000));
    load.fault_ends("Cluster: 1000 slots migrated", Loss::Nothing)
        .await
        .unnoticed()
}
