//! Each command that the store sends, taken away: connecting names it, or the documented part of the store is missing.
//! `docs/servers.md` has the same table.

use std::time::Duration;

use cloakroom_core::bus::EventBus;
use cloakroom_core::store::{Created, Loaded};
use cloakroom_core::{Store, StoreAdmin, StoreErrorKind};
use cloakroom_redis::{ConnectError, ConnectErrorKind, RedisStore, RedisStoreBuilder, Warning};
use tests::generous;
use tests::log::Log;
use tests::proxy::Proxy;
use tests::records::{MINUTE, session};
use tests::redis::RedisServer;
use tests::rewriting::rewriting_proxy;
use tests::topology::{Cluster, Sentinel};
use tests::wait::eventually;

use super::ON_KEYS;
use super::cluster_mode::single_shard;

/// Without one of these, connecting fails.
fn required() -> impl Iterator<Item = &'static str> + Clone {
    ON_KEYS.into_iter().chain(["time"])
}

fn shop(server: &RedisServer) -> RedisStoreBuilder {
    shop_at(server.url())
}

fn shop_at(url: String) -> RedisStoreBuilder {
    let builder = generous::redis(url, "cloakroom").with_username("shop");
    builder.with_password("password")
}

/// A server whose user has the documented rights, without these.
fn server_without(rights: &[&str]) -> RedisServer {
    let server = RedisServer::start();
    server.add_user(rights);
    server
}

async fn error_of(builder: RedisStoreBuilder, kind: ConnectErrorKind) -> String {
    let error: ConnectError = builder.connect().await.expect_err("it is not usable");
    assert_eq!(error.kind(), kind, "{error}");
    error.to_string()
}

async fn keeps_sessions(store: &RedisStore) {
    let (id, record) = session(1);
    let created = store.create(id, &record, MINUTE).await;
    assert_eq!(created.expect("it may"), Created::Created);
    let loaded = store.load(id).await.expect("it may");
    assert_eq!(loaded, Loaded::Record(record));
}

#[tokio::test]
async fn connecting_names_each_right_that_sessions_need() {
    let server = server_without(&[]);
    for name in required() {
        server.command(&["ACL", "SETUSER", "shop", &format!("-{name}")]);
        let text = error_of(shop(&server), ConnectErrorKind::Refused).await;
        let named = text.contains(&format!("may not send {name} on the store's keys"));
        assert!(named || name == "eval" && text.contains("`EVAL`"), "{text}");
        server.command(&["ACL", "SETUSER", "shop", &format!("+{name}")]);
    }
    shop(&server).connect().await.expect("nothing is missing");
}

/// Whichever primary it is, and in the same way if several lack it.
#[tokio::test]
async fn connecting_to_a_cluster_checks_every_primary() {
    let cluster = Cluster::start();
    for node in cluster.nodes() {
        node.add_user(&["+cluster|slots", "+cluster|info"]);
    }
    let builder = || shop_at(cluster.url());
    let set = |node: &RedisServer, right: &str| {
        node.command(&["ACL", "SETUSER", "shop", right]);
    };
    let refused = async || error_of(builder(), ConnectErrorKind::Refused).await;
    for node in cluster.primaries() {
        set(node, "-zadd");
        let text = refused().await;
        assert!(text.contains("may not send zadd on"), "{text}");
        set(node, "+zadd");
        set(node, "-eval");
        let text = refused().await;
        assert!(text.to_lowercase().contains("eval"), "{text}");
        set(node, "+eval");
        set(node, "-publish");
        let log = Log::capture();
        builder().connect().await.expect("sessions can be kept");
        let expected = "publish (for events)";
        assert_eq!(log.count(expected), 1, "{}", log.text());
        set(node, "+publish");
    }
    for node in cluster.primaries() {
        set(node, "-zrank");
    }
    let text = refused().await;
    assert!(text.contains("may not send zrank on"), "{text}");
}

#[tokio::test]
async fn connecting_names_each_command_that_the_server_does_not_have() {
    let removed = required().filter(|&name| name != "eval");
    let options = removed
        .clone()
        .flat_map(|name| ["--rename-command", name, ""]);
    let server = RedisServer::start_with(&options.collect::<Vec<_>>());
    let builder = generous::redis(server.url(), "cloakroom");
    let text = error_of(builder, ConnectErrorKind::Unsupported).await;
    let (_, names) = text.split_once("does not have ").expect("it says so");
    let (names, _) = names
        .split_once(", which the store needs")
        .expect("and why");
    let names: Vec<_> = names.split(", ").collect();
    let in_order: Vec<_> = removed.collect();
    assert_eq!(names, in_order);
}

/// The names in the log, in the health check, and what needs them.
#[tokio::test]
async fn a_right_that_sessions_do_without_is_logged_with_what_needs_it() {
    let server = server_without(&[]);
    for (name, purpose) in [
        ("scan", "`revoke_everyone`"),
        ("publish", "events"),
        ("subscribe", "events"),
        ("ping", "`RedisStore::ping`"),
        ("client|id", "events"),
    ] {
        server.command(&["ACL", "SETUSER", "shop", &format!("-{name}")]);
        let log = Log::capture();
        let store = shop(&server).connect().await.unwrap();
        let expected = format!("{name} (for {purpose})");
        assert!(log.text().contains(&expected), "{}", log.text());
        keeps_sessions(&store).await;
        let health = store.health().await.unwrap();
        let warning = Warning::MissingRights(vec![name.to_owned()]);
        assert!(health.warnings().contains(&warning), "{health:?}");
        server.command(&["FLUSHALL"]);
        server.command(&["ACL", "SETUSER", "shop", &format!("+{name}")]);
    }
}

#[tokio::test]
async fn what_needs_a_missing_right_is_refused() {
    let server = server_without(&["-scan", "-ping", "-info", "-getex"]);
    let log = Log::capture();
    let store = shop(&server).connect().await.unwrap();
    let logged = "info (for `RedisStore::health` and the near cache)";
    assert!(log.text().contains(logged), "{}", log.text());
    keeps_sessions(&store).await;
    let refused = Some(StoreErrorKind::Refused);
    let admin = store.admin().expect("it has one");
    let scanned = admin.scan_ids(None).await;
    assert_eq!(scanned.err().map(|error| error.kind()), refused);
    assert_eq!(store.ping().await.err().map(|error| error.kind()), refused);
    let health = store.health().await;
    assert_eq!(health.err().map(|error| error.kind()), refused);
    let raw = store.raw_keys();
    let read = raw.get_and_expire("cloakroom:legacy", MINUTE).await;
    assert_eq!(read.err().map(|error| error.kind()), refused);
}

#[tokio::test]
async fn an_option_that_needs_a_further_right_is_named() {
    let server = server_without(&[]);
    let builder = shop(&server).with_replica_acks(1, Duration::from_millis(10));
    let text = error_of(builder, ConnectErrorKind::Refused).await;
    assert!(text.contains("wait (for `with_replica_acks`)"), "{text}");
    let renamed = RedisServer::start_with(&["--rename-command", "WAIT", ""]);
    let builder = generous::redis(renamed.url(), "cloakroom");
    let builder = builder.with_replica_acks(1, Duration::from_millis(10));
    let text = error_of(builder, ConnectErrorKind::Unsupported).await;
    assert!(text.contains("wait (for `with_replica_acks`)"), "{text}");
}

/// Events need `HELLO`, `SUBSCRIBE` and `CLIENT ID`. Without them the log says so once, and not at every attempt.
#[tokio::test]
async fn events_that_cannot_be_received_are_logged_once() {
    let without_hello = RedisServer::start_with(&["--rename-command", "HELLO", ""]);
    without_hello.add_user(&[]);
    let without_id = server_without(&["-client|id"]);
    let without_subscribe = server_without(&["-subscribe"]);
    for (server, name) in [
        (without_hello, "hello"),
        (without_id, "client|id"),
        (without_subscribe, "subscribe"),
    ] {
        let log = Log::capture();
        let store = shop(&server).connect().await.unwrap();
        let logged = format!("{name} (for events");
        assert!(log.text().contains(&logged), "{}", log.text());
        let _events = store.bus().expect("it has one").subscribe();
        let failed = "cannot subscribe to session events";
        eventually("it is logged", || log.count(failed) > 0).await;
        let rejected = || server.command(&["INFO", "errorstats"]).text();
        let before = rejected();
        eventually("the next attempt", || rejected() != before).await;
        assert_eq!(log.count(failed), 1, "{}", log.text());
        keeps_sessions(&store).await;
    }
}

/// The attempts go on, on the same connection.
#[tokio::test]
async fn a_missing_right_to_events_does_not_cause_further_connections() {
    let server = server_without(&["-client|id"]);
    let proxy = Proxy::start(server.port()).await;
    let store = shop_at(proxy.url()).connect().await.unwrap();
    let log = Log::capture();
    let _events = store.bus().expect("it has one").subscribe();
    eventually("it fails", || log.count("cannot subscribe") > 0).await;
    let connections = proxy.accepted();
    let rejected = || server.command(&["INFO", "errorstats"]).text();
    for _ in 0..2 {
        let before = rejected();
        eventually("the next attempt", || rejected() != before).await;
    }
    assert_eq!(proxy.accepted(), connections);
}

/// fred sends `SELECT` while it connects, so that without the right there is never a connection.
#[tokio::test]
async fn a_database_that_may_not_be_selected_is_reported() {
    let server = server_without(&["-select"]);
    let builder = || shop_at(server.url() + "/1");
    let text = error_of(builder(), ConnectErrorKind::Refused).await;
    assert!(text.contains("'select'"), "{text}");
    let log = Log::capture();
    let store = builder().connect_lazy().expect("it is valid");
    eventually("it is logged", || log.count("'select'") > 0).await;
    assert_eq!(log.count("Redis rejects the connection"), 1);
    let (id, _) = session(1);
    let error = store.load(id).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Refused);
    server.command(&["ACL", "SETUSER", "shop", "+select"]);
    tests::wait::within("it is accepted", MINUTE, async || {
        store.load(id).await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn a_server_without_authentication_is_reported() {
    let server = RedisServer::start_with(&["--rename-command", "AUTH", ""]);
    let text = error_of(shop(&server), ConnectErrorKind::Unsupported).await;
    assert!(text.contains("'AUTH'"), "{text}");
}

#[tokio::test]
async fn a_cluster_whose_slots_may_not_be_read_is_reported() {
    let server = single_shard();
    let url = server.url().replace("redis://", "redis-cluster://");
    for (rights, missing) in [
        (["+cluster|slots", "-cluster|info"], "'cluster|info'"),
        (["-cluster|slots", "+cluster|info"], "'cluster|slots'"),
    ] {
        server.add_user(&rights);
        let text = error_of(shop_at(url.clone()), ConnectErrorKind::Refused).await;
        assert!(text.contains(missing), "{text}");
    }
}

/// It is not taken for a server with TLS.
#[tokio::test]
async fn a_cluster_that_is_down_is_reported() {
    let server = RedisServer::start_with(&["--cluster-enabled", "yes"]);
    server.command(&["CLUSTER", "ADDSLOTSRANGE", "0", "100"]);
    let url = server.url().replace("redis://", "redis-cluster://");
    let builder = generous::redis(url, "cloakroom");
    let text = error_of(builder, ConnectErrorKind::Unreachable).await;
    assert!(text.contains("not all slots have a node"), "{text}");
}

#[tokio::test]
async fn a_primary_behind_sentinels_that_does_not_tell_its_role_is_reported() {
    let sentinel = Sentinel::start();
    for server in sentinel.servers() {
        server.add_user(&[]);
    }
    let text = error_of(shop_at(sentinel.url()), ConnectErrorKind::Refused).await;
    assert!(text.contains("'role'"), "{text}");
}

/// Before Redis 7.0, and in other servers, scripts have no `redis.acl_check_cmd`.
#[tokio::test]
async fn commands_are_checked_on_servers_whose_scripts_cannot_ask_for_rights() {
    let older = &[("acl_check_cmd", "acl_not_there")];
    let server = RedisServer::start_with(&["--rename-command", "ZRANDMEMBER", ""]);
    server.add_user(&[]);
    let url = rewriting_proxy(&server, older);
    let text = error_of(shop_at(url), ConnectErrorKind::Unsupported).await;
    assert!(text.contains("does not have zrandmember, which"), "{text}");

    let server = server_without(&["-pexpire", "-scan"]);
    let url = rewriting_proxy(&server, older);
    let log = Log::capture();
    let text = error_of(shop_at(url.clone()), ConnectErrorKind::Refused).await;
    assert!(text.contains("may not send pexpire on"), "{text}");
    assert!(log.text().contains("scan (for"), "{}", log.text());

    server.command(&["ACL", "SETUSER", "shop", "+pexpire", "+scan"]);
    let store = shop_at(url).connect().await.expect("nothing is missing");
    assert!(server.keys().is_empty(), "the check has changed nothing");
    keeps_sessions(&store).await;
    let warnings = store.health().await.unwrap().warnings().to_vec();
    assert_eq!(warnings, [Warning::NotPersisted]);
}

#[tokio::test]
async fn a_server_without_the_library_of_merged_scripts_is_reported() {
    let server = RedisServer::start();
    let url = rewriting_proxy(&server, &[("cmsgpack", "cmsgpakk")]);
    let text = error_of(
        generous::redis(url, "cloakroom"),
        ConnectErrorKind::Unsupported,
    )
    .await;
    // The reply is rewritten as well.
    assert!(text.contains("does not have cmsgpakk, which"), "{text}");
}

/// As from a proxy that does not forward scripts.
#[tokio::test]
async fn an_unknown_error_to_the_first_script_is_reported() {
    let server = RedisServer::start_with(&["--rename-command", "EVAL", ""]);
    let url = rewriting_proxy(&server, &[("ERR unknown command", "ERR not forwarded..")]);
    let text = error_of(
        generous::redis(url, "cloakroom"),
        ConnectErrorKind::Unreachable,
    )
    .await;
    assert!(
        text.contains("`EVAL`") && text.contains("not forwarded"),
        "{text}"
    );
}
