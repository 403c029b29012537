//! The test suite for user indexes.

use std::collections::HashSet;
use std::time::Duration;

use super::fixtures::{Subject, add, add_request, join_all, limited, listed, new_user, over};
use super::{large_index, sign_in};
use crate::clock::{Clock, SystemClock};
use crate::index::{AddOutcome, AddRequest, LEASE, STALE_AFTER, UserIndex};
use crate::store::Store;

/// Runs the suite for a store's user index.
///
/// # Panics
///
/// If the index violates the contract, or the store has none.
pub async fn all(subject: &impl Subject) {
    let store = subject.store().await;
    let index = store.index().expect("the store has a user index");
    let index = &index;
    an_id_is_listed_until_it_is_removed(index).await;
    a_limit_refuses_and_adds_nothing(index).await;
    a_limit_evicts_the_oldest(index).await;
    an_evicted_id_is_returned_to_one_caller_at_a_time(index).await;
    a_replaced_session_does_not_count(index).await;
    a_dead_id_does_not_count(index).await;
    expired_ids_are_removed_and_the_later_deadline_counts(index).await;
    many_sign_ins_leave_as_many_sessions_as_allowed(index).await;
    of_many_sign_ins_as_many_are_added_as_allowed(index).await;
    every_old_id_is_sampled(index).await;
    large_index::all(index).await;
    sign_in::all(subject).await;
}

/// How late an index may remove an id whose deadline was an hour after its creation.
const ROUNDING: Duration = Duration::from_secs(120);

async fn an_id_is_listed_until_it_is_removed(index: &impl UserIndex) {
    let (one, two, now) = (new_user(), new_user(), SystemClock.now());
    assert!(listed(index, &one).await.is_empty());
    let applicants = [add_request(now), add_request(now), add_request(now)];
    for add_request in &applicants {
        assert!(over(index, &one, add_request).await.is_empty());
        // Adding an id again changes nothing.
        assert!(over(index, &one, add_request).await.is_empty());
    }
    let ids = applicants.each_ref().map(|add_request| add_request.id);
    assert_eq!(listed(index, &one).await, HashSet::from(ids));
    assert!(listed(index, &two).await.is_empty(), "of another user");
    let contains = async |user, id| index.contains(user, id).await.expect("contains succeeds");
    assert!(contains(&one, ids[0]).await);
    assert!(!contains(&two, ids[0]).await, "of another user");
    index
        .remove(&one, &ids[..2])
        .await
        .expect("forget succeeds");
    assert_eq!(listed(index, &one).await, HashSet::from([ids[2]]));
    assert!(!contains(&one, ids[0]).await);
    index.remove(&one, &[]).await.expect("forget succeeds");
    index.remove(&two, &ids).await.expect("forget succeeds");
    assert_eq!(listed(index, &one).await, HashSet::from([ids[2]]));
    index.remove(&one, &ids).await.expect("forget succeeds");
    assert!(listed(index, &one).await.is_empty());
}

async fn a_limit_refuses_and_adds_nothing(index: &impl UserIndex) {
    let (user, now) = (new_user(), SystemClock.now());
    let first = [limited(now, 2, false), limited(now, 2, false)];
    for add_request in &first {
        assert!(over(index, &user, add_request).await.is_empty());
    }
    let there = HashSet::from(first.each_ref().map(|add_request| add_request.id));
    match add(index, &user, &limited(now, 2, false)).await {
        AddOutcome::LimitReached(full) => assert_eq!(HashSet::from_iter(full), there),
        admitted @ AddOutcome::Added { .. } => panic!("{admitted:?}"),
    }
    assert_eq!(listed(index, &user).await, there);
    // An id that is in the index already does not count twice.
    assert!(over(index, &user, &first[0]).await.is_empty());
    // A limit applies only to a sign-in that specifies it.
    assert!(over(index, &user, &add_request(now)).await.is_empty());
}

async fn a_limit_evicts_the_oldest(index: &impl UserIndex) {
    let (user, now) = (new_user(), SystemClock.now());
    let at = |seconds| now.plus(Duration::from_secs(seconds));
    // Added in another order than that of their creation.
    let (second, first, third) = (add_request(at(2)), add_request(at(1)), add_request(at(3)));
    for add_request in [&second, &first, &third] {
        over(index, &user, add_request).await;
    }
    let fourth = limited(at(4), 3, true);
    assert_eq!(over(index, &user, &fourth).await, [first.id]);
    assert!(
        listed(index, &user).await.contains(&first.id),
        "until it is removed"
    );
    let fifth = limited(at(5), 1, true);
    let evicted = HashSet::from_iter(over(index, &user, &fifth).await);
    assert_eq!(evicted, HashSet::from([second.id, third.id, fourth.id]));
}

async fn an_evicted_id_is_returned_to_one_caller_at_a_time(index: &impl UserIndex) {
    let (user, now) = (new_user(), SystemClock.now());
    let first = add_request(now);
    over(index, &user, &first).await;
    let second = limited(now.plus(Duration::from_millis(1)), 1, true);
    assert_eq!(over(index, &user, &second).await, [first.id]);
    let soon = now.plus(LEASE / 2);
    let third = limited(soon, 1, true);
    assert_eq!(
        over(index, &user, &third).await,
        [second.id],
        "another caller is ending the first"
    );
    // The first and third were not removed from the index in time.
    let late = now.plus(LEASE).plus(Duration::from_millis(1));
    let fourth = limited(late, 1, true);
    let evicted = HashSet::from_iter(over(index, &user, &fourth).await);
    assert_eq!(evicted, HashSet::from([first.id, third.id]));
}

async fn a_replaced_session_does_not_count(index: &impl UserIndex) {
    let (user, now) = (new_user(), SystemClock.now());
    let old = limited(now, 1, false);
    over(index, &user, &old).await;
    let new = AddRequest {
        replaces: Some(old.id),
        ..limited(now, 1, false)
    };
    assert!(over(index, &user, &new).await.is_empty());
    assert_eq!(listed(index, &user).await, HashSet::from([old.id, new.id]));
}

async fn a_dead_id_does_not_count(index: &impl UserIndex) {
    let (user, now) = (new_user(), SystemClock.now());
    let old = limited(now, 1, false);
    over(index, &user, &old).await;
    let new = AddRequest {
        dead: vec![old.id],
        ..limited(now, 1, false)
    };
    assert!(over(index, &user, &new).await.is_empty());
    assert_eq!(listed(index, &user).await, HashSet::from([new.id]));
}

async fn expired_ids_are_removed_and_the_later_deadline_counts(index: &impl UserIndex) {
    let (user, now) = (new_user(), SystemClock.now());
    let (first, second) = (add_request(now), add_request(now));
    over(index, &user, &first).await;
    over(index, &user, &second).await;
    // One gets a later deadline, and is then added with the earlier one again.
    let later = first.deadline.plus(Duration::from_secs(600));
    for deadline in [later, first.deadline] {
        let moved = AddRequest {
            deadline,
            ..first.clone()
        };
        over(index, &user, &moved).await;
    }
    // The clock of a server that still accepts the session may be slow.
    for _ in 0..20 {
        let early = add_request(second.deadline.plus(STALE_AFTER / 2));
        over(index, &user, &early).await;
        let removed = index.remove(&user, &[early.id]).await;
        removed.expect("remove succeeds");
    }
    assert_eq!(
        listed(index, &user).await,
        HashSet::from([first.id, second.id])
    );
    // A few are removed with some of the calls. Deadlines may be rounded up.
    let then = second.deadline.plus(STALE_AFTER).plus(ROUNDING);
    let mut rounds = 0;
    while listed(index, &user).await.contains(&second.id) {
        let third = add_request(then);
        over(index, &user, &third).await;
        let removed = index.remove(&user, &[third.id]).await;
        removed.expect("remove succeeds");
        rounds += 1;
        assert!(rounds < 1000, "it is never removed");
    }
    assert_eq!(listed(index, &user).await, HashSet::from([first.id]));
}

async fn many_sign_ins_leave_as_many_sessions_as_allowed(index: &impl UserIndex) {
    let (user, now) = (new_user(), SystemClock.now());
    let applicants: Vec<_> = (0..50).map(|_| limited(now, 5, true)).collect();
    let adding = applicants.iter().map(|new| over(index, &user, new));
    let mut evicted = HashSet::new();
    for id in join_all(adding).await.into_iter().flatten() {
        assert!(evicted.insert(id), "{id} was returned twice");
    }
    assert_eq!(evicted.len(), 45);
    let ids: Vec<_> = evicted.into_iter().collect();
    index.remove(&user, &ids).await.expect("forget succeeds");
    assert_eq!(listed(index, &user).await.len(), 5);
}

async fn of_many_sign_ins_as_many_are_added_as_allowed(index: &impl UserIndex) {
    let (user, now) = (new_user(), SystemClock.now());
    let applicants: Vec<_> = (0..20).map(|_| limited(now, 5, false)).collect();
    let adding = applicants.iter().map(|new| add(index, &user, new));
    let results = join_all(adding).await;
    let added = results
        .iter()
        .filter(|result| matches!(result, AddOutcome::Added { .. }));
    assert_eq!(added.count(), 5, "{results:?}");
    assert_eq!(listed(index, &user).await.len(), 5);
}

async fn every_old_id_is_sampled(index: &impl UserIndex) {
    let (user, now) = (new_user(), SystemClock.now());
    let mut old = HashSet::new();
    for _ in 0..10 {
        let add_request = add_request(now);
        over(index, &user, &add_request).await;
        old.insert(add_request.id);
    }
    let later = now.plus(STALE_AFTER).plus(Duration::from_secs(1));
    let (mut seen, mut rounds) = (HashSet::new(), 0);
    while seen != old {
        match add(index, &user, &add_request(later)).await {
            AddOutcome::Added { sample, .. } => seen.extend(sample),
            full @ AddOutcome::LimitReached(_) => panic!("{full:?}"),
        }
        assert!(
            seen.is_subset(&old),
            "sessions of recent ids may not be stored yet"
        );
        rounds += 1;
        assert!(rounds < 2000, "some are never sampled");
    }
}
