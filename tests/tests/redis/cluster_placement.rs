//! On a cluster, new sessions of a user are in the slot of the user's index, so that a sign-in is one command.

use cloakroom_core::bus::EventBus as _;
use cloakroom_core::event::SessionEvent;
use cloakroom_core::index::{AddRequest, Limit, UserIndex as _};
use cloakroom_core::store::{Loaded, UserCreated};
use cloakroom_core::{
    Realm, Record, SessionId, Store, StoreError, StoreErrorKind, UserId, UserKey,
};
use cloakroom_redis::{NearCache, RedisStore};
use futures_util::future::join_all;
use http::StatusCode;
use tests::app::app;
use tests::browser::Browser;
use tests::generous;
use tests::records::{MINUTE, add_request, session};
use tests::topology::Cluster;

use crate::cluster_merging::sent_by;

/// Fewer than one merged command may contain.
const USERS: u64 = 60;

async fn connect(cluster: &Cluster) -> RedisStore {
    let store = generous::connect(cluster.url(), "cloakroom").await;
    store.expect("the cluster is complete")
}

/// A session of a user, as a sign-in draws it.
struct SignIn {
    user: UserKey,
    id: SessionId,
    record: Record,
    request: AddRequest,
}

impl SignIn {
    fn draw(store: &impl Store, user: u64) -> Self {
        let user = UserKey::new(&Realm::new("shop"), &UserId::from(user));
        let (drawn, record) = session(1);
        let id = store.place(&user, drawn);
        let request = add_request(id, &record);
        Self {
            user,
            id,
            record,
            request,
        }
    }

    async fn create(&self, store: &RedisStore) -> Result<UserCreated, StoreError> {
        let event = SessionEvent::Created { id: self.id };
        let (user, request) = (&self.user, &self.request);
        store
            .create_for_user(user, request, &self.record, MINUTE, Some(&event))
            .await
    }

    fn index_key(&self) -> String {
        format!("cloakroom:user:{}", self.user)
    }

    /// Whether the session is stored, and whether it is in the index.
    async fn is_there(&self, store: &RedisStore) -> (bool, bool) {
        let stored = store.load(self.id).await.expect("the cluster responds");
        let index = store.index().expect("there is one");
        let listed = index.contains(&self.user, self.id).await;
        (
            matches!(stored, Loaded::Record(_)),
            listed.expect("the cluster responds"),
        )
    }
}

fn is_created(created: &Result<UserCreated, StoreError>) -> bool {
    matches!(
        created,
        Ok(UserCreated::Created {
            published: true,
            ..
        })
    )
}

async fn sign_in_all(store: &RedisStore, sign_ins: &[SignIn]) {
    let created = join_all(sign_ins.iter().map(|sign_in| sign_in.create(store))).await;
    for created in created {
        assert!(is_created(&created), "{created:?}");
    }
}

#[tokio::test]
async fn concurrent_sign_ins_are_one_command_for_each_node() {
    let cluster = Cluster::start();
    let store = connect(&cluster).await;
    for limit in [None, None, Some(100)] {
        let mut sign_ins: Vec<_> = (0..USERS).map(|user| SignIn::draw(&store, user)).collect();
        for sign_in in &mut sign_ins {
            sign_in.request.limit = limit.map(|most| Limit {
                most,
                evict_oldest: true,
            });
        }
        let names = sent_by(&cluster, sign_in_all(&store, &sign_ins)).await;
        let (sent, again): (Vec<_>, Vec<_>) =
            names.iter().flatten().partition(|name| *name == "EVALSHA");
        // The first is sent before there are others. A script that a node does not know is sent again.
        assert_eq!(sent.len(), 4, "{names:?}");
        assert!(again.iter().all(|name| *name == "EVAL"), "{names:?}");
        for sign_in in &sign_ins {
            assert_eq!(sign_in.is_there(&store).await, (true, true));
        }
    }
}

/// Index, session and event.
#[tokio::test]
async fn a_request_signs_in_with_one_command() {
    let cluster = Cluster::start();
    let store = connect(&cluster).await;
    let mut events = Store::bus(&store).expect("there is one").subscribe();
    assert_eq!(events.next().await, Some(SessionEvent::Missed), "it holds");
    let router = app(generous::layer(store.clone()));
    for number in 0_u64..20 {
        let mut browser = Browser::new(router.clone());
        let names = sent_by(&cluster, async {
            let signed_in = browser.request(async move |session| session.sign_in(number).await);
            assert_eq!(signed_in.await.status, StatusCode::OK);
            // It was published before the response: nothing follows in the background.
            let event = events.next().await;
            assert!(
                matches!(event, Some(SessionEvent::SignedIn { .. })),
                "{event:?}"
            );
        });
        let names = names.await;
        let scripts = names
            .iter()
            .flatten()
            .filter(|name| name.starts_with("EVAL"));
        let publish = names.iter().flatten().filter(|name| *name == "PUBLISH");
        // A script that a node does not know is sent again.
        assert!((1..=2).contains(&scripts.count()), "{names:?}");
        assert_eq!(publish.count(), 0, "{names:?}");
    }
}

#[tokio::test]
async fn only_a_client_that_knows_clusters_places_sessions() {
    let user = UserKey::new(&Realm::new("shop"), &UserId::from("ada"));
    let (drawn, _) = session(1);
    let cluster = Cluster::start();
    let store = connect(&cluster).await;
    let placed = store.place(&user, drawn);
    let slot = |key: String| cluster.primaries()[0].command(&["CLUSTER", "KEYSLOT", &key]);
    assert_eq!(
        slot(format!("cloakroom:{placed}")),
        slot(format!("cloakroom:user:{user}"))
    );
    assert_eq!(NearCache::new(store).place(&user, drawn), placed);

    let shard = super::cluster_mode::single_shard();
    let store = generous::connect(shard.url(), "cloakroom").await;
    assert_eq!(store.expect("it is there").place(&user, drawn), drawn);
}

/// While a slot migrates, the index of its users may have moved and a new session be missing on both nodes. Such sign-ins fail,
/// and hold up no others, whatever they are merged with.
#[tokio::test]
async fn while_their_slot_migrates_sign_ins_fail_and_no_others() {
    let cluster = Cluster::start();
    let store = connect(&cluster).await;
    let first: Vec<_> = (0..USERS).map(|user| SignIn::draw(&store, user)).collect();
    sign_in_all(&store, &first).await;
    for (place, moves_index) in [(0, false), (1, false), (30, false), (2, true), (31, true)] {
        let of_slot = &first[place];
        let key = of_slot.index_key();
        let holder = cluster.holder(&key);
        let (from, to) = (
            &cluster.primaries()[holder],
            &cluster.primaries()[(holder + 1) % 3],
        );
        cluster.begin_move(&key, from, to);
        if moves_index {
            cluster.move_key(&key, from, to);
        }
        let sign_ins: Vec<_> = (0..USERS).map(|user| SignIn::draw(&store, user)).collect();
        let created = join_all(sign_ins.iter().map(|sign_in| sign_in.create(&store))).await;
        for (created, sign_in) in created.into_iter().zip(&sign_ins) {
            if sign_in.user == of_slot.user {
                assert_eq!(created.unwrap_err().kind(), StoreErrorKind::Unavailable);
            } else {
                assert!(is_created(&created), "{created:?}");
            }
        }
        if !moves_index {
            cluster.move_key(&key, from, to);
        }
        for key in from.keys() {
            let same = cluster.primaries()[0].command(&["CLUSTER", "KEYSLOT", &key])
                == cluster.primaries()[0].command(&["CLUSTER", "KEYSLOT", &of_slot.index_key()]);
            if same {
                cluster.move_key(&key, from, to);
            }
        }
        cluster.end_move(&key, from, to);
        assert_eq!(of_slot.is_there(&store).await, (true, true));
        let (stored, _) = sign_ins[place].is_there(&store).await;
        assert!(!stored, "it has failed");
        let again = SignIn::draw(&store, place as u64);
        let created = again.create(&store).await;
        assert!(is_created(&created), "{created:?}");
        assert_eq!(again.is_there(&store).await, (true, true));
    }
}
