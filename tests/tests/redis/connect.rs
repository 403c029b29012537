//! Authentication at Redis, and the errors when it fails.

use std::time::{Duration, Instant};

use cloakroom_core::store::{Ended, Loaded, Touched};
use cloakroom_core::{Store, StoreErrorKind};
use cloakroom_redis::{ConnectError, ConnectErrorKind, RedisStore};
use tests::records::{MINUTE, next, revision, session, tombstone};
use tests::redis::RedisServer;
use tests::wait::within;

async fn refused(url: &str) -> (ConnectError, Duration) {
    let began = Instant::now();
    let error = RedisStore::connect(url, "cloakroom")
        .await
        .expect_err("the connection is refused");
    (error, began.elapsed())
}

#[tokio::test]
async fn an_unreachable_server_is_reported_in_time_and_without_the_password() {
    let mut server = RedisServer::start();
    let url = format!("redis://me:hunter2@127.0.0.1:{}/1", server.port());
    let (error, _) = refused(&url).await;
    assert_eq!(error.kind(), ConnectErrorKind::Refused, "{error}");
    server.freeze();
    let (error, took) = refused(&url).await;
    assert_eq!(error.kind(), ConnectErrorKind::Unreachable);
    assert!(took < Duration::from_millis(2_500), "{took:?}");
    server.thaw();
    server.kill();
    let (error_without, took) = refused(&url).await;
    assert_eq!(
        error_without.to_string(),
        format!(
            "cannot connect to Redis at redis://127.0.0.1:{}/1: connection refused",
            server.port()
        )
    );
    assert!(took < Duration::from_secs(1), "{took:?}");
    for error in [error, error_without] {
        let text = format!("{error} {error:?}");
        assert!(!text.contains("hunter2") && !text.contains("me:"), "{text}");
    }
}

#[tokio::test]
async fn a_wrong_password_is_refused_and_special_characters_work() {
    let password = "p@ss:w/o#r?d% ä";
    let server = RedisServer::start_with_password(password);
    let builder = || RedisStore::builder(server.url(), "cloakroom");
    let right = builder().with_password(password).connect().await.unwrap();
    right.ping().await.unwrap();
    let text = format!("{right:?}");
    assert!(
        !text.contains(password) && text.contains(&server.url()),
        "{text}"
    );

    let url = format!(
        "redis://:p%40ss%3Aw%2Fo%23r%3Fd%25%20%C3%A4@127.0.0.1:{}",
        server.port()
    );
    RedisStore::connect(url, "cloakroom")
        .await
        .unwrap()
        .ping()
        .await
        .unwrap();

    let wrong = builder()
        .with_password("hunter2")
        .connect()
        .await
        .unwrap_err();
    assert_eq!(wrong.kind(), ConnectErrorKind::Refused);
    assert!(!format!("{wrong} {wrong:?}").contains("hunter2"));
    let none = builder().connect().await.unwrap_err();
    assert_eq!(none.kind(), ConnectErrorKind::Refused);
    assert!(none.to_string().contains("requires a password"), "{none}");
}

#[tokio::test]
async fn missing_rights_are_reported_as_refused() {
    let server = RedisServer::start();
    let user = [
        "ACL",
        "SETUSER",
        "reader",
        "on",
        ">pw",
        "~cloakroom:*",
        "+get",
        "+mget",
        "+ping",
    ];
    server.command(&user);
    let builder = RedisStore::builder(server.url(), "cloakroom").with_username("reader");
    // Connecting in the foreground would be an error.
    let store = builder.with_password("pw").connect_lazy().unwrap();
    recovers(&store).await;
    let (id, record) = session(1);
    assert_eq!(store.load(id).await.unwrap(), Loaded::Nothing);
    let error = store.create(id, &record, MINUTE).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Refused);
    let error = store
        .update(id, revision(), &record, MINUTE)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Refused);
}

#[tokio::test]
async fn the_documented_rights_suffice() {
    let server = RedisServer::start();
    server.add_user(&[]);
    let builder = RedisStore::builder(server.url(), "cloakroom").with_username("shop");
    let store = builder.with_password("password").connect().await.unwrap();
    let (id, first) = session(1);
    let later = first.last_seen().plus(MINUTE);
    store.create(id, &first, MINUTE).await.unwrap();
    store
        .touch(id, first.revision(), later, MINUTE)
        .await
        .unwrap();
    let second = next(&first, 2);
    store
        .update(id, first.revision(), &second, MINUTE)
        .await
        .unwrap();
    let ended = store.end(id, None, &tombstone(&first), MINUTE).await;
    assert_eq!(ended.unwrap(), Ended::Ended);
    store.ping().await.unwrap();
}

#[tokio::test]
async fn the_documented_rights_suffice_when_memory_is_full() {
    let server = RedisServer::start_with(&["--maxmemory-policy", "noeviction"]);
    server.add_user(&[]);
    let builder = RedisStore::builder(server.url() + "/1", "cloakroom").with_username("shop");
    let store = builder.with_password("password").connect().await.unwrap();
    let (id, record) = session(1);
    let later = record.last_seen().plus(MINUTE);
    store.create(id, &record, MINUTE).await.unwrap();
    server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    let touched = store.touch(id, record.revision(), later, MINUTE).await;
    assert_eq!(touched.unwrap(), Touched::Touched);
    let ended = store.end(id, None, &tombstone(&record), MINUTE).await;
    assert_eq!(ended.unwrap(), Ended::Ended);
}

#[tokio::test]
async fn the_password_can_change_while_the_store_is_in_use() {
    let server = RedisServer::start();
    server.add_user(&[]);
    let builder = || RedisStore::builder(server.url(), "cloakroom").with_username("shop");
    let old = builder().with_password("password").connect().await.unwrap();
    server.command(&["ACL", "SETUSER", "shop", ">new"]);
    old.ping().await.unwrap();
    let new = builder().with_password("new").connect().await.unwrap();
    new.ping().await.unwrap();

    // Both passwords are valid for new connections.
    hang_up(&server);
    recovers(&old).await;
    recovers(&new).await;

    // An open connection outlives its password.
    server.command(&["ACL", "SETUSER", "shop", "<password"]);
    old.ping().await.unwrap();
    hang_up(&server);
    recovers(&new).await;
    // Its wrong password is not an outage, which would pass by itself.
    let kind = async || old.ping().await.err().map(|error| error.kind());
    let limit = Duration::from_secs(20);
    within("refused", limit, async || {
        kind().await == Some(StoreErrorKind::Refused)
    })
    .await;
    for _ in 0..20 {
        assert_eq!(kind().await, Some(StoreErrorKind::Refused));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.command(&["ACL", "SETUSER", "shop", ">password"]);
    recovers(&old).await;
}

/// Closes the connections of the store's user.
fn hang_up(server: &RedisServer) {
    server.command(&["CLIENT", "KILL", "USER", "shop"]);
}

async fn recovers(store: &RedisStore) {
    let began = Instant::now();
    while let Err(error) = store.ping().await {
        assert!(began.elapsed() < Duration::from_secs(5), "{error:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
