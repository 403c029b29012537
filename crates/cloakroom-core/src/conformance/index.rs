//! What every index of users must do.

use std::collections::HashSet;
use std::time::Duration;

use super::{LONG, Subject, create, numbered, sample, tombstone_of};
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::entropy::SystemEntropy;
use crate::id::SessionId;
use crate::index::{Admission, Applicant, LEASE, Limit, OLD, UserIndex};
use crate::store::Store;
use crate::token::{Realm, Token};
use crate::user::{UserId, UserKey};

/// Runs the suite of a store's index.
///
/// # Panics
///
/// When the index breaks a promise of the contract, or the store has none.
pub async fn all(subject: &impl Subject) {
    let store = subject.store().await;
    let index = store.index().expect("the store keeps an index");
    let index = &index;
    what_is_entered_is_there_until_it_is_forgotten(index).await;
    a_limit_refuses_and_enters_nothing(index).await;
    a_limit_makes_room_by_the_oldest(index).await;
    what_is_to_be_ended_is_handed_to_one_at_a_time(index).await;
    what_is_replaced_does_not_count(index).await;
    what_is_dead_makes_room(index).await;
    what_is_old_goes_by_itself_and_a_later_deadline_stays(index).await;
    of_many_at_once_as_many_count_as_may(index).await;
    every_old_entry_is_handed_out_to_be_looked_at(index).await;
    the_epoch_moves_forward_alone(index).await;
    everything_is_found(subject).await;
    super::enter::all(subject).await;
}

/// The key of a user of whom nobody has heard.
pub(super) fn new_user() -> UserKey {
    let name = new_id(SystemClock.now()).to_string();
    UserKey::new(&Realm::new("conformance"), &UserId::from(name))
}

fn new_id(now: Timestamp) -> SessionId {
    let token = Token::issue(now, &SystemEntropy);
    token.expect("the system has randomness").id()
}

fn applicant(now: Timestamp) -> Applicant {
    Applicant {
        id: new_id(now),
        deadline: now.plus(Duration::from_secs(3600)),
        now,
        limit: None,
        replaces: None,
        dead: Vec::new(),
    }
}

fn limited(now: Timestamp, most: u32, make_room: bool) -> Applicant {
    Applicant {
        limit: Some(Limit { most, make_room }),
        ..applicant(now)
    }
}

async fn admit(index: &impl UserIndex, user: &UserKey, applicant: &Applicant) -> Admission {
    let admission = index.admit(user, applicant).await;
    admission.expect("admit answers")
}

/// The sessions that the caller is to end.
async fn over(index: &impl UserIndex, user: &UserKey, applicant: &Applicant) -> Vec<SessionId> {
    match admit(index, user, applicant).await {
        Admission::Admitted { over, sample } => {
            assert!(!sample.contains(&applicant.id), "a sample is of the others");
            over
        }
        Admission::Full(there) => panic!("the index is full: {there:?}"),
    }
}

pub(super) async fn entered(index: &impl UserIndex, user: &UserKey) -> HashSet<SessionId> {
    let entered = index.entered(user).await.expect("entered answers");
    let set: HashSet<_> = entered.iter().copied().collect();
    assert_eq!(set.len(), entered.len(), "each id once");
    set
}

async fn what_is_entered_is_there_until_it_is_forgotten(index: &impl UserIndex) {
    let (one, two, now) = (new_user(), new_user(), SystemClock.now());
    assert!(entered(index, &one).await.is_empty());
    let applicants = [applicant(now), applicant(now), applicant(now)];
    for applicant in &applicants {
        assert!(over(index, &one, applicant).await.is_empty());
        // Once more is as good as once.
        assert!(over(index, &one, applicant).await.is_empty());
    }
    let ids = applicants.each_ref().map(|applicant| applicant.id);
    assert_eq!(entered(index, &one).await, HashSet::from(ids));
    assert!(entered(index, &two).await.is_empty(), "of another user");
    index.forget(&one, &ids[..2]).await.expect("forget answers");
    assert_eq!(entered(index, &one).await, HashSet::from([ids[2]]));
    index.forget(&one, &[]).await.expect("forget answers");
    index.forget(&two, &ids).await.expect("forget answers");
    assert_eq!(entered(index, &one).await, HashSet::from([ids[2]]));
    index.forget(&one, &ids).await.expect("forget answers");
    assert!(entered(index, &one).await.is_empty());
}

async fn a_limit_refuses_and_enters_nothing(index: &impl UserIndex) {
    let (user, now) = (new_user(), SystemClock.now());
    let first = [limited(now, 2, false), limited(now, 2, false)];
    for applicant in &first {
        assert!(over(index, &user, applicant).await.is_empty());
    }
    let there = HashSet::from(first.each_ref().map(|applicant| applicant.id));
    match admit(index, &user, &limited(now, 2, false)).await {
        Admission::Full(told) => assert_eq!(HashSet::from_iter(told), there),
        admitted @ Admission::Admitted { .. } => panic!("{admitted:?}"),
    }
    assert_eq!(entered(index, &user).await, there);
    // Who is entered already is not one more.
    assert!(over(index, &user, &first[0]).await.is_empty());
    // And a limit binds only who brings it.
    assert!(over(index, &user, &applicant(now)).await.is_empty());
}

async fn a_limit_makes_room_by_the_oldest(index: &impl UserIndex) {
    let (user, now) = (new_user(), SystemClock.now());
    let at = |seconds| now.plus(Duration::from_secs(seconds));
    // Entered in another order than that of their beginning.
    let (second, first, third) = (applicant(at(2)), applicant(at(1)), applicant(at(3)));
    for applicant in [&second, &first, &third] {
        over(index, &user, applicant).await;
    }
    let fourth = limited(at(4), 3, true);
    assert_eq!(over(index, &user, &fourth).await, [first.id]);
    assert!(
        entered(index, &user).await.contains(&first.id),
        "until it is forgotten"
    );
    let fifth = limited(at(5), 1, true);
    let told = HashSet::from_iter(over(index, &user, &fifth).await);
    assert_eq!(told, HashSet::from([second.id, third.id, fourth.id]));
}

async fn what_is_to_be_ended_is_handed_to_one_at_a_time(index: &impl UserIndex) {
    let (user, now) = (new_user(), SystemClock.now());
    let first = applicant(now);
    over(index, &user, &first).await;
    let second = limited(now.plus(Duration::from_millis(1)), 1, true);
    assert_eq!(over(index, &user, &second).await, [first.id]);
    let soon = now.plus(LEASE / 2);
    let third = limited(soon, 1, true);
    assert_eq!(
        over(index, &user, &third).await,
        [second.id],
        "the first is taken care of"
    );
    // Nobody has told that the first has ended.
    let late = now.plus(LEASE).plus(Duration::from_millis(1));
    let fourth = limited(late, 1, true);
    let told = HashSet::from_iter(over(index, &user, &fourth).await);
    assert_eq!(told, HashSet::from([first.id, third.id]));
}

async fn what_is_replaced_does_not_count(index: &impl UserIndex) {
    let (user, now) = (new_user(), SystemClock.now());
    let old = limited(now, 1, false);
    over(index, &user, &old).await;
    let new = Applicant {
        replaces: Some(old.id),
        ..limited(now, 1, false)
    };
    assert!(over(index, &user, &new).await.is_empty());
    assert_eq!(entered(index, &user).await, HashSet::from([old.id, new.id]));
}

async fn what_is_dead_makes_room(index: &impl UserIndex) {
    let (user, now) = (new_user(), SystemClock.now());
    let old = limited(now, 1, false);
    over(index, &user, &old).await;
    let new = Applicant {
        dead: vec![old.id],
        ..limited(now, 1, false)
    };
    assert!(over(index, &user, &new).await.is_empty());
    assert_eq!(entered(index, &user).await, HashSet::from([new.id]));
}

async fn what_is_old_goes_by_itself_and_a_later_deadline_stays(index: &impl UserIndex) {
    let (user, now) = (new_user(), SystemClock.now());
    let (first, second) = (applicant(now), applicant(now));
    over(index, &user, &first).await;
    over(index, &user, &second).await;
    // One moves its deadline, and is then entered with the old one again.
    let later = first.deadline.plus(Duration::from_secs(600));
    for deadline in [later, first.deadline] {
        let moved = Applicant {
            deadline,
            ..first.clone()
        };
        over(index, &user, &moved).await;
    }
    let then = second.deadline.plus(OLD).plus(Duration::from_secs(1));
    let third = applicant(then);
    over(index, &user, &third).await;
    assert_eq!(
        entered(index, &user).await,
        HashSet::from([first.id, third.id])
    );
}

async fn of_many_at_once_as_many_count_as_may(index: &impl UserIndex) {
    let (user, now) = (new_user(), SystemClock.now());
    let mut handed = HashSet::new();
    for _ in 0..50 {
        for id in over(index, &user, &limited(now, 5, true)).await {
            assert!(handed.insert(id), "{id} was handed to two");
        }
    }
    assert_eq!(handed.len(), 45);
    let ids: Vec<_> = handed.into_iter().collect();
    index.forget(&user, &ids).await.expect("forget answers");
    assert_eq!(entered(index, &user).await.len(), 5);
}

async fn every_old_entry_is_handed_out_to_be_looked_at(index: &impl UserIndex) {
    let (user, now) = (new_user(), SystemClock.now());
    let mut old = HashSet::new();
    for _ in 0..10 {
        let applicant = applicant(now);
        over(index, &user, &applicant).await;
        old.insert(applicant.id);
    }
    let later = now.plus(OLD).plus(Duration::from_secs(1));
    let (mut seen, mut rounds) = (HashSet::new(), 0);
    while seen != old {
        match admit(index, &user, &applicant(later)).await {
            Admission::Admitted { sample, .. } => seen.extend(sample),
            full @ Admission::Full(_) => panic!("{full:?}"),
        }
        assert!(seen.is_subset(&old), "young ones may be about to be stored");
        rounds += 1;
        assert!(rounds < 2000, "some are never looked at");
    }
}

async fn the_epoch_moves_forward_alone(index: &impl UserIndex) {
    let epoch = async || index.epoch().await.expect("epoch answers");
    let begin = async |at| {
        let begun = index.begin_epoch(at, LONG).await;
        begun.expect("begin_epoch answers");
    };
    let before = epoch().await;
    let (first, second) = (before.plus(LONG), before.plus(LONG * 2));
    begin(second).await;
    assert_eq!(epoch().await, second);
    begin(first).await;
    assert_eq!(epoch().await, second, "a later one stays");
}

async fn everything_is_found(subject: &impl Subject) {
    let store = subject.store().await;
    let index = store.index().expect("the store keeps an index");
    let mut ids = HashSet::new();
    for number in 0..20 {
        let (id, record) = sample(numbered(number));
        create(&store, id, &record, LONG).await;
        if number % 2 == 0 {
            let ended = store.end(id, None, &tombstone_of(&record), LONG).await;
            ended.expect("end answers");
        }
        ids.insert(id);
    }
    let stranger = applicant(SystemClock.now());
    over(&index, &new_user(), &stranger).await;
    let found = index.everything().await.expect("everything answers");
    let found: HashSet<_> = found.into_iter().collect();
    assert!(found.is_superset(&ids));
    assert!(!found.contains(&stranger.id), "an entry is no session");
}
