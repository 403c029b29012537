//! The test suite for stores.
//!
//! Implement [`Subject`] and call [`all`] in a test; it panics at the first violation of the contract. For a
//! store with a user index, call [`index::all`] as well, for one with store-wide operations [`admin::all`], and
//! for one with an event bus [`bus::all`]. `docs/implementing-a-store.md` in the repository lists the mistakes
//! that each check finds.
//!
//! ```
//! use std::time::Duration;
//! use cloakroom_core::conformance::{self, Subject};
//! use cloakroom_core::{ManualClock, MemoryStore};
//!
//! struct Memory(ManualClock);
//!
//! impl Subject for Memory {
//!     type Store = MemoryStore;
//!
//!     async fn store(&self) -> MemoryStore {
//!         MemoryStore::with_clock(self.0.clone())
//!     }
//!
//!     async fn pass(&self, time: Duration) {
//!         self.0.advance(time);
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! conformance::all(&Memory(ManualClock::default())).await;
//! # }
//! ```

pub mod admin;
pub mod bus;
mod concurrency;
mod fixtures;
pub mod index;
mod large_index;
mod load_many;
mod sign_in;
mod ttl;

use std::time::Duration;

use self::fixtures::{
    LONG, ROUNDS, SHORT, create, draw_revision, join_all, load, next, numbered, sample,
    tombstone_of, update,
};
use crate::entries::Entries;
use crate::record::{EndReason, Tombstone};
use crate::rotation::Secrets;
use crate::store::{Created, Ended, Loaded, Store, Touched, Updated};

pub use self::fixtures::Subject;

/// Runs the whole suite.
///
/// # Panics
///
/// If the store violates the contract.
pub async fn all(subject: &impl Subject) {
    what_is_created_is_loaded(subject).await;
    create_never_replaces(subject).await;
    load_many::each_is_loaded_in_order(subject).await;
    update_wants_the_revision(subject).await;
    update_never_creates(subject).await;
    touch_moves_last_seen_alone(subject).await;
    touch_repairs_a_last_seen_in_the_future(subject).await;
    end_leaves_a_tombstone(subject).await;
    a_tombstone_has_no_digest_of_another_session(subject).await;
    end_at_a_revision_wants_it(subject).await;
    a_tombstone_blocks_everything(subject).await;
    ending_what_is_not_there_blocks_a_late_create(subject).await;
    what_expired_is_gone(subject).await;
    of_many_writers_one_wins(subject).await;
    other_sessions_stay_unchanged(subject).await;
    ttl::all(subject).await;
    concurrency::all(subject).await;
}

/// A record is loaded as it was stored, whatever its data.
///
/// # Panics
///
/// If it does not.
pub async fn what_is_created_is_loaded(subject: &impl Subject) {
    let store = subject.store().await;
    let mut entries = Entries::new();
    for (key, value) in [("", ""), ("a \"b\"\\\n", "\u{0}\u{1F9E5}"), ("käse", "{}")] {
        entries.set(key, value).expect("text is JSON");
    }
    // The size of a session that the layer allows by default.
    let large = "x".repeat(60 * 1024);
    entries.set("large", &large).expect("text is JSON");
    let (id, sample) = sample(entries);
    assert_eq!(load(&store, id).await, Loaded::Nothing);
    create(&store, id, &sample, LONG).await;
    assert_eq!(load(&store, id).await, Loaded::Record(sample));
}

/// `create` fails if there is something under the id, and does not change it.
///
/// # Panics
///
/// If it does not.
pub async fn create_never_replaces(subject: &impl Subject) {
    let store = subject.store().await;
    let (id, first) = sample(numbered(1));
    create(&store, id, &first, LONG).await;
    let second = next(&first, numbered(2));
    let created = store.create(id, &second, LONG).await;
    assert_eq!(created.expect("create succeeds"), Created::Collision);
    assert_eq!(load(&store, id).await, Loaded::Record(first));
}

/// `update` replaces the expected revision, and returns the record if it has another one.
///
/// # Panics
///
/// If it does not.
pub async fn update_wants_the_revision(subject: &impl Subject) {
    let store = subject.store().await;
    let (id, first) = sample(numbered(1));
    create(&store, id, &first, LONG).await;
    let second = next(&first, numbered(2));
    assert_eq!(update(&store, id, &first, &second).await, Updated::Updated);
    let third = next(&first, numbered(3));
    assert_eq!(
        update(&store, id, &first, &third).await,
        Updated::Conflict(second.clone())
    );
    assert_eq!(load(&store, id).await, Loaded::Record(second));
}

/// `update` of a missing session writes nothing.
///
/// # Panics
///
/// If it does.
pub async fn update_never_creates(subject: &impl Subject) {
    let store = subject.store().await;
    let (id, first) = sample(numbered(1));
    let second = next(&first, numbered(2));
    assert_eq!(update(&store, id, &first, &second).await, Updated::Missing);
    assert_eq!(load(&store, id).await, Loaded::Nothing);
}

/// `touch` moves last-seen forward and changes nothing else. It does nothing after another commit.
///
/// # Panics
///
/// If it does not.
pub async fn touch_moves_last_seen_alone(subject: &impl Subject) {
    let store = subject.store().await;
    let (id, first) = sample(numbered(1));
    let later = first.last_seen().plus(Duration::from_secs(9));
    let touch = async |revision, seen| {
        let touched = store.touch(id, revision, seen, LONG).await;
        touched.expect("touch succeeds")
    };
    assert_eq!(touch(first.revision(), later).await, Touched::Superseded);
    create(&store, id, &first, SHORT).await;
    assert_eq!(touch(first.revision(), later).await, Touched::Touched);
    let touched = first.clone().touched(later);
    assert_eq!(load(&store, id).await, Loaded::Record(touched.clone()));

    // The clocks of servers may differ a little: last-seen does not go back for that.
    let behind = first.last_seen().plus(Duration::from_secs(4));
    assert_eq!(touch(first.revision(), behind).await, Touched::Touched);
    assert_eq!(touch(first.revision(), later).await, Touched::Touched);
    assert_eq!(load(&store, id).await, Loaded::Record(touched.clone()));
    let other = draw_revision();
    let latest = later.plus(Duration::from_secs(1));
    assert_eq!(touch(other, latest).await, Touched::Superseded);

    subject.pass(SHORT * 2).await;
    assert_eq!(
        load(&store, id).await,
        Loaded::Record(touched.clone()),
        "a touch must set the TTL"
    );
    let second = next(&touched, numbered(2));
    assert_eq!(
        update(&store, id, &touched, &second).await,
        Updated::Updated,
        "a touch must not change the revision"
    );
}

/// A last-seen that is more than the clock tolerance later than a touch comes from a wrong clock, and is
/// replaced.
///
/// # Panics
///
/// If it is not.
pub async fn touch_repairs_a_last_seen_in_the_future(subject: &impl Subject) {
    let store = subject.store().await;
    let (id, first) = sample(numbered(1));
    create(&store, id, &first, LONG).await;
    let (now, wrong) = (first.last_seen(), first.last_seen().plus(LONG * 60));
    for seen in [wrong, now] {
        let touched = store.touch(id, first.revision(), seen, LONG).await;
        assert_eq!(touched.expect("touch succeeds"), Touched::Touched);
        let Loaded::Record(record) = load(&store, id).await else {
            panic!("the session is live");
        };
        assert_eq!(record.last_seen(), seen);
    }
}

/// `end` removes the data and leaves a tombstone for the given time.
///
/// # Panics
///
/// If it does not.
pub async fn end_leaves_a_tombstone(subject: &impl Subject) {
    let store = subject.store().await;
    let (id, first) = sample(numbered(1));
    create(&store, id, &first, LONG).await;
    let tombstone = tombstone_of(&first);
    let ended = store.end(id, None, &tombstone, SHORT).await;
    assert_eq!(ended.expect("end succeeds"), Ended::Ended);
    assert_eq!(load(&store, id).await, Loaded::Tombstone(tombstone.clone()));

    let later = Tombstone::new(None, tombstone.at(), EndReason::Abandoned);
    let ended = store.end(id, None, &later, LONG).await;
    assert_eq!(
        ended.expect("end succeeds"),
        Ended::AlreadyEnded(tombstone),
        "the first end counts"
    );
    subject.pass(SHORT * 2).await;
    assert_eq!(load(&store, id).await, Loaded::Nothing);
}

/// A tombstone without a digest may get that of the record that it replaces, and no other: the owner of the session can learn
/// then why it has ended.
///
/// # Panics
///
/// If it is another one.
pub async fn a_tombstone_has_no_digest_of_another_session(subject: &impl Subject) {
    let store = subject.store().await;
    let (id, first) = sample(numbered(1));
    create(&store, id, &first, LONG).await;
    let unknown = Tombstone::new(None, first.last_seen(), EndReason::RevokedByUser);
    let ended = store.end(id, None, &unknown, LONG).await;
    assert_eq!(ended.expect("end succeeds"), Ended::Ended);
    let completed = Secrets::complete(&unknown, &first);
    match load(&store, id).await {
        Loaded::Tombstone(found) => assert!(found == unknown || found == completed, "{found:?}"),
        other => panic!("{other:?}"),
    }
}

/// `end` with a revision does not change a record of another one, and returns it.
///
/// # Panics
///
/// If it does not.
pub async fn end_at_a_revision_wants_it(subject: &impl Subject) {
    let store = subject.store().await;
    let (id, first) = sample(numbered(1));
    create(&store, id, &first, LONG).await;
    let second = next(&first, numbered(2));
    assert_eq!(update(&store, id, &first, &second).await, Updated::Updated);
    let tombstone = tombstone_of(&first);
    let end = async |revision| {
        let ended = store.end(id, Some(revision), &tombstone, LONG).await;
        ended.expect("end succeeds")
    };
    assert_eq!(end(first.revision()).await, Ended::Conflict(second.clone()));
    assert_eq!(load(&store, id).await, Loaded::Record(second.clone()));
    assert_eq!(end(second.revision()).await, Ended::Ended);
}

/// Under an id with a tombstone, nothing can be created, updated or touched.
///
/// # Panics
///
/// If it can.
pub async fn a_tombstone_blocks_everything(subject: &impl Subject) {
    let store = subject.store().await;
    let (id, first) = sample(numbered(1));
    create(&store, id, &first, LONG).await;
    let tombstone = tombstone_of(&first);
    let ended = store.end(id, None, &tombstone, LONG).await;
    assert_eq!(ended.expect("end succeeds"), Ended::Ended);

    let created = store.create(id, &first, LONG).await;
    assert_eq!(created.expect("create succeeds"), Created::Collision);
    let second = next(&first, numbered(2));
    assert_eq!(
        update(&store, id, &first, &second).await,
        Updated::Ended(tombstone.clone())
    );
    let later = first.last_seen().plus(LONG);
    let touched = store.touch(id, first.revision(), later, LONG).await;
    assert_eq!(touched.expect("touch succeeds"), Touched::Superseded);
    assert_eq!(load(&store, id).await, Loaded::Tombstone(tombstone));
}

/// `end` stores the tombstone even if nothing is there, so that a delayed `create` fails.
///
/// # Panics
///
/// If it does not.
pub async fn ending_what_is_not_there_blocks_a_late_create(subject: &impl Subject) {
    let store = subject.store().await;
    let (id, first) = sample(numbered(1));
    let tombstone = Tombstone::new(None, first.last_seen(), EndReason::Destroyed);
    let ended = store.end(id, None, &tombstone, LONG).await;
    assert_eq!(ended.expect("end succeeds"), Ended::Missing);
    let created = store.create(id, &first, LONG).await;
    assert_eq!(created.expect("create succeeds"), Created::Collision);
    assert_eq!(load(&store, id).await, Loaded::Tombstone(tombstone));
}

/// A record is removed when its TTL is over; an update sets a new TTL.
///
/// # Panics
///
/// If it does not.
pub async fn what_expired_is_gone(subject: &impl Subject) {
    let store = subject.store().await;
    let (id, first) = sample(numbered(1));
    let (kept_id, kept) = sample(numbered(1));
    create(&store, id, &first, SHORT).await;
    create(&store, kept_id, &kept, SHORT).await;
    let second = next(&kept, numbered(2));
    assert_eq!(
        update(&store, kept_id, &kept, &second).await,
        Updated::Updated
    );
    subject.pass(SHORT * 2).await;
    assert_eq!(load(&store, id).await, Loaded::Nothing);
    assert_eq!(update(&store, id, &first, &second).await, Updated::Missing);
    assert_eq!(load(&store, kept_id).await, Loaded::Record(second));
    create(&store, id, &first, LONG).await;
}

/// Of many writers with the same expected revision, exactly one commits, and the others get its record.
///
/// # Panics
///
/// If they do not.
pub async fn of_many_writers_one_wins(subject: &impl Subject) {
    let store = subject.store().await;
    // A store that is not atomic may be lucky once.
    for _ in 0..ROUNDS {
        race_writers(&store).await;
    }
}

async fn race_writers(store: &impl Store) {
    let (id, first) = sample(numbered(0));
    create(store, id, &first, LONG).await;
    // All write the same bytes except for the revision, so only the revision distinguishes them.
    let records: Vec<_> = (0..20).map(|_| next(&first, numbered(7))).collect();
    let writes = records.iter().map(|mine| update(store, id, &first, mine));
    let results = join_all(writes).await;
    let is_updated = |result: &&Updated| **result == Updated::Updated;
    assert_eq!(results.iter().filter(is_updated).count(), 1, "{results:?}");
    let winner = results.iter().position(|result| is_updated(&result));
    let winner = winner.map(|index| records[index].clone());
    let winner = winner.expect("one has committed");
    for result in results {
        if result != Updated::Updated {
            assert_eq!(result, Updated::Conflict(winner.clone()));
        }
    }
    assert_eq!(load(store, id).await, Loaded::Record(winner));
}

/// A command changes no session but its own.
async fn other_sessions_stay_unchanged(subject: &impl Subject) {
    let store = subject.store().await;
    let ((id, first), (other_id, other)) = (sample(numbered(1)), sample(numbered(2)));
    create(&store, id, &first, LONG).await;
    create(&store, other_id, &other, LONG).await;
    let second = next(&first, numbered(3));
    assert_eq!(update(&store, id, &first, &second).await, Updated::Updated);
    let later = first.last_seen().plus(LONG);
    let touched = store.touch(id, second.revision(), later, LONG).await;
    assert_eq!(touched.expect("touch succeeds"), Touched::Touched);
    assert_eq!(load(&store, other_id).await, Loaded::Record(other.clone()));
    let ended = store.end(id, None, &tombstone_of(&second), LONG).await;
    assert_eq!(ended.expect("end succeeds"), Ended::Ended);
    assert_eq!(load(&store, other_id).await, Loaded::Record(other));
}
