//! The tests of [`Store::create_for_user`]: creating a session of a user.

use std::collections::HashSet;
use std::time::Duration;

use super::fixtures::{LONG, Subject, listed, load, new_user, numbered, sample, tombstone_of};
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::event::SessionEvent;
use crate::id::SessionId;
use crate::index::{AddRequest, Limit, STALE_AFTER, UserIndex};
use crate::record::Record;
use crate::rng::SystemRng;
use crate::store::{Loaded, Store, UserCreated};
use crate::token::Token;
use crate::user::UserKey;

pub(super) async fn all(subject: &impl Subject) {
    let store = &subject.store().await;
    it_is_indexed_and_stored(store).await;
    let limit = Limit {
        most: 5,
        evict_oldest: true,
    };
    for limit in [None, Some(limit)] {
        nothing_is_overwritten(store, limit).await;
    }
    evicted_sessions_end_first(store).await;
    a_full_index_stores_nothing(store).await;
    a_sample_contains_other_ids_only(store).await;
    an_id_is_placed_without_losing_what_makes_it_unique(store).await;
}

/// A session of a user, to be created.
struct NewSession {
    id: SessionId,
    record: Record,
    add_request: AddRequest,
}

fn new_session(number: u32, limit: Option<Limit>) -> NewSession {
    let (id, record) = sample(numbered(number));
    let add_request = AddRequest {
        id,
        deadline: record.limits().deadline(),
        now: SystemClock.now(),
        limit,
        replaces: None,
        dead: Vec::new(),
        has_fresh_token: true,
    };
    NewSession {
        id,
        record,
        add_request,
    }
}

async fn create_for_user(store: &impl Store, user: &UserKey, session: &NewSession) -> UserCreated {
    let event = SessionEvent::Created { id: session.id };
    let listed = store.create_for_user(
        user,
        &session.add_request,
        &session.record,
        LONG,
        Some(&event),
    );
    listed.await.expect("enter succeeds")
}

async fn is_indexed(store: &impl Store, user: &UserKey, id: SessionId) -> bool {
    let index = store.index().expect("the store has a user index");
    listed(&index, user).await.contains(&id)
}

async fn it_is_indexed_and_stored(store: &impl Store) {
    let user = new_user();
    for number in 0..3 {
        let session = new_session(number, None);
        let listed = create_for_user(store, &user, &session).await;
        assert!(matches!(listed, UserCreated::Created { .. }), "{listed:?}");
        assert!(is_indexed(store, &user, session.id).await);
        assert_eq!(
            load(store, session.id).await,
            Loaded::Record(session.record)
        );
    }
}

async fn nothing_is_overwritten(store: &impl Store, limit: Option<Limit>) {
    let user = new_user();
    let (first, second) = (new_session(1, limit), new_session(2, limit));
    let tombstone = tombstone_of(&first.record);
    let ended = store.end(first.id, None, &tombstone, LONG).await;
    ended.expect("end succeeds");
    assert_eq!(
        create_for_user(store, &user, &first).await,
        UserCreated::Collision
    );
    assert_eq!(load(store, first.id).await, Loaded::Tombstone(tombstone));

    create_for_user(store, &user, &second).await;
    let again = NewSession {
        record: new_session(3, limit).record,
        ..second
    };
    assert_eq!(
        create_for_user(store, &user, &again).await,
        UserCreated::Collision
    );
    let there = load(store, again.id).await;
    assert_eq!(there, Loaded::Record(second.record));
}

async fn evicted_sessions_end_first(store: &impl Store) {
    let user = new_user();
    let limit = Some(Limit {
        most: 1,
        evict_oldest: true,
    });
    let (first, second) = (new_session(1, limit), new_session(2, limit));
    create_for_user(store, &user, &first).await;
    match create_for_user(store, &user, &second).await {
        UserCreated::LimitExceeded { over, .. } => assert_eq!(over, [first.id]),
        other => panic!("{other:?}"),
    }
    assert!(is_indexed(store, &user, second.id).await);
    assert_eq!(load(store, second.id).await, Loaded::Nothing);
}

async fn a_full_index_stores_nothing(store: &impl Store) {
    let user = new_user();
    let limit = Some(Limit {
        most: 1,
        evict_oldest: false,
    });
    let (first, second) = (new_session(1, limit), new_session(2, limit));
    create_for_user(store, &user, &first).await;
    let listed = create_for_user(store, &user, &second).await;
    assert_eq!(listed, UserCreated::LimitReached(vec![first.id]));
    assert!(!is_indexed(store, &user, second.id).await);
    assert_eq!(load(store, second.id).await, Loaded::Nothing);
}

/// The id of a migrated session is as old as the start of the migration, so it may be old at creation.
async fn a_sample_contains_other_ids_only(store: &impl Store) {
    let user = new_user();
    let mut old = new_session(1, None);
    old.add_request.now = later(old.add_request.now);
    match create_for_user(store, &user, &old).await {
        UserCreated::Created { sample, .. } => assert_eq!(sample, []),
        other => panic!("{other:?}"),
    }
    // A sample is taken with some of the calls.
    for number in 2.. {
        let mut next = new_session(number, None);
        next.add_request.now = later(next.add_request.now);
        let sample = match create_for_user(store, &user, &next).await {
            UserCreated::Created { sample, .. } => sample,
            other => panic!("{other:?}"),
        };
        let index = store.index().expect("the store has a user index");
        let removed = index.remove(&user, &[next.id]).await;
        removed.expect("remove succeeds");
        if !sample.is_empty() {
            assert_eq!(sample, [old.id]);
            break;
        }
        assert!(number < 1000, "there is no sample");
    }
}

fn later(now: Timestamp) -> Timestamp {
    now.plus(STALE_AFTER + Duration::from_secs(1))
}

/// Sessions of one user at one moment, which a store may keep near each other.
async fn an_id_is_placed_without_losing_what_makes_it_unique(store: &impl Store) {
    let (user, now) = (new_user(), SystemClock.now());
    let mut placed = HashSet::new();
    for number in 0..100 {
        let token = Token::issue(now, &SystemRng).expect("the system has randomness");
        let drawn = token.id();
        let id = store.place(&user, drawn);
        assert_eq!(id.created_at(), drawn.created_at());
        assert_eq!(id.as_bytes()[12..], drawn.as_bytes()[12..]);
        assert!(placed.insert(id), "two sessions have the id {id}");
        let mut session = new_session(number, None);
        session.id = id;
        session.add_request.id = id;
        let created = create_for_user(store, &user, &session).await;
        assert!(
            matches!(created, UserCreated::Created { .. }),
            "{created:?}"
        );
        let loaded = load(store, id).await;
        assert_eq!(loaded, Loaded::Record(session.record));
    }
    let index = store.index().expect("the store has a user index");
    assert_eq!(listed(&index, &user).await, placed);
}
