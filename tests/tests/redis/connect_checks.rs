//! What is found out when a store connects: servers and users without the commands that it needs.

use std::time::Duration;

use cloakroom_core::{Store, StoreErrorKind};
use cloakroom_redis::{ConnectErrorKind, RedisStore, RedisStoreBuilder, Warning};
use tests::log::Log;
use tests::records::{MINUTE, session};
use tests::redis::RedisServer;
use tests::wait::within;

/// How long a test waits for what happens in the background.
const PATIENCE: Duration = Duration::from_secs(20);

fn shop(server: &RedisServer) -> RedisStoreBuilder {
    let builder = RedisStore::builder(server.url(), "cloakroom").with_username("shop");
    builder.with_password("password")
}

#[tokio::test]
async fn a_server_without_a_command_is_reported() {
    for (name, to, expected) in [
        ("EVAL", "", "does not have the command `EVAL`"),
        ("EVALSHA", "", "does not have evalsha"),
        ("SET", "SET2", "does not have set,"),
        ("ZADD", "", "does not have zadd"),
    ] {
        let server = RedisServer::start_with(&["--rename-command", name, to]);
        let error = RedisStore::connect(server.url(), "cloakroom")
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ConnectErrorKind::Unsupported, "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_user_without_a_right_is_reported() {
    let server = RedisServer::start();
    server.add_user(&[]);
    for (missing, expected) in [
        ("-eval", "`EVAL`"),
        ("-evalsha", "evalsha"),
        ("-mget", "mget"),
        ("-zadd", "zadd"),
    ] {
        server.command(&["ACL", "SETUSER", "shop", missing]);
        let error = shop(&server).connect().await.unwrap_err();
        assert_eq!(error.kind(), ConnectErrorKind::Refused, "{error}");
        let text = error.to_string();
        assert!(
            text.contains("may not send") && text.contains(expected),
            "{text}"
        );
        let back = missing.replace('-', "+");
        server.command(&["ACL", "SETUSER", "shop", &back]);
    }
    shop(&server).connect().await.expect("nothing is missing");
    // Waiting for replicas needs one more right.
    let waiting = shop(&server).with_replica_acks(1, Duration::from_millis(10));
    let error = waiting.connect().await.unwrap_err();
    assert!(error.to_string().contains("wait"), "{error}");
    // Rights for another app's keys.
    server.command(&["ACL", "SETUSER", "shop", "resetkeys", "~other:*"]);
    let error = shop(&server).connect().await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Refused, "{error}");
}

#[tokio::test]
async fn a_right_that_sessions_do_without_is_a_warning() {
    let server = RedisServer::start_with(&["--rename-command", "SCAN", ""]);
    server.add_user(&["-publish"]);
    let log = Log::capture();
    let store = shop(&server).connect().await.unwrap();
    let text = log.text();
    assert!(text.contains("publish") && text.contains("scan"), "{text}");
    let (id, record) = session(1);
    store.create(id, &record, MINUTE).await.unwrap();
    let warnings = store.health().await.unwrap().warnings().to_vec();
    let names = |name: &str| vec![name.to_owned()];
    assert!(warnings.contains(&Warning::MissingRights(names("publish"))));
    assert!(warnings.contains(&Warning::Unsupported(names("scan"))));
}

#[tokio::test]
async fn connecting_in_the_background_logs_what_is_missing() {
    let server = RedisServer::start_with(&["--rename-command", "EVALSHA", ""]);
    let log = Log::capture();
    let store = RedisStore::builder(server.url(), "cloakroom").connect_lazy();
    let _store = store.expect("it is valid");
    within("the log", PATIENCE, async || {
        log.count("does not have evalsha") > 0
    })
    .await;
}

#[tokio::test]
async fn wrong_credentials_are_refused_and_not_unavailable() {
    let server = RedisServer::start_with_password("right");
    let log = Log::capture();
    let builder = RedisStore::builder(server.url(), "cloakroom").with_password("wrong");
    let store = builder.connect_lazy().expect("it is valid");
    let kind = async || store.ping().await.err().map(|error| error.kind());
    within("refused", PATIENCE, async || {
        kind().await == Some(StoreErrorKind::Refused)
    })
    .await;
    let (id, record) = session(1);
    let error = store.create(id, &record, MINUTE).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Refused);
    assert_eq!(log.count("rejects the user name or the password"), 1);
    // Once the server accepts them, the store works.
    server.command(&["CONFIG", "SET", "requirepass", "wrong"]);
    within("accepted", PATIENCE, async || kind().await.is_none()).await;
}

#[tokio::test]
async fn a_replica_is_warned_about() {
    let primary = RedisServer::start();
    let replica = RedisServer::start();
    let port = primary.port().to_string();
    replica.command(&["REPLICAOF", "127.0.0.1", &port]);
    let log = Log::capture();
    let _store = RedisStore::connect(replica.url(), "cloakroom").await;
    assert_eq!(log.count("the server is a replica"), 1, "{}", log.text());
}

#[cfg(unix)]
#[tokio::test]
async fn the_database_of_a_socket_is_chosen_in_its_url() {
    let server = RedisServer::start_with(&["--unixsocket", "redis.sock"]);
    let socket = server.folder().join("redis.sock");
    let url = format!("redis+unix://{}?db=2", socket.display());
    let store = RedisStore::connect(&url, "cloakroom").await.unwrap();
    assert_eq!(store.redacted_url(), url);
    let (id, record) = session(1);
    store.create(id, &record, MINUTE).await.unwrap();
    assert!(server.keys().is_empty(), "not in database 0");
    let databases = server.command(&["INFO", "keyspace"]).text();
    assert!(databases.contains("db2:keys=1"), "{databases}");
}
