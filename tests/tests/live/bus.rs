//! The bus of Redis: gaps are told, and it comes back by itself.

use std::time::Duration;

use cloakroom::{EndReason, EndedBy, Session, SessionEvent, SessionLayer, Store, Subscription};
use cloakroom_core::{EventBus, Realm, UserKey};
use cloakroom_redis::RedisStore;
use tests::app::app;
use tests::browser::Browser;
use tests::proxy::{Proxy, Weather};
use tests::redis::RedisServer;
use tests::topology::{Cluster, Sentinel};
use tokio::time::{Instant, timeout};

use super::{PATIENCE, next, sign_in, sign_out, take_out};

/// How long a gap may go unnoticed, with room for a busy machine.
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

/// Waits for the event that tells of a gap.
async fn missed(events: &mut Subscription) {
    let missed = async {
        while let Some(event) = events.next().await {
            if event == SessionEvent::Missed {
                return;
            }
        }
        panic!("the bus is closed");
    };
    timeout(PATIENCE, missed).await.expect("the gap is told");
}

fn event() -> SessionEvent {
    SessionEvent::Ended {
        id: "0191e0c4-8f2a-7c3e-9b1d-2f6a7e5c4d3b"
            .parse()
            .expect("an id"),
        user: Some(vec![0xff, 0].into()),
        reason: EndReason::ByUser,
    }
}

/// How many connections listen.
fn listeners(server: &RedisServer) -> usize {
    let list = server.command(&["CLIENT", "LIST", "TYPE", "pubsub"]).text();
    list.lines().filter(|line| line.contains("sub=1")).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_listens_for_all_and_goes_with_the_store() {
    let server = RedisServer::start();
    let store = RedisStore::connect(server.url()).await.expect("it runs");
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
async fn a_lost_connection_is_told_and_made_anew() {
    let mut server = RedisServer::start();
    let store = RedisStore::connect(server.url()).await.expect("it runs");
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

/// Nothing comes and nothing is closed: only who asks finds out.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_falls_silent_is_told_and_made_anew() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port()).await;
    let listener = RedisStore::connect(proxy.url()).await.expect("it runs");
    let speaker = RedisStore::connect(server.url()).await.expect("it runs");
    let mut events = subscribe(&listener);
    missed(&mut events).await;
    proxy.set(Weather::Swallowed);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(publish(&speaker, &event()).await, "this one is lost");
    proxy.set(Weather::Fair);
    let began = Instant::now();
    missed(&mut events).await;
    assert!(began.elapsed() < BOUND, "{:?}", began.elapsed());
    assert!(publish(&speaker, &event()).await);
    assert_eq!(next(&mut events).await, event());
}

/// The event was lost in the gap: who watches looks again when the gap is told, and not after thirty
/// seconds.
#[tokio::test(flavor = "multi_thread")]
async fn who_watches_through_a_gap_looks_when_it_is_over() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port()).await;
    let behind = RedisStore::connect(proxy.url()).await.expect("it runs");
    let beside = RedisStore::connect(server.url()).await.expect("it runs");
    let mut browser = Browser::new(app(SessionLayer::new(behind.clone())));
    sign_in(&mut browser, "ada").await;
    let watch = take_out(&mut browser, Session::watch).await;
    let watching = tokio::spawn(watch);
    missed(&mut subscribe(&behind)).await;
    proxy.set(Weather::Swallowed);
    let sessions = SessionLayer::new(beside).sessions();
    assert_eq!(
        sessions
            .end_all("ada", EndedBy::Admin)
            .await
            .expect("it ends"),
        1
    );
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(!watching.is_finished(), "it cannot know");
    proxy.set(Weather::Fair);
    let reason = timeout(BOUND + Duration::from_secs(4), watching).await;
    let reason = reason.expect("it looks again").expect("no panic");
    assert_eq!(reason, EndReason::ByAdmin);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_cluster_events_reach_every_node_and_outlive_one() {
    let mut cluster = Cluster::start();
    let one = RedisStore::connect(cluster.url()).await.expect("it runs");
    let two = RedisStore::connect(cluster.url()).await.expect("it runs");
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
    let heard = async {
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
    timeout(PATIENCE, heard).await.expect("both hear again");
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_sentinels_a_failover_is_a_gap_like_others() {
    let mut sentinel = Sentinel::start();
    let store = RedisStore::connect(sentinel.url()).await.expect("it runs");
    let mut events = subscribe(&store);
    missed(&mut events).await;
    let primary = sentinel.primary();
    let mut servers = sentinel.servers_mut().iter_mut();
    let primary = servers.find(|server| server.port() == primary);
    primary.expect("one of them is").kill();
    let heard = async {
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
    timeout(PATIENCE, heard).await.expect("events flow again");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rights_that_are_listed_suffice() {
    let server = RedisServer::start();
    server.add_user(&[]);
    let builder = RedisStore::builder(server.url()).with_username("shop");
    let store = builder
        .with_password("password")
        .connect()
        .await
        .expect("it runs");
    let layer = SessionLayer::new(store.clone());
    let mut events = subscribe(&store);
    missed(&mut events).await;
    let mut browser = Browser::new(app(layer.clone()));
    sign_in(&mut browser, "ada").await;
    next(&mut events).await;
    assert_eq!(layer.sessions().count("ada").await.expect("it counts"), 1);
    browser.act(sign_out).await;
    next(&mut events).await;
    let index = store.index().expect("it has one");
    let everything = cloakroom_core::UserIndex::everything(&index);
    assert_eq!(everything.await.expect("it may").len(), 1, "the tombstone");
}

/// Events are a convenience: who may not publish them keeps sessions all the same.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_publish_sessions_work() {
    let server = RedisServer::start();
    server.add_user(&["resetchannels"]);
    let builder = RedisStore::builder(server.url()).with_username("shop");
    let store = builder
        .with_password("password")
        .connect()
        .await
        .expect("it runs");
    let layer = SessionLayer::new(store);
    let mut browser = Browser::new(app(layer.clone()));
    sign_in(&mut browser, "ada").await;
    let watch = take_out(&mut browser, Session::watch).await;
    assert_eq!(
        layer
            .sessions()
            .end_all("ada", EndedBy::User)
            .await
            .expect("it ends"),
        1
    );
    let reason = timeout(PATIENCE, watch)
        .await
        .expect("the first look finds it");
    assert_eq!(reason, EndReason::ByUser);
}

/// Whatever the app calls its users, keys are of a fixed alphabet, and every one has a TTL.
#[tokio::test(flavor = "multi_thread")]
async fn no_name_of_a_user_leaves_the_namespace_and_every_key_has_a_ttl() {
    let server = RedisServer::start();
    let store = RedisStore::connect(server.url()).await.expect("it runs");
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
