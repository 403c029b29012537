//! Keys that are not the store's own, such as the sessions of a previous session library.

use std::time::Duration;

use cloakroom_core::StoreErrorKind;
use cloakroom_redis::RedisStore;
use tests::generous;
use tests::records::MINUTE;
use tests::redis::RedisServer;
use tests::resp::Reply;
use tests::topology::Replicated;

use crate::merged_commands::open;

#[tokio::test]
async fn a_key_of_another_application_is_read_and_removed() {
    let server = RedisServer::start();
    let store = open(server.url()).await;
    let keys = store.raw_keys();
    assert_eq!(keys.read("theirs").await.unwrap(), None);
    assert!(!keys.remove("theirs").await.unwrap(), "it is not there");
    server.command(&["SET", "theirs", "value"]);
    let value = Some("value".into());
    assert_eq!(keys.read("theirs").await.unwrap(), value);
    assert_eq!(server.ttl("theirs"), None, "reading changes nothing");
    let read = keys.get_and_expire("theirs", MINUTE).await;
    assert_eq!(read.unwrap(), value);
    let ttl = server.ttl("theirs").expect("there is a TTL");
    assert!(ttl <= MINUTE && ttl > MINUTE / 2, "{ttl:?}");
    assert!(keys.remove("theirs").await.unwrap());
    assert_eq!(server.keys(), Vec::<String>::new());
    assert_eq!(keys.read("theirs").await.unwrap(), None);
}

#[tokio::test]
async fn a_key_that_holds_no_text_is_an_error() {
    let server = RedisServer::start();
    let store = open(server.url()).await;
    let keys = store.raw_keys();
    server.command(&["RPUSH", "list", "a"]);
    for read in [
        keys.read("list").await,
        keys.get_and_expire("list", MINUTE).await,
    ] {
        assert_eq!(read.unwrap_err().kind(), StoreErrorKind::Unreadable);
    }
    assert!(keys.remove("list").await.unwrap(), "whatever it holds");
}

#[tokio::test]
async fn a_key_is_removed_on_the_replicas_too() {
    let servers = Replicated::start(1);
    let within = Duration::from_secs(20);
    let store: RedisStore = generous::redis(servers.primary().url(), "cloakroom")
        .with_replica_acks(1, within)
        .connect()
        .await
        .expect("the server is running");
    let keys = store.raw_keys();
    servers.primary().command(&["SET", "theirs", "value"]);
    assert!(keys.remove("theirs").await.unwrap());
    let there = servers.replicas()[0].command(&["EXISTS", "theirs"]);
    assert_eq!(there, Reply::Number(0));
    assert!(!keys.remove("theirs").await.unwrap(), "it is not there");
}

#[tokio::test]
async fn a_removal_that_no_replica_acknowledges_is_an_error() {
    let servers = Replicated::start(1);
    let store: RedisStore = generous::redis(servers.primary().url(), "cloakroom")
        .with_replica_acks(1, Duration::from_millis(100))
        .connect()
        .await
        .expect("the server is running");
    let keys = store.raw_keys();
    servers.primary().command(&["SET", "theirs", "value"]);
    servers.replicas()[0].freeze();
    let removed = keys.remove("theirs").await.unwrap_err();
    assert_eq!(removed.kind(), StoreErrorKind::NotReplicated);
    assert_eq!(keys.read("theirs").await.unwrap(), None, "it stands");
}
