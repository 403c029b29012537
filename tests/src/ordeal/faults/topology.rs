//! Servers that replace each other.

use super::{Loss, Ordeal, Outcome, aside};
use crate::topology::{Cluster, Sentinel, wait_for};

/// The primary is killed, and the sentinels choose another one.
pub async fn sentinel_failover() -> Outcome {
    let mut sentinel = aside(Sentinel::start);
    let load = Ordeal::begin(&sentinel.url()).await;
    let old = sentinel.primary();
    load.strikes();
    aside(|| {
        sentinel.servers_mut()[0].kill();
        wait_for("a new primary", || sentinel.primary() != old);
    });
    load.passes("Sentinel: the primary killed", Loss::Late)
        .await
}

/// The primary hangs, and the sentinels choose another one. Then it thaws.
pub async fn sentinel_failover_frozen() -> Outcome {
    let sentinel = aside(Sentinel::start);
    let load = Ordeal::begin(&sentinel.url()).await;
    let old = sentinel.primary();
    load.strikes();
    aside(|| {
        sentinel.servers()[0].freeze();
        wait_for("a new primary", || sentinel.primary() != old);
        sentinel.servers()[0].thaw();
    });
    load.passes("Sentinel: the primary frozen, then thawed", Loss::Late)
        .await
}

/// A primary is killed, and the cluster makes its replica one, by itself.
pub async fn a_cluster_primary_lost() -> Outcome {
    let mut cluster = aside(Cluster::start);
    let load = Ordeal::begin(&cluster.url()).await;
    load.strikes();
    aside(|| {
        cluster.kill(0);
        cluster.wait_until_replaced(0);
    });
    load.passes("Cluster: a primary killed", Loss::Late).await
}

/// A hundred slots move from one primary to another, key by key.
pub async fn slots_move() -> Outcome {
    let cluster = aside(Cluster::start);
    let load = Ordeal::begin(&cluster.url()).await;
    load.strikes();
    aside(|| cluster.move_slots(0, 1, 100));
    load.passes("Cluster: 100 slots move", Loss::Nothing)
        .await
        .unnoticed()
}
