//! A server in cluster mode behind a URL that is not that of a cluster.

use std::collections::HashMap;
use std::sync::Arc;

use cloakroom_core::store::{Created, Loaded, Updated, UserCreated};
use cloakroom_core::{Realm, Store, StoreErrorKind, UserId, UserKey};
use cloakroom_redis::{ConnectErrorKind, RedisStore, ServerMode, Warning};
use fred::prelude::{Builder, ClientLike as _, Config, ReconnectPolicy};
use tests::log::Log;
use tests::records::{MINUTE, add_request, next, session};
use tests::redis::RedisServer;
use tests::topology::{Cluster, wait_for};
use tokio::task::JoinSet;

/// The text of the log when cluster mode is found out.
const FOUND: &str = "the server is in cluster mode";

/// One shard that has all slots.
fn single_shard() -> RedisServer {
    let options = [
        "--cluster-enabled yes",
        "--cluster-announce-ip 127.0.0.1",
        "--appendonly yes",
    ];
    let options: Vec<_> = options
        .iter()
        .flat_map(|option| option.split(' '))
        .collect();
    let server = RedisServer::start_with(&options);
    server.command(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    wait_for("all slots", || {
        let info = server.command(&["CLUSTER", "INFO"]).text();
        info.contains("cluster_state:ok")
    });
    server
}

/// Creates, loads and updates 20 sessions at once. Returns how many of each failed.
async fn twenty_at_once(store: &RedisStore) -> HashMap<StoreErrorKind, usize> {
    let mut tasks = JoinSet::new();
    let store = Arc::new(store.clone());
    for number in 0..20 {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            let (id, record) = session(number);
            assert_eq!(store.create(id, &record, MINUTE).await?, Created::Created);
            assert_eq!(store.load(id).await?, Loaded::Record(record.clone()));
            let later = next(&record, number + 100);
            let updated = store.update(id, record.revision(), &later, MINUTE).await?;
            assert_eq!(updated, Updated::Updated);
            Ok(())
        });
    }
    let mut failed = HashMap::new();
    while let Some(result) = tasks.join_next().await {
        if let Err(error) = result.expect("no assertion fails") {
            let error: cloakroom_core::StoreError = error;
            *failed.entry(error.kind()).or_default() += 1;
        }
    }
    failed
}

async fn sign_in(store: &RedisStore, number: u64) {
    let (id, record) = session(number);
    let user = UserKey::new(&Realm::new("shop"), &UserId::from("ada"));
    let request = add_request(id, &record);
    let created = store.create_for_user(&user, &request, &record, MINUTE, None);
    let created = created.await.expect("it is possible in two steps");
    assert!(
        matches!(created, UserCreated::Created { .. }),
        "{created:?}"
    );
    let loaded = store.load(id).await.expect("the server responds");
    assert_eq!(loaded, Loaded::Record(record));
}

#[tokio::test]
async fn one_shard_behind_a_plain_url_works_and_is_warned_about() {
    let server = single_shard();
    server.add_user(&[]);
    let log = Log::capture();
    let builder = RedisStore::builder(server.url(), "cloakroom").with_username("shop");
    let store = builder.with_password("password").connect().await.unwrap();
    assert_eq!(log.count(FOUND), 1, "{}", log.text());
    assert_eq!(twenty_at_once(&store).await, HashMap::new());
    sign_in(&store, 1000).await;
    let health = store.health().await.unwrap();
    assert_eq!(health.mode(), ServerMode::Cluster);
    assert_eq!(health.warnings(), [Warning::ClusterMode]);
    assert_eq!(log.count(FOUND), 1, "it is logged once");
}

#[tokio::test]
async fn a_cluster_url_to_one_shard_causes_no_warning() {
    let server = single_shard();
    let log = Log::capture();
    let url = server.url().replace("redis://", "redis-cluster://");
    let store = RedisStore::connect(url, "cloakroom").await.unwrap();
    assert_eq!(twenty_at_once(&store).await, HashMap::new());
    assert_eq!(store.health().await.unwrap().warnings(), []);
    assert_eq!(log.count(FOUND), 0, "{}", log.text());
}

/// Uses a client of the app's: nothing is found out when it connects.
async fn store_of_app(server: &RedisServer) -> (RedisStore, fred::clients::Client) {
    let config = Config::from_url(&server.url()).expect("it is valid");
    let policy = ReconnectPolicy::new_exponential(0, 50, 1_000, 2);
    let client = Builder::from_config(config).set_policy(policy).build();
    let client = client.expect("it is valid");
    client.init().await.expect("the server runs");
    let store = RedisStore::from_client(client.clone(), "cloakroom").expect("it is valid");
    (store, client)
}

#[tokio::test]
async fn the_first_crossslot_is_final_and_the_last() {
    let server = single_shard();
    let log = Log::capture();
    let (store, _client) = store_of_app(&server).await;
    let failed = twenty_at_once(&store).await;
    assert!(!failed.is_empty(), "some commands are merged, and refused");
    let kinds: Vec<_> = failed.keys().collect();
    assert_eq!(kinds, [&StoreErrorKind::Refused], "nothing was executed");
    assert_eq!(log.count(FOUND), 1, "{}", log.text());
    server.command(&["FLUSHALL"]);
    assert_eq!(twenty_at_once(&store).await, HashMap::new());
}

#[tokio::test]
async fn a_sign_in_learns_it_by_itself() {
    let server = single_shard();
    let (store, _client) = store_of_app(&server).await;
    sign_in(&store, 1).await;
    sign_in(&store, 2).await;
}

#[tokio::test]
async fn a_health_check_learns_it() {
    let server = single_shard();
    let (store, _client) = store_of_app(&server).await;
    assert_eq!(
        store.health().await.unwrap().warnings(),
        [Warning::ClusterMode]
    );
    assert_eq!(twenty_at_once(&store).await, HashMap::new());
}

#[tokio::test]
async fn one_of_several_shards_is_refused_when_connecting() {
    let cluster = Cluster::start();
    // The key of the first script may be on this shard, or on another.
    for shard in cluster.primaries() {
        let error = RedisStore::connect(shard.url(), "cloakroom")
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ConnectErrorKind::Configuration, "{error}");
        assert!(error.to_string().contains("`redis-cluster` URL"), "{error}");
    }

    // Without the check at connect, no error says to try again.
    let (store, _client) = store_of_app(&cluster.primaries()[0]).await;
    let failed = twenty_at_once(&store).await;
    let kinds: Vec<_> = failed.keys().collect();
    assert_eq!(kinds, [&StoreErrorKind::Refused]);
}
