//! What the suite runs against, and the samples that it stores.

use std::collections::HashSet;
use std::future::{Future, poll_fn};
use std::task::Poll;
use std::time::Duration;

use crate::clock::{Clock, SystemClock, Timestamp};
use crate::entries::Entries;
use crate::expiry::{Expiry, Limits};
use crate::id::{Revision, SessionId};
use crate::index::{AddOutcome, AddRequest, Limit, MAX_PAGE, UserIndex};
use crate::record::{EndReason, Record, Tombstone};
use crate::rng::SystemRng;
use crate::store::{Created, Loaded, Store, Updated};
use crate::token::{Realm, Token};
use crate::user::{UserId, UserKey};

/// A TTL that does not end during the suite.
pub(super) const LONG: Duration = Duration::from_secs(60);
/// A TTL that ends during the suite.
pub(super) const SHORT: Duration = Duration::from_millis(150);
/// How often a race is run.
pub(super) const ROUNDS: u32 = 20;

/// What the suite runs against.
pub trait Subject {
    /// The store under test.
    type Store: Store;

    /// Returns a store. It need not be empty: the suite uses new ids.
    fn store(&self) -> impl Future<Output = Self::Store>;

    /// Lets this much time pass for the store.
    fn pass(&self, time: Duration) -> impl Future<Output = ()>;
}

/// Returns a new id, and a record with these entries.
pub(super) fn sample(entries: Entries) -> (SessionId, Record) {
    let now = SystemClock.now();
    let token = Token::issue(now, &SystemRng).expect("the system has randomness");
    let record = Record::new(
        draw_revision(),
        now,
        Limits::begin(Expiry::default(), now),
        Realm::new("conformance").digest(&token),
        entries,
    );
    (token.id(), record)
}

/// Returns the next revision of a record, with other entries.
pub(super) fn next(record: &Record, entries: Entries) -> Record {
    Record::new(
        draw_revision(),
        record.last_seen(),
        record.limits(),
        *record.digest(),
        entries,
    )
}

pub(super) fn numbered(number: u32) -> Entries {
    let mut entries = Entries::new();
    entries.set("number", &number).expect("a number is JSON");
    entries
}

pub(super) fn draw_revision() -> Revision {
    Revision::draw(&SystemRng).expect("the system has randomness")
}

pub(super) fn tombstone_of(record: &Record) -> Tombstone {
    Tombstone::new(
        Some(*record.digest()),
        Timestamp::from_millis(record.last_seen().as_millis() + 1),
        EndReason::Destroyed,
    )
}

/// Returns the key of a new user.
pub(super) fn new_user() -> UserKey {
    let name = new_id(SystemClock.now()).to_string();
    UserKey::new(&Realm::new("conformance"), &UserId::from(name))
}

pub(super) fn new_id(now: Timestamp) -> SessionId {
    let token = Token::issue(now, &SystemRng);
    token.expect("the system has randomness").id()
}

/// Returns a new session that is to be added to an index, without a limit.
pub(super) fn add_request(now: Timestamp) -> AddRequest {
    AddRequest {
        id: new_id(now),
        deadline: now.plus(Duration::from_secs(3600)),
        now,
        limit: None,
        replaces: None,
        dead: Vec::new(),
        has_fresh_token: true,
    }
}

/// Returns the same, with a limit.
pub(super) fn limited(now: Timestamp, most: u32, evict_oldest: bool) -> AddRequest {
    AddRequest {
        limit: Some(Limit { most, evict_oldest }),
        ..add_request(now)
    }
}

/// Adds a session to an index.
pub(super) async fn add(
    index: &impl UserIndex,
    user: &UserKey,
    add_request: &AddRequest,
) -> AddOutcome {
    let added = index.add(user, add_request).await;
    added.expect("admit succeeds")
}

/// Adds a session to an index, and returns the sessions that the caller must end.
pub(super) async fn over(
    index: &impl UserIndex,
    user: &UserKey,
    add_request: &AddRequest,
) -> Vec<SessionId> {
    match add(index, user, add_request).await {
        AddOutcome::Added { over, sample } => {
            assert!(
                !sample.contains(&add_request.id),
                "a sample contains other ids only"
            );
            over
        }
        AddOutcome::LimitReached(there) => panic!("the index is full: {there:?}"),
    }
}

pub(super) async fn create(store: &impl Store, id: SessionId, record: &Record, ttl: Duration) {
    let created = store.create(id, record, ttl).await;
    assert_eq!(created.expect("create succeeds"), Created::Created);
}

pub(super) async fn load(store: &impl Store, id: SessionId) -> Loaded {
    store.load(id).await.expect("load succeeds")
}

pub(super) async fn update(
    store: &impl Store,
    id: SessionId,
    expected: &Record,
    record: &Record,
) -> Updated {
    let updated = store.update(id, expected.revision(), record, LONG).await;
    updated.expect("update succeeds")
}

/// Returns the ids in a user's index, of all pages.
pub(super) async fn listed(index: &impl UserIndex, user: &UserKey) -> HashSet<SessionId> {
    let pages = pages(index, user).await;
    let set: HashSet<_> = pages.iter().flatten().copied().collect();
    assert_eq!(set.len(), pages.iter().flatten().count(), "each id once");
    set
}

/// Returns the pages of a user's index.
pub(super) async fn pages(index: &impl UserIndex, user: &UserKey) -> Vec<Vec<SessionId>> {
    let mut pages = Vec::new();
    let mut after = None;
    loop {
        let page = index.list(user, after).await.expect("list succeeds");
        after = page.last().copied();
        let is_last = page.len() < MAX_PAGE;
        pages.push(page);
        if is_last {
            return pages;
        }
    }
}

/// Runs futures concurrently, and returns their results in order.
pub(super) async fn join_all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures.into_iter().map(Box::pin).collect();
    let mut results: Vec<_> = running.iter().map(|_| None).collect();
    poll_fn(|cx| {
        let mut is_done = true;
        for (future, result) in running.iter_mut().zip(&mut results) {
            if result.is_some() {
                continue;
            }
            match future.as_mut().poll(cx) {
                Poll::Ready(output) => *result = Some(output),
                Poll::Pending => is_done = false,
            }
        }
        if is_done {
            return Poll::Ready(());
        }
        Poll::Pending
    })
    .await;
    results.into_iter().flatten().collect()
}
