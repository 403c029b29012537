//! The tests of an index that is larger than what one call returns.

use std::collections::HashSet;
use std::time::Duration;

use super::fixtures::{add, add_request, limited, listed, new_user, over, pages};
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::id::SessionId;
use crate::index::{AddOutcome, LEASE, MAX_COUNTED, MAX_EVICTED, MAX_PAGE, UserIndex};
use crate::user::UserKey;

/// More than two pages.
const MANY: usize = 2 * MAX_PAGE + 44;

pub(super) async fn all(index: &impl UserIndex) {
    let (user, now) = (new_user(), SystemClock.now());
    let ids = filled(index, &user, now).await;
    pages_are_in_the_order_of_creation(index, &user, &ids).await;
    a_full_index_returns_some_that_count(index, &user, &ids).await;
    the_oldest_are_evicted_in_groups(index, &user, &ids).await;
}

/// Adds many ids, one millisecond after the other. Returns them, the oldest first.
async fn filled(index: &impl UserIndex, user: &UserKey, now: Timestamp) -> Vec<SessionId> {
    let mut ids = Vec::new();
    for millis in 0..MANY {
        let add_request = add_request(now.plus(Duration::from_millis(millis as u64)));
        assert!(over(index, user, &add_request).await.is_empty());
        ids.push(add_request.id);
    }
    ids
}

async fn pages_are_in_the_order_of_creation(
    index: &impl UserIndex,
    user: &UserKey,
    ids: &[SessionId],
) {
    let newest_first: Vec<_> = ids.iter().rev().copied().collect();
    let expected: Vec<_> = newest_first.chunks(MAX_PAGE).map(<[_]>::to_vec).collect();
    assert_eq!(pages(index, user).await, expected);
    // The last id of a page is removed, and added again.
    let last = newest_first[MAX_PAGE - 1];
    let removed = index.remove(user, &[last]).await;
    removed.expect("remove succeeds");
    let second = index.list(user, Some(last)).await.expect("list succeeds");
    assert_eq!(second, expected[1]);
    let mut again = add_request(last.created_at());
    again.id = last;
    over(index, user, &again).await;
}

async fn a_full_index_returns_some_that_count(
    index: &impl UserIndex,
    user: &UserKey,
    ids: &[SessionId],
) {
    let now = ids[MANY - 1].created_at();
    let mut seen = HashSet::new();
    for _ in 0..50 {
        match add(index, user, &limited(now, 5, false)).await {
            AddOutcome::LimitReached(there) => {
                let set: HashSet<_> = there.iter().copied().collect();
                assert_eq!(set.len(), there.len(), "each id once");
                assert!((MAX_COUNTED / 2..=MAX_COUNTED).contains(&there.len()));
                assert!(
                    ids[..MAX_COUNTED / 2].iter().all(|id| set.contains(id)),
                    "the oldest"
                );
                seen.extend(there);
            }
            added @ AddOutcome::Added { .. } => panic!("{added:?}"),
        }
    }
    assert!(seen.is_subset(&ids.iter().copied().collect()));
    assert!(
        seen.len() > 2 * MAX_COUNTED,
        "the others vary between calls"
    );
}

/// A limit of five. Every caller gets a group, and the groups together all above the limit.
async fn the_oldest_are_evicted_in_groups(
    index: &impl UserIndex,
    user: &UserKey,
    ids: &[SessionId],
) {
    let now = ids[MANY - 1].created_at().plus(Duration::from_millis(1));
    let newest = limited(now, 5, true);
    let first = over(index, user, &newest).await;
    assert_eq!(first, ids[..MAX_EVICTED], "the oldest");
    let mut evicted: HashSet<_> = first.into_iter().collect();
    let evict = async |now| {
        let ids = index.evict(user, now, 5, None).await;
        ids.expect("evict succeeds")
    };
    loop {
        let group = evict(now).await;
        assert!(group.len() <= MAX_EVICTED);
        if group.is_empty() {
            break;
        }
        let next = evicted.len();
        assert_eq!(group, ids[next..next + group.len()], "the oldest");
        for id in group {
            assert!(evicted.insert(id), "{id} was returned twice");
        }
    }
    let mut left: HashSet<_> = ids[MANY - 4..].iter().copied().collect();
    left.insert(newest.id);
    assert_eq!(evicted, ids[..MANY - 4].iter().copied().collect());
    assert_eq!(
        listed(index, user).await.len(),
        MANY + 1,
        "until they are removed"
    );
    // The callers have not removed them in time.
    let late = now.plus(LEASE).plus(Duration::from_millis(1));
    let again = evict(late).await;
    assert_eq!(again.len(), MAX_EVICTED);
    assert!(evicted.is_superset(&again.iter().copied().collect()));
    let evicted: Vec<_> = evicted.into_iter().collect();
    for ids in evicted.chunks(MAX_PAGE) {
        index.remove(user, ids).await.expect("remove succeeds");
    }
    assert_eq!(listed(index, user).await, left);
    assert_eq!(evict(late).await, []);
    // The oldest that is left is being replaced by one more.
    let replaced = ids[MANY - 4];
    over(index, user, &add_request(late)).await;
    let over = index.evict(user, late, 5, Some(replaced)).await;
    assert_eq!(over.expect("evict succeeds"), []);
    assert_eq!(evict(late).await, [replaced]);
}
