//! The test suite for store-wide operations.

use std::collections::HashSet;
use std::time::Duration;

use super::fixtures::{
    LONG, SHORT, Subject, add_request, create, new_user, numbered, sample, tombstone_of,
};
use crate::admin::{MAX_AHEAD, StoreAdmin};
use crate::clock::{Clock, SystemClock};
use crate::error::StoreErrorKind;
use crate::index::UserIndex;
use crate::store::Store;

/// How long a revocation is remembered.
const KEPT: Duration = Duration::from_secs(3600);

/// Runs the suite for a store's [`StoreAdmin`].
///
/// # Panics
///
/// If it violates the contract, or the store has none.
pub async fn all(subject: &impl Subject) {
    revoked_before_is_never_far_in_the_future(subject).await;
    revoked_before_only_moves_forward(subject).await;
    all_ids_are_found(subject).await;
}

async fn revoked_before_only_moves_forward(subject: &impl Subject) {
    let store = subject.store().await;
    let admin = store.admin().expect("the store has store-wide operations");
    let revoked_before = async || {
        let time = admin.revoked_before().await;
        time.expect("revoked_before succeeds")
    };
    let set = async |delay| {
        let set = admin.set_revoked_before(delay, KEPT).await;
        set.expect("set_revoked_before succeeds")
    };
    let before = revoked_before().await;
    let first = set(Duration::ZERO).await;
    assert!(first > before, "it is the present time");
    assert_eq!(revoked_before().await, first);
    subject.pass(SHORT).await;
    let second = set(MAX_AHEAD / 2).await;
    assert!(
        second.since(first) >= SHORT + MAX_AHEAD / 2,
        "the delay is added"
    );
    assert_eq!(revoked_before().await, second);
    assert_eq!(set(Duration::ZERO).await, second, "a later time stays");
    assert_eq!(revoked_before().await, second, "a later time stays");
    let last = set(MAX_AHEAD).await;
    assert!(last > second, "the longest delay is accepted");
    assert_eq!(revoked_before().await, last);
}

async fn revoked_before_is_never_far_in_the_future(subject: &impl Subject) {
    let store = subject.store().await;
    let admin = store.admin().expect("the store has store-wide operations");
    let before = admin.revoked_before().await;
    let before = before.expect("revoked_before succeeds");
    for delay in [MAX_AHEAD + Duration::from_millis(1), KEPT, Duration::MAX] {
        let set = admin.set_revoked_before(delay, KEPT).await;
        let kind = set.expect_err("it is refused").kind();
        assert_eq!(kind, StoreErrorKind::Refused);
        let after = admin.revoked_before().await;
        assert_eq!(after.expect("revoked_before succeeds"), before);
    }
}

async fn all_ids_are_found(subject: &impl Subject) {
    let store = subject.store().await;
    let admin = store.admin().expect("the store has store-wide operations");
    let mut ids = HashSet::new();
    for number in 0..1100 {
        let (id, record) = sample(numbered(number));
        create(&store, id, &record, LONG).await;
        if number % 2 == 0 {
            let ended = store.end(id, None, &tombstone_of(&record), LONG).await;
            ended.expect("end succeeds");
        }
        ids.insert(id);
    }
    let missing = add_request(SystemClock.now());
    if let Some(index) = store.index() {
        let added = index.add(&new_user(), &missing).await;
        added.expect("admit succeeds");
    }
    let (mut found, mut from) = (HashSet::new(), None);
    loop {
        let page = admin.scan_ids(from.as_ref()).await;
        let page = page.expect("scan_ids succeeds");
        assert!(page.ids.len() < 2000, "a page is limited");
        found.extend(page.ids);
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    assert!(found.is_superset(&ids));
    assert!(!found.contains(&missing.id), "only the index has it");
}
