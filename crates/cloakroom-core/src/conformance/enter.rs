//! What every store with an index must do when a session begins for a user.

use std::time::Duration;

use super::index::{entered, new_user};
use super::{LONG, Subject, load, numbered, sample, tombstone_of};
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::event::SessionEvent;
use crate::id::SessionId;
use crate::index::{Applicant, Limit, OLD, UserIndex};
use crate::record::Record;
use crate::store::{Entered, Loaded, Store};
use crate::user::UserKey;

pub(super) async fn all(subject: &impl Subject) {
    let store = &subject.store().await;
    it_is_entered_and_stored(store).await;
    what_is_there_stays(store).await;
    what_is_over_is_ended_first(store).await;
    a_full_index_stores_nothing(store).await;
    only_others_are_looked_at(store).await;
}

/// A session that begins for a user.
struct Guest {
    id: SessionId,
    record: Record,
    applicant: Applicant,
}

fn guest(number: u32, limit: Option<Limit>) -> Guest {
    let (id, record) = sample(numbered(number));
    let applicant = Applicant {
        id,
        deadline: record.limits().deadline(),
        now: SystemClock.now(),
        limit,
        replaces: None,
        dead: Vec::new(),
    };
    Guest {
        id,
        record,
        applicant,
    }
}

async fn enter(store: &impl Store, user: &UserKey, guest: &Guest) -> Entered {
    let event = SessionEvent::Created { id: guest.id };
    let entered = store.enter(user, &guest.applicant, &guest.record, LONG, Some(&event));
    entered.await.expect("enter answers")
}

async fn is_entered(store: &impl Store, user: &UserKey, id: SessionId) -> bool {
    let index = store.index().expect("the store keeps an index");
    entered(&index, user).await.contains(&id)
}

async fn it_is_entered_and_stored(store: &impl Store) {
    let user = new_user();
    for number in 0..3 {
        let guest = guest(number, None);
        let entered = enter(store, &user, &guest).await;
        assert!(matches!(entered, Entered::Created { .. }), "{entered:?}");
        assert!(is_entered(store, &user, guest.id).await);
        assert_eq!(load(store, guest.id).await, Loaded::Record(guest.record));
    }
}

async fn what_is_there_stays(store: &impl Store) {
    let user = new_user();
    let (first, second) = (guest(1, None), guest(2, None));
    let stone = tombstone_of(&first.record);
    let ended = store.end(first.id, None, &stone, LONG).await;
    ended.expect("end answers");
    assert_eq!(enter(store, &user, &first).await, Entered::Collision);
    assert_eq!(load(store, first.id).await, Loaded::Tombstone(stone));

    enter(store, &user, &second).await;
    let again = Guest {
        record: guest(3, None).record,
        ..second
    };
    assert_eq!(enter(store, &user, &again).await, Entered::Collision);
    let there = load(store, again.id).await;
    assert_eq!(there, Loaded::Record(second.record));
}

async fn what_is_over_is_ended_first(store: &impl Store) {
    let user = new_user();
    let limit = Some(Limit {
        most: 1,
        make_room: true,
    });
    let (first, second) = (guest(1, limit), guest(2, limit));
    enter(store, &user, &first).await;
    match enter(store, &user, &second).await {
        Entered::Over { over, .. } => assert_eq!(over, [first.id]),
        other => panic!("{other:?}"),
    }
    assert!(is_entered(store, &user, second.id).await);
    assert_eq!(load(store, second.id).await, Loaded::Nothing);
}

async fn a_full_index_stores_nothing(store: &impl Store) {
    let user = new_user();
    let limit = Some(Limit {
        most: 1,
        make_room: false,
    });
    let (first, second) = (guest(1, limit), guest(2, limit));
    enter(store, &user, &first).await;
    let entered = enter(store, &user, &second).await;
    assert_eq!(entered, Entered::Full(vec![first.id]));
    assert!(!is_entered(store, &user, second.id).await);
    assert_eq!(load(store, second.id).await, Loaded::Nothing);
}

/// A session that moves in has an id as old as the move.
async fn only_others_are_looked_at(store: &impl Store) {
    let user = new_user();
    let mut old = guest(1, None);
    old.applicant.now = later(old.applicant.now);
    match enter(store, &user, &old).await {
        Entered::Created { sample, .. } => assert_eq!(sample, []),
        other => panic!("{other:?}"),
    }
    let mut next = guest(2, None);
    next.applicant.now = later(next.applicant.now);
    match enter(store, &user, &next).await {
        Entered::Created { sample, .. } => assert_eq!(sample, [old.id]),
        other => panic!("{other:?}"),
    }
    let index = store.index().expect("the store keeps an index");
    let forgotten = index.forget(&user, &[old.id, next.id]).await;
    forgotten.expect("forget answers");
}

fn later(now: Timestamp) -> Timestamp {
    now.plus(OLD + Duration::from_secs(1))
}
