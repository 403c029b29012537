//! A sign-in on a cluster whose session is in another slot than the user's index writes them with two commands. So it is if the
//! id of the session is derived, or if the client does not know clusters. `cluster_placement` has the others.

use std::time::Duration;

use cloakroom_core::bus::EventBus;
use cloakroom_core::event::SessionEvent;
use cloakroom_core::index::{AddRequest, Limit};
use cloakroom_core::store::{Loaded, UserCreated};
use cloakroom_core::{Realm, SessionId, Store, StoreError, UserId, UserKey};
use cloakroom_redis::RedisStore;
use http::StatusCode;
use tests::app::app;
use tests::browser::Browser;
use tests::generous;
use tests::records::{MINUTE, add_request, all_ids, session};
use tests::redis::RedisServer;
use tests::resp::Reply;
use tests::topology::Cluster;
use tests::wait::within;

use crate::cluster_mode::single_shard;

/// Generous, for a busy machine.
const LIMIT: Duration = Duration::from_secs(20);

const RIGHTS: [&str; 2] = ["+cluster|slots", "+cluster|info"];

/// A store on a cluster whose nodes add nothing to an index.
async fn without_index(cluster: &Cluster) -> RedisStore {
    let store = with_rights(cluster).await;
    for node in cluster.nodes() {
        node.add_user(&["-zadd"]);
    }
    store
}

async fn with_rights(cluster: &Cluster) -> RedisStore {
    for node in cluster.nodes() {
        node.add_user(&RIGHTS);
    }
    let builder = generous::redis(cluster.url(), "cloakroom").with_username("shop");
    let store = builder.with_password("password").connect().await;
    store.expect("the cluster is complete")
}

/// Tries a sign-in, and returns its outcome and what is stored under its id then.
async fn sign_in(
    store: &RedisStore,
    change: impl FnOnce(&mut AddRequest),
) -> (Result<UserCreated, StoreError>, Loaded) {
    let user = UserKey::new(&Realm::new("shop"), &UserId::from("ada"));
    let (id, record) = session(1);
    let mut request = add_request(id, &record);
    change(&mut request);
    let created = store.create_for_user(&user, &request, &record, MINUTE, None);
    let created = created.await;
    (created, store.load(id).await.expect("the cluster responds"))
}

/// If the index fails, the session is only stored if nobody has its token and no limit can forbid it. The sign-in
/// fails in either case.
#[tokio::test]
async fn only_a_fresh_session_without_a_limit_is_stored_before_it_is_indexed() {
    let cluster = Cluster::start();
    let store = without_index(&cluster).await;
    let (created, loaded) = sign_in(&store, |request| request.has_fresh_token = true).await;
    assert!(created.is_err(), "{created:?}");
    assert!(matches!(loaded, Loaded::Record(_)), "{loaded:?}");
    let derived = |request: &mut AddRequest| request.has_fresh_token = false;
    let limited = |request: &mut AddRequest| {
        request.limit = Some(Limit {
            most: 5,
            evict_oldest: true,
        });
    };
    for (created, loaded) in [
        sign_in(&store, derived).await,
        sign_in(&store, limited).await,
    ] {
        assert!(created.is_err(), "{created:?}");
        assert_eq!(loaded, Loaded::Nothing);
    }
}

/// The caller ends the oldest sessions, and stores this one then.
#[tokio::test]
async fn a_sign_in_above_the_limit_stores_nothing_yet() {
    let cluster = Cluster::start();
    let store = generous::connect(cluster.url(), "cloakroom")
        .await
        .expect("the cluster is complete");
    let limited = |request: &mut AddRequest| {
        request.has_fresh_token = false;
        request.limit = Some(Limit {
            most: 1,
            evict_oldest: true,
        });
    };
    let (created, loaded) = sign_in(&store, limited).await;
    assert!(
        matches!(created, Ok(UserCreated::Created { .. })),
        "{created:?}"
    );
    assert!(matches!(loaded, Loaded::Record(_)), "{loaded:?}");
    let (created, loaded) = sign_in(&store, limited).await;
    let Ok(UserCreated::LimitExceeded { over, .. }) = created else {
        panic!("{created:?}");
    };
    assert_eq!((over.len(), loaded), (1, Loaded::Nothing));
}

/// Both commands are on their way at the same time: the session is stored while the node of the index does not respond,
/// and the sign-in does not succeed before that node has responded.
#[tokio::test]
async fn a_fresh_session_does_not_wait_for_the_index() {
    let cluster = Cluster::start();
    let store = with_rights(&cluster).await;
    let user = UserKey::new(&Realm::new("shop"), &UserId::from("ada"));
    // The first sign-in shows which node has the index.
    let (created, _) = sign_in(&store, |_| ()).await;
    assert!(
        matches!(created, Ok(UserCreated::Created { .. })),
        "{created:?}"
    );
    let has_index = |node: &&RedisServer| {
        let mut keys = node.keys_with_ttl().into_iter();
        keys.any(|(key, _)| key.starts_with("cloakroom:user:"))
    };
    let of_index = cluster.primaries().iter().find(has_index);
    let of_index = of_index.expect("there is an index");
    let (id, record) = loop {
        let (id, record) = session(1);
        // A node that does not have the key responds with an error.
        let found = of_index.command(&["EXISTS", &format!("cloakroom:{id}")]);
        if found != Reply::Number(0) {
            break (id, record);
        }
    };
    let request = add_request(id, &record);
    of_index.command(&["CLIENT", "PAUSE", "1000000", "WRITE"]);
    let sign_in = store.create_for_user(&user, &request, &record, MINUTE, None);
    let mut sign_in = Box::pin(sign_in);
    let is_stored = async || {
        let loaded = store.load(id).await.expect("the other node responds");
        matches!(loaded, Loaded::Record(_))
    };
    tokio::select! {
        created = &mut sign_in => panic!("it has not been indexed: {created:?}"),
        () = within("the session is stored", LIMIT, is_stored) => {}
    }
    of_index.command(&["CLIENT", "UNPAUSE"]);
    let created = sign_in.await;
    assert!(
        matches!(created, Ok(UserCreated::Created { .. })),
        "{created:?}"
    );
}

/// The live sessions in a store.
async fn live(store: &RedisStore) -> Vec<SessionId> {
    let mut live = Vec::new();
    for id in all_ids(&store.admin().expect("it has store-wide operations")).await {
        if let Loaded::Record(_) = store.load(id).await.expect("the cluster responds") {
            live.push(id);
        }
    }
    live
}

#[tokio::test]
async fn a_sign_in_that_cannot_be_indexed_on_a_cluster_fails_and_leaves_no_session() {
    let cluster = Cluster::start();
    let store = without_index(&cluster).await;
    // One script, which the index comes first in.
    assert_eq!(
        stored_by_a_failing_sign_in(&store, cluster.nodes()).await,
        0
    );
}

/// The store does not know in which slot an id is, so both commands are on their way at the same time.
#[tokio::test]
async fn a_session_that_is_stored_and_cannot_be_indexed_is_rolled_back() {
    let shard = single_shard();
    shard.add_user(&[]);
    let builder = generous::redis(shard.url(), "cloakroom").with_username("shop");
    let store = builder.with_password("password").connect().await;
    let store = store.expect("it is in cluster mode");
    shard.command(&["ACL", "SETUSER", "shop", "-zadd"]);
    let stored = stored_by_a_failing_sign_in(&store, std::slice::from_ref(&shard)).await;
    assert!(stored > 0, "it was stored before");
}

/// Signs in to an app whose store cannot add to an index, and returns how many records it has stored.
async fn stored_by_a_failing_sign_in(store: &RedisStore, nodes: &[RedisServer]) -> usize {
    let monitors: Vec<_> = nodes.iter().map(RedisServer::monitor).collect();
    let mut browser = Browser::new(app(generous::layer(store.clone())));
    let response = browser
        .request(async |session| session.sign_in("ada").await)
        .await;
    assert_eq!(response.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.set_cookies().is_empty());
    let admin = store.admin().expect("it has store-wide operations");
    within("the session is rolled back", LIMIT, async || {
        !all_ids(&admin).await.is_empty() && live(store).await.is_empty()
    })
    .await;
    let (mut stored, mut published) = (0, 0);
    for monitor in monitors {
        for command in monitor.recorded() {
            let words = command.words;
            stored += usize::from(words[0] == "SET" && words[2].starts_with('c'));
            published += usize::from(words[0].eq_ignore_ascii_case("PUBLISH"));
        }
    }
    assert_eq!(published, 0, "nobody has signed in");
    stored
}

/// By the script that stores the session, if that follows the index. Otherwise in the background, once both have succeeded.
#[tokio::test]
async fn a_sign_in_on_a_cluster_is_published_once() {
    let cluster = Cluster::start();
    let store = generous::connect(cluster.url(), "cloakroom").await;
    let store = store.expect("the cluster is complete");
    let user = UserKey::new(&Realm::new("shop"), &UserId::from("ada"));
    for has_fresh_token in [true, false] {
        let (id, record) = session(1);
        let mut request = add_request(id, &record);
        request.has_fresh_token = has_fresh_token;
        let event = SessionEvent::Created { id };
        let created = store.create_for_user(&user, &request, &record, MINUTE, Some(&event));
        match created.await {
            Ok(UserCreated::Created { published, .. }) => assert_eq!(published, !has_fresh_token),
            created => panic!("{created:?}"),
        }
    }

    let mut events = Store::bus(&store).expect("there is one").subscribe();
    assert_eq!(events.next().await, Some(SessionEvent::Missed), "it holds");
    for user in ["ada", "grace"] {
        let mut browser = Browser::new(app(generous::layer(store.clone())));
        let response = browser.request(async move |session| session.sign_in(user).await);
        assert_eq!(response.await.status, StatusCode::OK);
        // The next event is that of the other user.
        match events.next().await {
            Some(SessionEvent::SignedIn { user: of, .. }) => assert_eq!(of, UserId::from(user)),
            other => panic!("{other:?}"),
        }
    }
}
