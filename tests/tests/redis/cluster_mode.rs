//! A server in cluster mode behind a URL that is not that of a cluster.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use cloakroom_core::store::{Created, Loaded, Updated, UserCreated};
use cloakroom_core::{Realm, Store, StoreErrorKind, UserId, UserKey};
use cloakroom_limit::{By, Fallback, Limits, Rate, RateLimitLayer};
use cloakroom_redis::{AppScript, ConnectErrorKind, RedisStore, ScriptReply, ServerMode, Warning};
use fred::prelude::{Builder, ClientLike as _, Config, ReconnectPolicy};
use futures_util::future::join_all;
use http::Request;
use http::header::HOST;
use tests::generous;
use tests::log::Log;
use tests::records::{MINUTE, add_request, next, session};
use tests::redis::RedisServer;
use tests::topology::{Cluster, wait_for};
use tokio::task::JoinSet;
use tower::ServiceExt as _;

/// The text of the log when cluster mode is found out.
const FOUND: &str = "the server is in cluster mode";

/// One shard that has all slots.
pub(super) fn single_shard() -> RedisServer {
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
    let builder = generous::redis(server.url(), "cloakroom").with_username("shop");
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
    let store = generous::connect(url, "cloakroom").await.unwrap();
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

/// The first commands that are merged are refused together, and each of them is then sent by itself.
#[tokio::test]
async fn the_first_crossslot_fails_no_command_and_is_the_last() {
    let server = single_shard();
    let log = Log::capture();
    let (store, _client) = store_of_app(&server).await;
    assert_eq!(twenty_at_once(&store).await, HashMap::new());
    assert_eq!(log.count(FOUND), 1, "{}", log.text());
    server.command(&["FLUSHALL"]);
    assert_eq!(twenty_at_once(&store).await, HashMap::new());
    assert_eq!(log.count(FOUND), 1, "{}", log.text());
}

/// Each of them may be the first.
#[tokio::test]
async fn updates_loads_and_lists_each_learn_it_by_themselves() {
    let server = single_shard();
    let log = Log::capture();
    let sessions: Vec<_> = (0..100).map(session).collect();
    let (store, _client) = store_of_app(&server).await;
    for (id, record) in &sessions {
        let created = store.create(*id, record, MINUTE).await;
        assert_eq!(created.unwrap(), Created::Created);
    }
    let found = || log.count(FOUND);
    assert_eq!(found(), 0, "one command at a time does not show it");

    let loads = sessions.iter().map(|(id, _)| store.load(*id));
    for (loaded, (_, record)) in join_all(loads).await.into_iter().zip(&sessions) {
        assert_eq!(loaded.unwrap(), Loaded::Record(record.clone()));
    }
    assert_eq!(found(), 1);

    let (store, _client) = store_of_app(&server).await;
    let ids: Vec<_> = sessions.iter().map(|(id, _)| *id).collect();
    let loaded = store.load_many(&ids).await;
    for (loaded, (_, record)) in loaded.into_iter().zip(&sessions) {
        assert_eq!(loaded.unwrap(), Loaded::Record(record.clone()));
    }
    assert_eq!(found(), 2);

    let (store, _client) = store_of_app(&server).await;
    let updates = sessions.iter().map(async |(id, record)| {
        let later = next(record, 200);
        store.update(*id, record.revision(), &later, MINUTE).await
    });
    for updated in join_all(updates).await {
        assert_eq!(updated.unwrap(), Updated::Updated, "nothing was executed");
    }
    assert_eq!(found(), 3);
}

#[tokio::test]
async fn scripts_of_other_crates_learn_it_by_themselves() {
    let server = single_shard();
    let log = Log::capture();
    let (store, _client) = store_of_app(&server).await;
    let scripts = store.app_scripts();
    let script = AppScript::new("return redis.call('INCR', KEYS[1])");
    let run = async |number: usize| {
        let keys = [scripts.key(&format!("number:{number}"))];
        scripts.run(&script, &keys, &[]).await
    };
    for reply in join_all((0..100).map(run)).await {
        let reply = reply.expect("it is sent by itself");
        assert_eq!(reply, ScriptReply::Integer(1), "it is run once");
    }
    assert_eq!(log.count(FOUND), 1, "{}", log.text());
}

#[tokio::test]
async fn limits_with_several_keys_learn_it_by_themselves() {
    let server = single_shard();
    let log = Log::capture();
    let (store, _client) = store_of_app(&server).await;
    let hour = Duration::from_secs(3600);
    let layer = RateLimitLayer::builder(&Limits::new(&store))
        .with_limit(Rate::fixed_window("all", 2, hour), By::everyone())
        .with_limit(Rate::fixed_window("host", 2, hour), By::header(HOST))
        .with_fallback(Fallback::Deny)
        .build()
        .expect("a valid configuration");
    let app = Router::new().route("/", get(|| async {})).layer(layer);
    for expected in [200, 200, 429] {
        let request = Request::get("/").header(HOST, "example.com");
        let request = request.body(Body::empty()).expect("a request");
        let response = app.clone().oneshot(request).await.expect("infallible");
        assert_eq!(response.status(), expected);
    }
    assert_eq!(log.count(FOUND), 1, "{}", log.text());
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
        let error = generous::connect(shard.url(), "cloakroom")
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
