//! The bus on Redis: gaps are reported, and it reconnects by itself.

use std::time::Duration;

use cloakroom::{
    EndReason, RevokedBy, Session, SessionClient, SessionEvent, SessionLayer, Store, Subscription,
};
use cloakroom_core::{EventBus, Realm, UserKey};
use cloakroom_redis::RedisStore;
use tests::app::app;
use tests::browser::Browser;
use tests::generous;
use tests::log::Log;
use tests::proxy::{Network, Proxy};
use tests::redis::RedisServer;
use tests::topology::{Cluster, Sentinel};
use tokio::time::{Instant, timeout};

use super::{PATIENCE, from_handler, next, sign_in, sign_out};

/// How long a gap may go unnoticed, with slack for a busy machine.
const BOUND: Duration = Duration::from_secs(4);

fn subscribe(store: &RedisStore) -> Subscription {
    store.bus().expect("it has one").subscribe()
}

async fn publish(store: &RedisStore, event: &SessionEvent) -> bool {
    store
        .bus()
        .expect("it has one")
        .publish(event)
        .await
        .is_ok()
}

/// Waits for the event that reports a gap.
async fn missed(events: &mut Subscription) {
    let missed = async {
        while let Some(event) = events.next().await {
            if event == SessionEvent::Missed {
                return;
            }
        }
        panic!("the bus is closed");
    };
    timeout(PATIENCE, missed)
        .await
        .expect("the gap is reported");
}

fn event() -> SessionEvent {
    SessionEvent::Ended {
        id: "0191e0c4-8f2a-7c3e-9b1d-2f6a7e5c4d3b"
            .parse()
            .expect("an id"),
        user: Some(vec![0xff, 0].into()),
        reason: EndReason::RevokedByUser,
        client: Some(SessionClient::new(Some("curl/8.5.0"), None)),
    }
}

/// The number of subscribed connections.
fn listeners(server: &RedisServer) -> usize {
    let list = server.command(&["CLIENT", "LIST", "TYPE", "pubsub"]).text();
    list.lines().filter(|line| line.contains("sub=1")).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_serves_all_subscribers_and_closes_with_the_store() {
    let server = RedisServer::start();
    let store = generous::connect(server.url(), "cloakroom")
        .await
        .expect("the server is running");
    assert_eq!(listeners(&server), 0, "nobody has asked for events");
    let mut all: Vec<_> = (0..100).map(|_| subscribe(&store)).collect();
    missed(&mut all[0]).await;
    assert!(publish(&store.clone(), &event()).await);
    for events in &mut all {
        assert_eq!(next(events).await, event());
    }
    assert_eq!(listeners(&server), 1);
    drop(store);
    let gone = async {
        while listeners(&server) > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, gone)
        .await
        .expect("the connection goes with the store");
    assert_eq!(all[0].next().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_is_reported_and_reestablished() {
    let mut server = RedisServer::start();
    let store = generous::connect(server.url(), "cloakroom")
        .await
        .expect("the server is running");
    let mut events = subscribe(&store);
    missed(&mut events).await;
    for round in 0..3 {
        if round < 2 {
            server.command(&["CLIENT", "KILL", "TYPE", "pubsub"]);
        } else {
            server.kill();
            server.restart();
        }
        let began = Instant::now();
        missed(&mut events).await;
        assert!(began.elapsed() < BOUND, "{:?}", began.elapsed());
        let sent = async {
            while !publish(&store, &event()).await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, sent).await.expect("it is published");
        assert_eq!(next(&mut events).await, event());
    }
}

/// Nothing arrives and nothing is closed: only a heartbeat detects it.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_connection_is_reported_and_reestablished() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port()).await;
    let listener = RedisStore::connect(proxy.url(), "cloakroom")
        .await
        .expect("the server is running");
    let speaker = RedisStore::connect(server.url(), "cloakroom")
        .await
        .expect("the server is running");
    let mut events = subscribe(&listener);
    missed(&mut events).await;
    proxy.set(Network::Blackholed);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(publish(&speaker, &event()).await, "this one is lost");
    proxy.set(Network::Normal);
    let began = Instant::now();
    missed(&mut events).await;
    assert!(began.elapsed() < BOUND, "{:?}", began.elapsed());
    assert!(publish(&speaker, &event()).await);
    assert_eq!(next(&mut events).await, event());
}

/// The event was lost in the gap: the watch rereads the session when the gap is reported, and not only
/// after thirty seconds.
#[tokio::test(flavor = "multi_thread")]
async fn a_watch_rereads_the_session_after_a_gap() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port()).await;
    let behind = RedisStore::connect(proxy.url(), "cloakroom")
        .await
        .expect("the server is running");
    let direct = generous::connect(server.url(), "cloakroom")
        .await
        .expect("the server is running");
    let mut browser = Browser::new(app(SessionLayer::new(behind.clone())));
    sign_in(&mut browser, "ada").await;
    let watch = from_handler(&mut browser, Session::watch).await;
    let watching = tokio::spawn(watch);
    missed(&mut subscribe(&behind)).await;
    proxy.set(Network::Blackholed);
    let sessions = SessionLayer::new(direct).sessions();
    assert_eq!(
        sessions
            .revoke_all("ada", RevokedBy::Admin)
            .await
            .expect("it ends"),
        1
    );
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(!watching.is_finished(), "it cannot know");
    proxy.set(Network::Normal);
    let reason = timeout(BOUND + Duration::from_secs(4), watching).await;
    let reason = reason.expect("the watch rereads").expect("no panic");
    assert_eq!(reason, EndReason::RevokedByAdmin);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_cluster_events_reach_every_server_and_survive_a_failover() {
    let mut cluster = Cluster::start();
    let one = generous::connect(cluster.url(), "cloakroom")
        .await
        .expect("the server is running");
    let two = generous::connect(cluster.url(), "cloakroom")
        .await
        .expect("the server is running");
    let (mut at_one, mut at_two) = (subscribe(&one), subscribe(&two));
    missed(&mut at_one).await;
    missed(&mut at_two).await;
    for _ in 0..20 {
        assert!(publish(&one, &event()).await);
        assert_eq!(next(&mut at_one).await, event());
        assert_eq!(next(&mut at_two).await, event());
    }
    cluster.kill(0);
    cluster.wait_until_replaced(0);
    let received = async {
        loop {
            publish(&one, &event()).await;
            let both = async {
                next(&mut at_one).await;
                next(&mut at_two).await;
            };
            if timeout(Duration::from_millis(200), both).await.is_ok() {
                return;
            }
        }
    };
    timeout(PATIENCE, received)
        .await
        .expect("both receive events again");
}

/// A client subscribes at any node, so those that have come to the one without the right try others. The log of this
/// thread says which have, once for each.
#[tokio::test]
async fn in_a_cluster_events_are_received_from_a_node_that_has_the_right() {
    let cluster = Cluster::start();
    for node in cluster.nodes() {
        node.add_user(&["+cluster|slots", "+cluster|info"]);
    }
    let builder = generous::redis(cluster.url(), "cloakroom").with_username("shop");
    let builder = builder.with_password("password");
    cluster.primaries()[0].command(&["ACL", "SETUSER", "shop", "-subscribe"]);
    let log = Log::capture();
    let failures = || log.count("cannot subscribe");
    let mut stores = Vec::new();
    while failures() == 0 {
        let store = builder.clone().connect().await;
        let store = store.expect("sessions can be kept");
        let mut events = subscribe(&store);
        // A third of the attempts comes to that node, and one is made every five seconds.
        let first = timeout(3 * PATIENCE, events.next()).await;
        assert_eq!(first.expect("it holds"), Some(SessionEvent::Missed));
        assert!(publish(&store, &event()).await);
        assert_eq!(next(&mut events).await, event());
        stores.push(store);
    }
    assert_eq!(failures(), 1, "{}", log.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn with_sentinels_events_survive_a_failover() {
    let mut sentinel = Sentinel::start();
    let store = RedisStore::connect(sentinel.url(), "cloakroom")
        .await
        .expect("the server is running");
    let mut events = subscribe(&store);
    missed(&mut events).await;
    let primary = sentinel.primary();
    let mut servers = sentinel.servers_mut().iter_mut();
    let primary = servers.find(|server| server.port() == primary);
    primary.expect("one of them is").kill();
    let received = async {
        loop {
            publish(&store, &event()).await;
            if timeout(Duration::from_millis(200), next(&mut events))
                .await
                .is_ok()
            {
                return;
            }
        }
    };
    timeout(PATIENCE, received)
        .await
        .expect("events flow again");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_rights_suffice() {
    let server = RedisServer::start();
    server.add_user(&[]);
    let builder = generous::redis(server.url(), "cloakroom").with_username("shop");
    let store = builder
        .with_password("password")
        .connect()
        .await
        .expect("the server is running");
    let layer = SessionLayer::new(store.clone());
    let mut events = subscribe(&store);
    missed(&mut events).await;
    let mut browser = Browser::new(app(layer.clone()));
    sign_in(&mut browser, "ada").await;
    next(&mut events).await;
    assert_eq!(layer.sessions().count("ada").await.expect("it counts"), 1);
    browser.request(sign_out).await;
    next(&mut events).await;
    let admin = store.admin().expect("it has one");
    let everything = cloakroom_core::StoreAdmin::scan_ids(&admin, None);
    let page = everything.await.expect("it may");
    assert_eq!(page.ids.len(), 1, "the tombstone");
}

/// Events are optional: without the right to publish, sessions still work.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_publish_sessions_still_work() {
    let server = RedisServer::start();
    server.add_user(&["resetchannels"]);
    let builder = generous::redis(server.url(), "cloakroom").with_username("shop");
    let store = builder
        .with_password("password")
        .connect()
        .await
        .expect("the server is running");
    let layer = SessionLayer::new(store);
    let mut browser = Browser::new(app(layer.clone()));
    sign_in(&mut browser, "ada").await;
    let watch = from_handler(&mut browser, Session::watch).await;
    assert_eq!(
        layer
            .sessions()
            .revoke_all("ada", RevokedBy::User)
            .await
            .expect("it ends"),
        1
    );
    let reason = timeout(PATIENCE, watch)
        .await
        .expect("the first read finds it");
    assert_eq!(reason, EndReason::RevokedByUser);
}

/// Whatever the user ids, keys consist of a fixed alphabet, and every key has a TTL.
#[tokio::test(flavor = "multi_thread")]
async fn user_ids_never_leave_the_key_prefix_and_every_key_has_a_ttl() {
    let server = RedisServer::start();
    let store = generous::connect(server.url(), "cloakroom")
        .await
        .expect("the server is running");
    let layer = SessionLayer::new(store.clone());
    for user in ["", "*", "a:b", "{x}", "\r\nFLUSHALL\r\n", "🧥"] {
        let mut browser = Browser::new(app(layer.clone()));
        sign_in(&mut browser, user).await;
    }
    let keys = server.keys_with_ttl();
    assert_eq!(keys.len(), 12);
    for (key, ttl) in keys {
        assert!(ttl.is_some(), "{key}");
        let rest = key.strip_prefix("cloakroom:").expect("the prefix");
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_:".contains(&byte);
        assert!(rest.bytes().all(plain), "{key}");
    }
    let key = UserKey::new(&Realm::new("__Host-Http-id"), &"*".into());
    assert!(server.ttl(&format!("cloakroom:user:{key}")).is_some());
}
