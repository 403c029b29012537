//! Writes that wait for replicas, and what a failover loses with and without that.

use std::time::{Duration, Instant};

use cloakroom::{Destroyed, Session, SessionErrorKind, SessionLayer};
use cloakroom_core::store::{Created, Ended, Loaded, Updated, UserCreated};
use cloakroom_core::{Realm, Store, StoreError, StoreErrorKind, Tombstone, UserId, UserKey};
use cloakroom_redis::RedisStore;
use http::StatusCode;
use tests::app::app;
use tests::browser::{Browser, CookieChange};
use tests::generous;
use tests::records::{MINUTE, add_request, next, session, tombstone};
use tests::redis::RedisServer;
use tests::topology::{Cluster, Replicated};
use tests::wait::eventually;
use tokio::task::JoinSet;

/// How long a write waits for its replicas.
const WITHIN: Duration = Duration::from_millis(100);

/// The timeout of a command plus the wait, with slack for a busy machine.
const BOUND: Duration = Duration::from_millis(250 + 100 + 3000);

async fn waiting_for(replicas: u32, url: String) -> RedisStore {
    let builder = RedisStore::builder(url, "cloakroom").with_replica_acks(replicas, WITHIN);
    builder.connect().await.expect("the server is running")
}

fn is_not_replicated<T>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(error) if error.kind() == StoreErrorKind::NotReplicated)
}

/// What a server holds, replica or not.
async fn there(server: &RedisServer, id: cloakroom_core::SessionId) -> Loaded {
    let store = generous::connect(server.url(), "cloakroom")
        .await
        .expect("the server is running");
    store.load(id).await.expect("the command succeeds")
}

#[tokio::test]
async fn acknowledged_writes_are_on_the_replicas() {
    let servers = Replicated::start(2);
    let store = waiting_for(2, servers.primary().url()).await;
    for number in 0..5 {
        let (id, record) = session(number);
        let created = store.create(id, &record, MINUTE).await.unwrap();
        assert_eq!(created, Created::Created);
        for replica in servers.replicas() {
            assert_eq!(there(replica, id).await, Loaded::Record(record.clone()));
        }
        let taken = store.create(id, &record, MINUTE).await.unwrap();
        assert_eq!(taken, Created::Collision);
        let stone = tombstone(&record);
        let ended = store.end(id, None, &stone, MINUTE).await.unwrap();
        assert_eq!(ended, Ended::Ended);
        for replica in servers.replicas() {
            assert!(matches!(there(replica, id).await, Loaded::Tombstone(_)));
        }
        let again = store.end(id, None, &stone, MINUTE).await.unwrap();
        assert!(matches!(again, Ended::AlreadyEnded(_)));
    }
}

#[tokio::test]
async fn a_tombstone_that_cannot_be_read_is_replaced_on_the_replicas() {
    let servers = Replicated::start(1);
    let store = waiting_for(1, servers.primary().url()).await;
    let (id, record) = session(1);
    let key = format!("cloakroom:{id}");
    servers.primary().command(&["SET", &key, "t1 damaged"]);
    let stone = tombstone(&record);
    let ended = store.end(id, None, &stone, MINUTE).await.unwrap();
    assert_eq!(ended, Ended::Ended);
    let replicated = there(&servers.replicas()[0], id).await;
    assert_eq!(replicated, Loaded::Tombstone(stone));
}

#[tokio::test]
async fn too_few_replicas_are_an_error_and_the_write_stands() {
    let servers = Replicated::start(2);
    let store = waiting_for(2, servers.primary().url()).await;
    let (id, record) = session(1);
    servers.replicas()[0].freeze();

    let began = Instant::now();
    let created = store.create(id, &record, MINUTE).await;
    assert!(is_not_replicated(&created), "{created:?}");
    assert!(began.elapsed() < BOUND, "it took {:?}", began.elapsed());
    assert_eq!(
        store.load(id).await.unwrap(),
        Loaded::Record(record.clone())
    );
    // Edits do not wait.
    let edit = next(&record, 2);
    let updated = store.update(id, record.revision(), &edit, MINUTE).await;
    assert_eq!(updated.unwrap(), Updated::Updated);
    let stone = tombstone(&record);
    let at_another_revision = store.end(id, Some(record.revision()), &stone, MINUTE).await;
    assert_eq!(at_another_revision.unwrap(), Ended::Conflict(edit));
    let ended = store.end(id, None, &stone, MINUTE).await;
    assert!(is_not_replicated(&ended), "{ended:?}");
    assert!(matches!(
        store.load(id).await.unwrap(),
        Loaded::Tombstone(_)
    ));

    servers.replicas()[0].thaw();
    let (id, record) = session(2);
    eventually("the replicas", || servers.online() == 2).await;
    store.create(id, &record, MINUTE).await.unwrap();
}

/// Without waiting, a user's session is indexed and stored in one step.
#[tokio::test]
async fn signing_in_waits_for_replicas_too() {
    let servers = Replicated::start(1);
    let store = waiting_for(1, servers.primary().url()).await;
    let user = UserKey::new(&Realm::new("replicas"), &UserId::from("ada"));
    let create_for_user = async || {
        let (id, record) = session(1);
        let add_request = add_request(id, &record);
        let entered = store.create_for_user(&user, &add_request, &record, MINUTE, None);
        (id, entered.await)
    };
    let (id, entered) = create_for_user().await;
    assert!(matches!(entered, Ok(UserCreated::Created { .. })));
    let copied = there(&servers.replicas()[0], id).await;
    assert!(matches!(copied, Loaded::Record(_)));
    servers.replicas()[0].freeze();
    assert!(is_not_replicated(&create_for_user().await.1));
}

#[tokio::test]
async fn many_writes_waiting_for_a_replica_fail_in_time() {
    let servers = Replicated::start(1);
    let builder = RedisStore::builder(servers.primary().url(), "cloakroom");
    let store = builder.with_replica_acks(1, WITHIN).connect().await;
    let store = store.expect("the server is running");
    servers.replicas()[0].freeze();
    let mut writes = JoinSet::new();
    for number in 0..100 {
        let store = store.clone();
        writes.spawn(async move {
            let (id, record) = session(number);
            let began = Instant::now();
            let kind = store.create(id, &record, MINUTE).await.unwrap_err().kind();
            (id, kind, began.elapsed())
        });
    }
    let results = writes.join_all().await;
    for (id, kind, took) in &results {
        assert!(*took < BOUND, "it took {took:?}");
        let there = store.load(*id).await.unwrap();
        match kind {
            StoreErrorKind::NotReplicated => assert!(matches!(there, Loaded::Record(_))),
            // It was never sent, so the outcome is known.
            StoreErrorKind::Unavailable => assert_eq!(there, Loaded::Nothing),
            kind => assert_eq!(*kind, StoreErrorKind::OutcomeUnknown),
        }
    }
    let refused = |kind| results.iter().filter(|result| result.1 == kind).count();
    assert!(refused(StoreErrorKind::NotReplicated) >= 1);
    assert!(refused(StoreErrorKind::Unavailable) >= 50);
}

#[tokio::test]
async fn a_failover_loses_unreplicated_writes_and_waiting_reports_them() {
    for wait in [false, true] {
        let mut servers = Replicated::start(1);
        let url = servers.primary().url();
        let store = if wait {
            waiting_for(1, url).await
        } else {
            generous::connect(url, "cloakroom").await.unwrap()
        };
        let mut sessions = Vec::new();
        for number in 0..5 {
            let (id, record) = session(number);
            store.create(id, &record, MINUTE).await.unwrap();
            sessions.push((id, record));
        }
        let heir = servers.replicas()[0].url();
        eventually("the copies", || {
            servers.replicas()[0].keys_with_ttl().len() == 5
        })
        .await;
        // The replica falls behind; then the primary is lost.
        servers.cut_off();
        let (late, record) = session(9);
        let created = store.create(late, &record, MINUTE).await;
        let (left, record) = &sessions[0];
        let ended = store.end(*left, None, &tombstone(record), MINUTE).await;
        assert_eq!(created.is_ok(), !wait, "{created:?}");
        assert_eq!(ended.is_ok(), !wait, "{ended:?}");
        servers.fail_over();
        let after = generous::connect(heir, "cloakroom").await.unwrap();
        for (id, record) in &sessions[1..] {
            let kept = after.load(*id).await.unwrap();
            assert_eq!(kept, Loaded::Record(record.clone()));
        }
        // Both are lost in both cases, but without waiting they had been acknowledged.
        assert_eq!(after.load(late).await.unwrap(), Loaded::Nothing);
        assert!(matches!(
            after.load(*left).await.unwrap(),
            Loaded::Record(_)
        ));
    }
}

#[tokio::test]
async fn an_unreplicated_write_is_not_a_successful_response() {
    let servers = Replicated::start(1);
    let store = waiting_for(1, servers.primary().url()).await;
    let mut browser = Browser::new(app(SessionLayer::new(store)));
    let begin = |session: Session| async move { session.insert("user", 1) };
    assert_eq!(browser.request(begin).await.status, StatusCode::OK);
    let before = browser.cookie().unwrap().to_owned();

    servers.replicas()[0].freeze();
    let renew = |session: Session| async move { session.renew() };
    let result = browser.request(renew).await;
    assert_eq!(result.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(result.headers["retry-after"], "1");
    assert_eq!(result.cookie_change(), CookieChange::Nothing);
    assert_eq!(browser.cookie(), Some(&*before));
    let read =
        |session: Session| async move { Ok(session.get::<u64>("user")?.is_some().to_string()) };
    assert_eq!(
        browser.request(read).await.text(),
        "true",
        "still the old session"
    );
    // The new session, whose token no client has, is rolled back.
    let alive = || {
        let keys = servers.primary().keys_with_ttl();
        let held = |(key, _): &&(String, _)| {
            let value = servers.primary().command(&["GET", key]).text();
            value.starts_with("c1 ")
        };
        keys.iter().filter(held).count()
    };
    let began = Instant::now();
    while alive() != 1 {
        assert!(began.elapsed() < BOUND * 10, "it is not rolled back");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    // The rollback may still hold the slot for waiting writes, so another store is used.
    let store = waiting_for(1, servers.primary().url()).await;
    let sign_out = |session: Session| async move {
        let error = session.destroy().await.unwrap_err();
        assert_eq!(error.kind(), SessionErrorKind::NotReplicated);
        Err::<(), _>(error)
    };
    let mut browser = browser.on(app(SessionLayer::new(store)));
    let mut other_tab = browser.clone();
    let result = browser.request(sign_out).await;
    assert_eq!(result.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        result.cookie_change(),
        CookieChange::Removed,
        "it has ended on the primary"
    );
    assert_eq!(other_tab.request(read).await.text(), "false");

    servers.replicas()[0].thaw();
    let again = |session: Session| async move {
        assert_eq!(session.destroy().await?, Destroyed::AlreadyEnded);
        Ok(())
    };
    assert_eq!(other_tab.request(again).await.status, StatusCode::OK);
}

#[tokio::test]
async fn waiting_for_replicas_needs_the_right_to_wait() {
    let servers = Replicated::start(1);
    let primary = servers.primary();
    primary.add_user(&[]);
    let builder = generous::redis(primary.url(), "cloakroom").with_username("shop");
    let builder = builder
        .with_password("password")
        .with_replica_acks(1, WITHIN);
    let error = builder.clone().connect().await.unwrap_err();
    assert!(error.to_string().contains("may not send wait"), "{error}");
    primary.command(&["ACL", "SETUSER", "shop", "+wait"]);
    let store = builder.connect().await.unwrap();
    primary.command(&["ACL", "SETUSER", "shop", "-wait"]);
    let (id, record) = session(1);
    let created = store.create(id, &record, MINUTE).await;
    assert!(is_not_replicated(&created), "{created:?}");
    primary.command(&["ACL", "SETUSER", "shop", "+wait"]);
    let stone = tombstone(&record);
    let ended = store.end(id, None, &stone, MINUTE).await;
    assert_eq!(ended.unwrap(), Ended::Ended);
}

#[tokio::test]
async fn in_a_cluster_writes_wait_for_the_replica_of_their_primary() {
    let cluster = Cluster::start();
    let builder = generous::redis(cluster.url(), "cloakroom").with_replica_acks(1, WITHIN);
    let store = builder.connect().await.expect("the cluster is running");
    cluster.replicas()[0].freeze();
    let (mut acknowledged, mut unreplicated) = (0, 0);
    for number in 0..60 {
        let (id, record) = session(number);
        let created = store.create(id, &record, MINUTE).await;
        // The slot belongs to the first primary, whose replica hangs, or to another.
        if is_not_replicated(&created) {
            unreplicated += 1;
        } else {
            assert_eq!(created.unwrap(), Created::Created);
            acknowledged += 1;
            let stone: Tombstone = tombstone(&record);
            let ended = store.end(id, None, &stone, MINUTE).await.unwrap();
            assert_eq!(ended, Ended::Ended);
        }
    }
    assert!(
        acknowledged > 20 && unreplicated > 5,
        "{acknowledged} acknowledged, {unreplicated} not"
    );
}
