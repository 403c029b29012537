//! What a sign-in writes, whichever of its scripts is run.

use std::time::Duration;

use cloakroom_core::bus::Subscription;
use cloakroom_core::event::SessionEvent;
use cloakroom_core::index::{AddOutcome, AddRequest, Limit, UserIndex};
use cloakroom_core::store::{Loaded, UserCreated};
use cloakroom_core::{EventBus, Realm, Record, SessionId, Store, UserId, UserKey};
use cloakroom_redis::RedisStore;
use futures_util::future::join_all;
use tests::generous;
use tests::records::{MINUTE, add_request, session};
use tests::redis::{Monitor, RedisServer};
use tests::topology::Cluster;

use crate::merged_commands::open;

const MANY: usize = 60;

fn user(name: &str) -> UserKey {
    UserKey::new(&Realm::new("shop"), &UserId::from(name))
}

/// With a limit, the script computes the score and the TTL. Without one the store does.
#[tokio::test]
async fn an_entry_is_the_same_with_and_without_a_limit() {
    let server = RedisServer::start();
    let store = open(server.url()).await;
    let index = || {
        let keys = server.keys_with_ttl().into_iter();
        let mut keys = keys.filter(|(key, _)| key.starts_with("cloakroom:user:"));
        keys.next().expect("there is an index")
    };
    let ada = user("ada");
    for place in 0..48_u32 {
        let (id, record) = session(1);
        let mut request = add_request(id, &record);
        // Up to a hundred days, on both sides of powers of two.
        let life = (1_u64 << (place / 2)) * 1000 - 1 + u64::from(place % 2);
        request.deadline = id.created_at().plus(Duration::from_millis(life));
        let mut added = Vec::new();
        for limit in [None, Some(1000)] {
            request.limit = limit.map(|most| Limit {
                most,
                evict_oldest: true,
            });
            let outcome = store.add(&ada, &request).await.unwrap();
            let (over, sample) = (Vec::new(), Vec::new());
            assert_eq!(outcome, AddOutcome::Added { over, sample });
            let (key, ttl) = index();
            let score = server.command(&["ZSCORE", &key, &id.to_string()]);
            added.push((score, ttl.expect("there is a TTL").as_secs()));
            store.remove(&ada, &[id]).await.unwrap();
        }
        let [(put, keep), (full, full_keep)] = added.try_into().expect("there are two");
        assert_eq!(put, full, "{life} ms");
        assert!(keep.abs_diff(full_keep) <= 10, "{keep} s and {full_keep} s");
    }
}

#[tokio::test]
async fn adding_an_id_again_keeps_the_later_deadline() {
    let server = RedisServer::start();
    let store = open(server.url()).await;
    let ada = user("ada");
    for number in 0..20 {
        let (id, record) = session(number);
        let mut request = add_request(id, &record);
        let first = store.add(&ada, &request).await.unwrap();
        assert!(matches!(first, AddOutcome::Added { .. }));
        let score = || {
            let (key, _) = &server.keys_with_ttl()[0];
            server.command(&["ZSCORE", key, &id.to_string()])
        };
        let earlier = score();
        request.deadline = request.deadline.plus(10_000 * MINUTE);
        store.add(&ada, &request).await.unwrap();
        let later = score();
        assert_ne!(earlier, later);
        request.deadline = add_request(id, &record).deadline;
        store.add(&ada, &request).await.unwrap();
        assert_eq!(score(), later);
    }
}

/// A session, and a request to add it without removing stale entries, which the end of its id decides.
fn plain_session() -> (SessionId, Record) {
    loop {
        let (id, record) = session(1);
        if !id.to_string().as_bytes()[35].is_multiple_of(8) {
            return (id, record);
        }
    }
}

/// The script for most entries, and the one for all, which is used if there is another id to remove.
#[tokio::test]
async fn an_id_that_is_in_the_index_is_added_again_with_one_command() {
    let server = RedisServer::start();
    let store = open(server.url()).await;
    let ada = user("ada");
    let (id, record) = plain_session();
    let request = add_request(id, &record);
    for dead in [vec![], vec![session(2).0]] {
        // Redis has both scripts cached afterwards.
        let request = AddRequest {
            dead,
            ..request.clone()
        };
        store.add(&ada, &request).await.unwrap();
    }
    let (key, _) = server.keys_with_ttl().remove(0);
    let id_text = id.to_string();
    let score = || server.command(&["ZSCORE", &key, &id_text]).text();
    let first = score();
    let now = request.now.as_millis();
    let by_deadline = |life: Duration| request.deadline.plus(life).as_millis().to_string();
    let marks = [format!("-{now}"), "-1".to_owned()];
    let old = [now.to_string(), by_deadline(20_000 * MINUTE)];
    // What is there, and how many commands the store needs.
    let there = [first.clone()]
        .into_iter()
        .chain(marks)
        .map(|score| (score, 1));
    let there = there.chain(old.map(|score| (score, 2)));
    for (start, most) in there {
        for life in [Duration::ZERO, MINUTE, 10_000 * MINUTE] {
            for ttl in [1_000_u64, 1 << 32, 1 << 50] {
                let mut request = request.clone();
                request.deadline = request.now.plus(life);
                let mut results = Vec::new();
                for dead in [vec![], vec![session(2).0]] {
                    request.dead = dead;
                    server.command(&["ZADD", &key, &start, &id_text]);
                    server.command(&["PEXPIRE", &key, &ttl.to_string()]);
                    let monitor = server.monitor();
                    let added = store.add(&ada, &request).await.unwrap();
                    let sent = monitor.commands().len();
                    let expected = if request.dead.is_empty() { most } else { 1 };
                    assert_eq!(sent, expected, "{start}, {life:?}");
                    let (over, sample) = (Vec::new(), Vec::new());
                    assert_eq!(added, AddOutcome::Added { over, sample });
                    let left = server.command(&["PTTL", &key]).number();
                    results.push((score(), left));
                }
                let [(put, keep), (full, full_keep)] = results.try_into().expect("two");
                assert_eq!(put, full, "{start}, {life:?}");
                let difference = keep.abs_diff(full_keep);
                assert!(
                    difference <= 10_000,
                    "{start}, {life:?}, {ttl}: {difference} ms"
                );
            }
        }
    }
}

/// As a sign-in that is attempted again: what is there already is not stored twice.
#[tokio::test]
async fn a_sign_in_whose_id_is_in_the_index_stores_its_session() {
    let server = RedisServer::start();
    let store = open(server.url()).await;
    let ada = user("ada");
    let limit = Some(Limit {
        most: 5,
        evict_oldest: true,
    });
    for (is_old, limit) in [(false, None), (true, None), (false, limit), (true, limit)] {
        let (id, record) = plain_session();
        let mut request = add_request(id, &record);
        request.limit = limit;
        store.add(&ada, &request).await.unwrap();
        let key = server.keys_with_ttl().remove(0).0;
        if is_old {
            let deadline = request.deadline.as_millis().to_string();
            server.command(&["ZADD", &key, &deadline, &id.to_string()]);
        }
        let sign_in = || store.create_for_user(&ada, &request, &record, MINUTE, None);
        let created = sign_in().await.unwrap();
        assert!(
            matches!(created, UserCreated::Created { .. }),
            "{created:?}"
        );
        assert_eq!(
            store.load(id).await.unwrap(),
            Loaded::Record(record.clone())
        );
        assert_eq!(sign_in().await.unwrap(), UserCreated::Collision);
        assert_eq!(store.list(&ada, None).await.unwrap(), [id]);
        store.remove(&ada, &[id]).await.unwrap();
        server.command(&["FLUSHALL"]);
    }
}

/// Signs `MANY` users in concurrently. Returns for how many the event was published.
async fn sign_in_many(store: &RedisStore, change: impl Fn(&mut AddRequest)) -> usize {
    let sign_ins = (0..MANY).map(async |number| {
        let (id, record) = session(0);
        let (name, event) = (
            user(&format!("user {number}")),
            SessionEvent::Created { id },
        );
        let mut request = add_request(id, &record);
        change(&mut request);
        let created = store.create_for_user(&name, &request, &record, MINUTE, Some(&event));
        let created = created.await.expect("the server responds");
        let listed = store.list(&name, None).await;
        assert_eq!(listed.expect("the server responds"), [id]);
        match created {
            UserCreated::Created { sample, published } => {
                assert_eq!(sample, []);
                published
            }
            other => panic!("{other:?}"),
        }
    });
    let published = join_all(sign_ins).await;
    published.into_iter().filter(|published| *published).count()
}

/// A subscription that has begun.
async fn subscribe(store: &RedisStore) -> Subscription {
    let mut events = Store::bus(store).expect("there is one").subscribe();
    assert_eq!(events.next().await, Some(SessionEvent::Missed), "it holds");
    events
}

/// Checks that a subscriber gets each of the events.
async fn receives_all(events: &mut Subscription) {
    for _ in 0..MANY {
        match events.next().await {
            Some(SessionEvent::Created { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// How many messages were published, by commands and by scripts.
fn messages(monitor: Monitor) -> usize {
    let recorded = monitor.recorded().into_iter();
    recorded
        .filter(|command| command.words[0].eq_ignore_ascii_case("PUBLISH"))
        .count()
}

#[tokio::test]
async fn events_of_merged_sign_ins_share_messages_and_all_arrive() {
    let server = RedisServer::start();
    let store = open(server.url()).await;
    let monitor = server.monitor();
    let mut events = subscribe(&store).await;
    assert_eq!(sign_in_many(&store, |_| ()).await, MANY);
    receives_all(&mut events).await;
    let published = messages(monitor);
    assert!(published <= 8, "{published} messages");
}

/// Those of sessions that are stored once the index has them.
#[tokio::test]
async fn events_of_merged_sign_ins_on_a_cluster_all_arrive() {
    let cluster = Cluster::start();
    let store = open(cluster.url()).await;
    let mut events = subscribe(&store).await;
    let derived = |request: &mut AddRequest| request.has_fresh_token = false;
    assert_eq!(sign_in_many(&store, derived).await, MANY);
    receives_all(&mut events).await;
}

#[tokio::test]
async fn events_that_are_published_at_once_share_messages_and_all_arrive() {
    let server = RedisServer::start();
    let cluster = Cluster::start();
    for (url, servers) in [
        (server.url(), std::slice::from_ref(&server)),
        (cluster.url(), cluster.primaries()),
    ] {
        let store = open(url).await;
        let mut events = subscribe(&store).await;
        let monitors: Vec<_> = servers.iter().map(RedisServer::monitor).collect();
        let published = (0..MANY).map(async |_| {
            let id = session(0).0;
            let bus = Store::bus(&store).expect("there is one");
            bus.publish(&SessionEvent::Created { id }).await
        });
        for published in join_all(published).await {
            published.expect("the server responds");
        }
        receives_all(&mut events).await;
        let published: usize = monitors.into_iter().map(messages).sum();
        assert!((1..=8).contains(&published), "{published} messages");
    }
}

/// The sign-ins succeed, and each of them learns that its event was not published.
#[tokio::test]
async fn without_the_right_to_publish_merged_sign_ins_succeed() {
    let server = RedisServer::start();
    server.add_user(&["-publish"]);
    let cluster = Cluster::start();
    for node in cluster.nodes() {
        node.add_user(&["+cluster|slots", "+cluster|info", "-publish"]);
    }
    for url in [server.url(), cluster.url()] {
        let builder = generous::redis(url, "cloakroom").with_username("shop");
        let store = builder.with_password("password").connect().await.unwrap();
        assert_eq!(sign_in_many(&store, |_| ()).await, 0);
    }
}
