//! One suite that every store must pass, this project's and third parties'.
//!
//! Give it a [`Subject`], call [`all`] in a test; a broken promise panics and says which. A store that
//! keeps an index of users calls [`index::all`] as well, and one with a bus [`bus::all`].
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

pub mod bus;
mod enter;
pub mod index;

use std::future::Future;
use std::time::Duration;

use crate::clock::{Clock, SystemClock, Timestamp};
use crate::entries::Entries;
use crate::entropy::SystemEntropy;
use crate::expiry::{Expiry, Limits};
use crate::id::{Revision, SessionId};
use crate::record::{EndReason, Record, Tombstone};
use crate::store::{Created, Ended, Loaded, Store, Touched, Updated};
use crate::token::{Realm, Token};

/// A TTL that outlives the suite.
const LONG: Duration = Duration::from_secs(60);
/// A TTL that the suite sees the end of.
const SHORT: Duration = Duration::from_millis(150);

/// What the suite is run against.
pub trait Subject {
    /// The store.
    type Store: Store;

    /// A store, empty or not: the suite uses fresh ids.
    fn store(&self) -> impl Future<Output = Self::Store>;

    /// Lets this much time pass for the store.
    fn pass(&self, time: Duration) -> impl Future<Output = ()>;
}

/// Runs the whole suite.
///
/// # Panics
///
/// When the store breaks a promise of the contract.
pub async fn all(subject: &impl Subject) {
    what_is_created_is_loaded(subject).await;
    create_never_replaces(subject).await;
    update_wants_the_revision(subject).await;
    update_never_creates(subject).await;
    touch_moves_last_seen_alone(subject).await;
    end_leaves_a_tombstone(subject).await;
    end_at_a_revision_wants_it(subject).await;
    a_tombstone_blocks_everything(subject).await;
    ending_what_is_not_there_blocks_a_late_create(subject).await;
    what_expired_is_gone(subject).await;
    of_many_writers_one_wins(subject).await;
}

/// A record comes back as it was stored, data of any kind in it.
///
/// # Panics
///
/// When it does not.
pub async fn what_is_created_is_loaded(subject: &impl Subject) {
    let store = subject.store().await;
    let mut entries = Entries::new();
    for (key, value) in [("", ""), ("a \"b\"\\\n", "\u{0}\u{1F9E5}"), ("käse", "{}")] {
        entries.set(key, value).expect("text is JSON");
    }
    let (id, sample) = sample(entries);
    assert_eq!(load(&store, id).await, Loaded::Nothing);
    create(&store, id, &sample, LONG).await;
    assert_eq!(load(&store, id).await, Loaded::Record(sample));
}

/// `create` fails where something is, and leaves it.
///
/// # Panics
///
/// When it does not.
pub async fn create_never_replaces(subject: &impl Subject) {
    let store = subject.store().await;
    let (id, first) = sample(numbered(1));
    create(&store, id, &first, LONG).await;
    let second = next(&first, numbered(2));
    let created = store.create(id, &second, LONG).await;
    assert_eq!(created.expect("create answers"), Created::Collision);
    assert_eq!(load(&store, id).await, Loaded::Record(first));
}

/// `update` replaces the expected revision, and hands back another.
///
/// # Panics
///
/// When it does not.
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

/// `update` of nothing writes nothing.
///
/// # Panics
///
/// When it does.
pub async fn update_never_creates(subject: &impl Subject) {
    let store = subject.store().await;
    let (id, first) = sample(numbered(1));
    let second = next(&first, numbered(2));
    assert_eq!(update(&store, id, &first, &second).await, Updated::Missing);
    assert_eq!(load(&store, id).await, Loaded::Nothing);
}

/// `touch` moves last-seen forward and leaves all else; it does nothing beside another commit.
///
/// # Panics
///
/// When it does not.
pub async fn touch_moves_last_seen_alone(subject: &impl Subject) {
    let store = subject.store().await;
    let (id, first) = sample(numbered(1));
    let later = first.seen().plus(Duration::from_secs(9));
    let touch = async |revision, seen| {
        let touched = store.touch(id, revision, seen, LONG).await;
        touched.expect("touch answers")
    };
    assert_eq!(touch(first.revision(), later).await, Touched::Superseded);
    create(&store, id, &first, SHORT).await;
    assert_eq!(touch(first.revision(), later).await, Touched::Touched);
    let touched = first.clone().touched(later);
    assert_eq!(load(&store, id).await, Loaded::Record(touched.clone()));

    let earlier = first.seen().plus(Duration::from_secs(1));
    assert_eq!(touch(first.revision(), earlier).await, Touched::Superseded);
    assert_eq!(touch(first.revision(), later).await, Touched::Superseded);
    let stranger = draw_revision();
    let latest = later.plus(Duration::from_secs(1));
    assert_eq!(touch(stranger, latest).await, Touched::Superseded);

    subject.pass(SHORT * 2).await;
    assert_eq!(
        load(&store, id).await,
        Loaded::Record(touched.clone()),
        "a touch must move the TTL"
    );
    let second = next(&touched, numbered(2));
    assert_eq!(
        update(&store, id, &touched, &second).await,
        Updated::Updated,
        "a touch must not move the revision"
    );
}

/// `end` removes the data and leaves a tombstone for as long as told.
///
/// # Panics
///
/// When it does not.
pub async fn end_leaves_a_tombstone(subject: &impl Subject) {
    let store = subject.store().await;
    let (id, first) = sample(numbered(1));
    create(&store, id, &first, LONG).await;
    let tombstone = tombstone_of(&first);
    let ended = store.end(id, None, &tombstone, SHORT).await;
    assert_eq!(ended.expect("end answers"), Ended::Ended);
    assert_eq!(load(&store, id).await, Loaded::Tombstone(tombstone.clone()));

    let later = Tombstone::new(None, tombstone.at(), EndReason::Abandoned);
    let ended = store.end(id, None, &later, LONG).await;
    assert_eq!(
        ended.expect("end answers"),
        Ended::AlreadyEnded(tombstone),
        "the first ending counts"
    );
    subject.pass(SHORT * 2).await;
    assert_eq!(load(&store, id).await, Loaded::Nothing);
}

/// `end` at a revision leaves a record of another, and hands it back.
///
/// # Panics
///
/// When it does not.
pub async fn end_at_a_revision_wants_it(subject: &impl Subject) {
    let store = subject.store().await;
    let (id, first) = sample(numbered(1));
    create(&store, id, &first, LONG).await;
    let second = next(&first, numbered(2));
    assert_eq!(update(&store, id, &first, &second).await, Updated::Updated);
    let tombstone = tombstone_of(&first);
    let end = async |revision| {
        let ended = store.end(id, Some(revision), &tombstone, LONG).await;
        ended.expect("end answers")
    };
    assert_eq!(end(first.revision()).await, Ended::Conflict(second.clone()));
    assert_eq!(load(&store, id).await, Loaded::Record(second.clone()));
    assert_eq!(end(second.revision()).await, Ended::Ended);
}

/// Where a tombstone is, nothing can be created, updated or touched.
///
/// # Panics
///
/// When it can.
pub async fn a_tombstone_blocks_everything(subject: &impl Subject) {
    let store = subject.store().await;
    let (id, first) = sample(numbered(1));
    create(&store, id, &first, LONG).await;
    let tombstone = tombstone_of(&first);
    let ended = store.end(id, None, &tombstone, LONG).await;
    assert_eq!(ended.expect("end answers"), Ended::Ended);

    let created = store.create(id, &first, LONG).await;
    assert_eq!(created.expect("create answers"), Created::Collision);
    let second = next(&first, numbered(2));
    assert_eq!(
        update(&store, id, &first, &second).await,
        Updated::Ended(tombstone.clone())
    );
    let later = first.seen().plus(LONG);
    let touched = store.touch(id, first.revision(), later, LONG).await;
    assert_eq!(touched.expect("touch answers"), Touched::Superseded);
    assert_eq!(load(&store, id).await, Loaded::Tombstone(tombstone));
}

/// `end` writes its tombstone also where nothing is, so that a delayed `create` fails.
///
/// # Panics
///
/// When it does not.
pub async fn ending_what_is_not_there_blocks_a_late_create(subject: &impl Subject) {
    let store = subject.store().await;
    let (id, first) = sample(numbered(1));
    let tombstone = Tombstone::new(None, first.seen(), EndReason::Destroyed);
    let ended = store.end(id, None, &tombstone, LONG).await;
    assert_eq!(ended.expect("end answers"), Ended::Missing);
    let created = store.create(id, &first, LONG).await;
    assert_eq!(created.expect("create answers"), Created::Collision);
    assert_eq!(load(&store, id).await, Loaded::Tombstone(tombstone));
}

/// A record goes when its TTL is over; an update sets the TTL anew.
///
/// # Panics
///
/// When it does not.
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

/// Of many writers at one revision, exactly one commits, and the others learn of it.
///
/// # Panics
///
/// When it is otherwise.
pub async fn of_many_writers_one_wins(subject: &impl Subject) {
    let store = subject.store().await;
    let (id, first) = sample(numbered(0));
    create(&store, id, &first, LONG).await;
    let mut winners = Vec::new();
    for number in 1..=20 {
        // The same bytes from all but for the stamp: only that tells them apart.
        let mine = next(&first, numbered(7));
        match update(&store, id, &first, &mine).await {
            Updated::Updated => winners.push(mine),
            Updated::Conflict(there) => assert_eq!(Some(&there), winners.first()),
            other => panic!("writer {number} got {other:?}"),
        }
    }
    assert_eq!(winners.len(), 1);
    assert_eq!(load(&store, id).await, Loaded::Record(winners.remove(0)));
}

fn sample(entries: Entries) -> (SessionId, Record) {
    let now = SystemClock.now();
    let token = Token::issue(now, &SystemEntropy).expect("the system has randomness");
    let record = Record::new(
        draw_revision(),
        now,
        Limits::begin(Expiry::default(), now),
        Realm::new("conformance").digest(&token),
        entries,
    );
    (token.id(), record)
}

fn next(record: &Record, entries: Entries) -> Record {
    Record::new(
        draw_revision(),
        record.seen(),
        record.limits(),
        *record.digest(),
        entries,
    )
}

fn numbered(number: u32) -> Entries {
    let mut entries = Entries::new();
    entries.set("number", &number).expect("a number is JSON");
    entries
}

fn draw_revision() -> Revision {
    Revision::draw(&SystemEntropy).expect("the system has randomness")
}

fn tombstone_of(record: &Record) -> Tombstone {
    Tombstone::new(
        Some(*record.digest()),
        Timestamp::from_millis(record.seen().as_millis() + 1),
        EndReason::Destroyed,
    )
}

async fn create(store: &impl Store, id: SessionId, record: &Record, ttl: Duration) {
    let created = store.create(id, record, ttl).await;
    assert_eq!(created.expect("create answers"), Created::Created);
}

async fn load(store: &impl Store, id: SessionId) -> Loaded {
    store.load(id).await.expect("load answers")
}

async fn update(store: &impl Store, id: SessionId, expected: &Record, record: &Record) -> Updated {
    let updated = store.update(id, expected.revision(), record, LONG).await;
    updated.expect("update answers")
}
