//! The test suite for store-wide operations.

use std::collections::HashSet;

use super::fixtures::{
    LONG, Subject, add_request, create, new_user, numbered, sample, tombstone_of,
};
use crate::admin::StoreAdmin;
use crate::clock::{Clock, SystemClock};
use crate::index::UserIndex;
use crate::store::Store;

/// Runs the suite for a store's [`StoreAdmin`].
///
/// # Panics
///
/// If it violates the contract, or the store has none.
pub async fn all(subject: &impl Subject) {
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
    let set = async |at| {
        let set = admin.set_revoked_before(at, LONG).await;
        set.expect("set_revoked_before succeeds");
    };
    let before = revoked_before().await;
    let (first, second) = (before.plus(LONG), before.plus(LONG * 2));
    set(second).await;
    assert_eq!(revoked_before().await, second);
    set(first).await;
    assert_eq!(revoked_before().await, second, "a later time stays");
}

async fn all_ids_are_found(subject: &impl Subject) {
    let store = subject.store().await;
    let admin = store.admin().expect("the store has store-wide operations");
    let mut ids = HashSet::new();
    for number in 0..20 {
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
    let found = admin.scan_ids().await.expect("scan_ids succeeds");
    let set: HashSet<_> = found.iter().copied().collect();
    assert_eq!(set.len(), found.len(), "each id once");
    assert!(set.is_superset(&ids));
    assert!(!set.contains(&missing.id), "only the index has it");
}
