//! The health check of real servers: each warning is provoked.

mod persistence;
mod topologies;

use std::time::{Duration, Instant};

use cloakroom_core::{Store, StoreErrorKind};
use cloakroom_redis::{Health, RedisStore, Role, ServerKind, ServerMode, Warning};
use tests::generous;
use tests::records::{MINUTE, session};
use tests::redis::RedisServer;
use tests::rewriting::rewriting_proxy;
use tests::wait::{eventually, within};

use super::ON_KEYS;

/// The timeout of a command, with slack for a busy machine.
const BOUND: Duration = Duration::from_millis(250 + 1000);

/// Options of a server without warnings.
const HEALTHY: [&str; 2] = ["--appendonly", "yes"];

async fn store(server: &RedisServer) -> RedisStore {
    let store = generous::connect(server.url(), "cloakroom").await;
    store.expect("the server is running")
}

/// The store of a user with the documented rights only.
async fn least_privileged(server: &RedisServer) -> RedisStore {
    let builder = generous::redis(server.url(), "cloakroom").with_username("shop");
    let store = builder.with_password("password").connect().await;
    store.expect("the server is running")
}

async fn check(store: &RedisStore) -> Health {
    store.health().await.expect("the server responds")
}

/// Waits until the check succeeds on a primary.
async fn wait_until_healthy(store: &RedisStore) {
    within(
        "it is healthy",
        BOUND * 40,
        async || matches!(store.health().await, Ok(health) if health.role() == Role::Primary),
    )
    .await;
}

async fn warnings(server: &RedisServer) -> Vec<Warning> {
    check(&store(server).await).await.warnings().to_vec()
}

fn set(server: &RedisServer, name: &str, value: &str) {
    let reply = server.command(&["CONFIG", "SET", name, value]);
    assert_eq!(reply.text(), "OK", "{name} {value}");
}

fn info(server: &RedisServer, name: &str) -> String {
    let text = server.command(&["INFO"]).text();
    let value = text
        .lines()
        .find_map(|l| l.strip_prefix(name)?.strip_prefix(':'));
    value.unwrap_or_default().trim().to_owned()
}

#[tokio::test]
async fn a_healthy_server_has_no_warnings() {
    let server = RedisServer::start_with(&HEALTHY);
    server.add_user(&[]);
    set(&server, "maxmemory", "50mb");
    let store = least_privileged(&server).await;
    let (id, record) = session(1);
    store
        .create(id, &record, Duration::from_millis(1))
        .await
        .unwrap();
    eventually("its end", || {
        server
            .command(&["EXISTS", &format!("cloakroom:{id}")])
            .number()
            == 0
    })
    .await;
    let began = Instant::now();
    let health = check(&store).await;
    assert!(!health.latency().is_zero() && health.latency() < began.elapsed());
    assert_eq!(health.warnings(), []);
    let valkey = info(&server, "valkey_version");
    let (kind, version) = match &*valkey {
        "" => (ServerKind::Redis, info(&server, "redis_version")),
        version => (ServerKind::Valkey, version.to_owned()),
    };
    assert_eq!((health.server(), health.version()), (kind, &*version));
    assert_eq!(health.mode(), ServerMode::Standalone);
    assert_eq!(health.role(), Role::Primary);
    assert_eq!(health.memory_limit(), Some(50 << 20));
    assert_eq!(health.eviction_policy(), "noeviction");
    assert!(health.memory_used() > 100_000 && health.memory_used() <= health.memory_peak());
    assert_eq!((health.expired_keys(), health.evicted_keys()), (1, 0));
    assert_eq!(health.connected_replicas(), 0);
    assert!(health.is_aof_on() && health.is_last_aof_write_ok());
    assert!(!health.has_saved() && health.is_last_save_ok());

    server.command(&["SAVE"]);
    eventually("the snapshot", || info(&server, "rdb_saves") == "1").await;
    assert!(check(&store).await.has_saved());
}

#[tokio::test]
async fn a_health_check_touches_no_key() {
    let server = RedisServer::start_with(&HEALTHY);
    server.add_user(&[]);
    let store = least_privileged(&server).await;
    server.command(&["CONFIG", "RESETSTAT"]);
    let monitor = server.monitor();
    check(&store).await;
    let commands = monitor.commands();
    let names: Vec<_> = commands.iter().map(|words| words[0].as_str()).collect();
    assert_eq!(names, ["INFO", "EVAL"]);
    assert!(server.keys_with_ttl().is_empty());
    let touched = ["keyspace_hits", "keyspace_misses"].map(|name| info(&server, name));
    assert_eq!(touched, ["0", "0"]);
}

#[tokio::test]
async fn an_evicting_policy_is_a_warning_if_memory_is_limited() {
    let server = RedisServer::start_with(&HEALTHY);
    let policies = [
        "allkeys-lru",
        "allkeys-lfu",
        "allkeys-random",
        "volatile-lru",
        "volatile-lfu",
        "volatile-random",
        "volatile-ttl",
    ];
    for policy in policies {
        set(&server, "maxmemory-policy", policy);
        set(&server, "maxmemory", "0");
        assert_eq!(warnings(&server).await, []);
        set(&server, "maxmemory", "50mb");
        let expected = [Warning::EvictsSessions(policy.to_owned())];
        assert_eq!(warnings(&server).await, expected);
    }
    set(&server, "maxmemory-policy", "noeviction");
    assert_eq!(warnings(&server).await, []);

    // Such a policy really evicts a session with a TTL of a minute.
    set(&server, "maxmemory-policy", "volatile-ttl");
    let store = store(&server).await;
    let (id, record) = session(1);
    store.create(id, &record, MINUTE).await.unwrap();
    set(&server, "maxmemory", "1");
    eventually("the loss", || info(&server, "evicted_keys") == "1").await;
    assert_eq!(check(&store).await.evicted_keys(), 1);
    assert!(server.keys_with_ttl().is_empty());
}

#[tokio::test]
async fn every_missing_right_is_a_warning() {
    let server = RedisServer::start_with(&HEALTHY);
    server.add_user(&[]);
    let store = least_privileged(&server).await;
    let missing = |commands: &[&str]| {
        let commands = commands.iter().map(|&name| name.to_owned()).collect();
        [Warning::MissingRights(commands)]
    };
    let others = ["scan", "time", "publish", "subscribe", "ping"];
    for name in ON_KEYS.into_iter().chain(others) {
        server.command(&["ACL", "SETUSER", "shop", &format!("-{name}")]);
        assert_eq!(check(&store).await.warnings(), missing(&[name]));
        server.command(&["ACL", "SETUSER", "shop", &format!("+{name}")]);
        assert_eq!(check(&store).await.warnings(), []);
    }
    server.command(&["ACL", "SETUSER", "shop", "-client|id"]);
    assert_eq!(check(&store).await.warnings(), missing(&["client|id"]));
    server.command(&["ACL", "SETUSER", "shop", "+client|id"]);

    // Rights for another prefix: the commands are allowed, but not on these keys.
    server.command(&["ACL", "SETUSER", "shop", "resetkeys", "~other:*"]);
    let health = check(&store).await;
    assert_eq!(health.warnings(), missing(&ON_KEYS));
    assert!(health.warnings()[0].to_string().contains("get, mget, set"));
    server.command(&["ACL", "SETUSER", "shop", "~cloakroom:*", "resetchannels"]);
    let health = check(&store).await;
    assert_eq!(health.warnings(), missing(&["publish", "subscribe"]));

    server.command(&["ACL", "SETUSER", "shop", "-info"]);
    let refused = store.health().await.unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::Refused);
}

#[tokio::test]
async fn a_check_of_a_frozen_or_killed_server_fails_in_time() {
    let mut server = RedisServer::start_with(&HEALTHY);
    let store = RedisStore::connect(server.url(), "cloakroom").await;
    let store = store.expect("the server is running");
    wait_until_healthy(&store).await;
    let fails_in_time = async || {
        let began = Instant::now();
        let error = store.health().await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        assert!(began.elapsed() < BOUND, "it took {:?}", began.elapsed());
    };
    server.freeze();
    for _ in 0..4 {
        fails_in_time().await;
    }
    server.thaw();
    wait_until_healthy(&store).await;
    server.kill();
    fails_in_time().await;
    server.restart();
    wait_until_healthy(&store).await;
}

#[tokio::test]
async fn an_outdated_server_is_a_warning() {
    let server = RedisServer::start_with(&HEALTHY);
    let old = rewriting_proxy(
        &server,
        &[
            ("redis_version:7", "redis_version:6"),
            ("redis_version:8", "redis_version:6"),
            ("server_name:valkey", "server_name:eldest"),
        ],
    );
    let health = check(
        &RedisStore::connect(old, "cloakroom")
            .await
            .expect("it is there"),
    )
    .await;
    let version = format!("6{}", &info(&server, "redis_version")[1..]);
    assert_eq!(health.warnings(), [Warning::OldServer(version)]);
}

#[tokio::test]
async fn a_malformed_reply_is_an_error() {
    let server = RedisServer::start_with(&HEALTHY);
    let odd = rewriting_proxy(&server, &[("role:master", "role_master")]);
    let store = RedisStore::connect(odd, "cloakroom").await.unwrap();
    let error = store.health().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
}

#[tokio::test]
async fn the_displayed_url_has_no_credentials() {
    let server = RedisServer::start();
    server.add_user(&[]);
    let plain = server.url();
    let url = plain.replace("redis://", "redis://shop:password@");
    let store = RedisStore::connect(&url, "cloakroom").await.unwrap();
    assert_eq!(store.redacted_url(), plain);
}
