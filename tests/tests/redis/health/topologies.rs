//! Health checks of replicas, a cluster and sentinels.

use std::time::{Duration, Instant};

use cloakroom_core::StoreErrorKind;
use cloakroom_redis::{RedisStore, Role, ServerMode, Warning};
use tests::topology::{Cluster, Replicated, Sentinel};
use tests::wait::eventually;

use super::{BOUND, check, info, set, store, wait_until_healthy};

#[tokio::test]
async fn connecting_to_a_replica_is_a_warning_and_a_primary_counts_its_replicas() {
    let servers = Replicated::start(2);
    let health = check(&store(&servers.replicas()[0]).await).await;
    assert_eq!(health.role(), Role::Replica);
    assert!(health.warnings().contains(&Warning::Replica));
    let health = check(&store(servers.primary()).await).await;
    assert_eq!(
        (health.role(), health.connected_replicas()),
        (Role::Primary, 2)
    );
    // The snapshot for replication is not one that it could restart from.
    assert_eq!(health.warnings(), [Warning::NotPersisted]);
}

#[tokio::test]
async fn the_health_of_a_cluster_is_that_of_its_worst_primary() {
    let cluster = Cluster::start();
    for node in cluster.nodes() {
        node.add_user(&["+cluster|slots", "+cluster|info"]);
        set(node, "appendonly", "yes");
    }
    let builder = RedisStore::builder(cluster.url(), "cloakroom").with_username("shop");
    let store = builder.with_password("password").connect().await.unwrap();
    let health = check(&store).await;
    assert_eq!(health.mode(), ServerMode::Cluster);
    assert_eq!(health.warnings(), []);
    for primary in cluster.primaries() {
        set(primary, "appendonly", "no");
        eventually("no file", || info(primary, "aof_enabled") == "0").await;
        let saved = info(primary, "rdb_saves") != "0";
        set(primary, "maxmemory", "50mb");
        set(primary, "maxmemory-policy", "volatile-lru");
        let health = check(&store).await;
        assert!(!health.is_aof_on());
        assert_eq!(health.memory_limit(), Some(50 << 20));
        let mut expected = vec![Warning::EvictsSessions("volatile-lru".to_owned())];
        if !saved {
            expected.push(Warning::NotPersisted);
        }
        assert_eq!(health.warnings(), expected);
        set(primary, "maxmemory", "0");
        set(primary, "appendonly", "yes");
    }
    cluster.primaries()[2].freeze();
    let began = Instant::now();
    let error = store.health().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert!(began.elapsed() < BOUND, "it took {:?}", began.elapsed());
}

#[tokio::test]
async fn a_cluster_with_a_missing_primary_is_unavailable() {
    let mut cluster = Cluster::start();
    let store = RedisStore::connect(cluster.url(), "cloakroom")
        .await
        .unwrap();
    check(&store).await;
    cluster.kill(2);
    let began = Instant::now();
    let error = store.health().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert!(began.elapsed() < BOUND, "it took {:?}", began.elapsed());
    // Also when the primary is known to be lost, and before its replica takes over.
    for _ in 0..5 {
        let health = store.health().await;
        assert!(health.is_err(), "slots are missing: {health:?}");
    }
    cluster.wait_until_replaced(2);
    wait_until_healthy(&store).await;
}

#[tokio::test]
async fn with_sentinels_the_primary_is_checked() {
    let mut sentinel = Sentinel::start();
    for server in sentinel.servers() {
        server.add_user(&["+role"]);
        set(server, "appendonly", "yes");
    }
    let builder = RedisStore::builder(sentinel.url(), "cloakroom").with_username("shop");
    let store = builder.with_password("password").connect().await.unwrap();
    wait_until_healthy(&store).await;
    let health = check(&store).await;
    assert_eq!(health.mode(), ServerMode::Standalone);
    assert_eq!(health.role(), Role::Primary);
    assert_eq!(health.connected_replicas(), 2);
    assert_eq!(health.warnings(), []);

    // After a failover, the warnings are those of the new primary.
    for server in &sentinel.servers()[1..] {
        set(server, "maxmemory", "50mb");
        set(server, "maxmemory-policy", "allkeys-lru");
    }
    assert_eq!(check(&store).await.warnings(), []);
    let old = sentinel.primary();
    sentinel.servers_mut()[0].kill();
    assert!(store.health().await.is_err());
    eventually("a successor", || sentinel.primary() != old).await;
    wait_until_healthy(&store).await;
    let health = check(&store).await;
    assert_eq!(health.role(), Role::Primary);
    let expected = [Warning::EvictsSessions("allkeys-lru".to_owned())];
    assert_eq!(health.warnings(), expected);
}

#[tokio::test]
async fn waiting_for_replicas_without_the_right_is_a_warning() {
    let servers = Replicated::start(1);
    let primary = servers.primary();
    set(primary, "appendonly", "yes");
    primary.add_user(&[]);
    let builder = RedisStore::builder(primary.url(), "cloakroom").with_username("shop");
    let builder = builder.with_password("password");
    let builder = builder.with_replica_acks(1, Duration::from_millis(100));
    // Connecting in the foreground would be an error.
    let store = builder.connect_lazy().unwrap();
    wait_until_healthy(&store).await;
    let expected = [Warning::MissingRights(vec!["wait".to_owned()])];
    assert_eq!(check(&store).await.warnings(), expected);
    primary.command(&["ACL", "SETUSER", "shop", "+wait"]);
    assert_eq!(check(&store).await.warnings(), []);
}
