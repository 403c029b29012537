//! The tests of concurrent commands, and of commands that are dropped.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;

use super::fixtures::{
    LONG, ROUNDS, Subject, create, join_all, load, next, numbered, sample, tombstone_of, update,
};
use crate::record::Record;
use crate::store::{Created, Ended, Loaded, Store, Updated};

/// How many times a command is polled at most before it is dropped.
const MAX_POLLS: usize = 4;

pub(super) async fn all(subject: &impl Subject) {
    let store = &subject.store().await;
    for _ in 0..ROUNDS {
        of_many_creations_one_wins(store).await;
    }
    a_session_that_ends_while_it_is_created_has_ended(store).await;
    an_update_and_an_end_leave_a_tombstone(store).await;
    a_dropped_update_leaves_one_of_both_records(store).await;
    a_dropped_end_leaves_the_record_or_the_tombstone(store).await;
}

async fn of_many_creations_one_wins(store: &impl Store) {
    let (id, first) = sample(numbered(0));
    let records: Vec<_> = (0..20).map(|n| next(&first, numbered(n))).collect();
    let creations = records.iter().map(|mine| store.create(id, mine, LONG));
    let results = join_all(creations).await;
    let mut created = Vec::new();
    for (result, record) in results.into_iter().zip(records) {
        if result.expect("create succeeds") == Created::Created {
            created.push(record);
        }
    }
    assert_eq!(created.len(), 1, "{created:?}");
    assert_eq!(load(store, id).await, Loaded::Record(created.remove(0)));
}

/// Runs two commands concurrently, the first one starting first or second.
async fn race<A, B>(
    first_starts: bool,
    first: impl Future<Output = A>,
    second: impl Future<Output = B>,
) -> (A, B) {
    let (mut a, mut b) = (None, None);
    let first = async { a = Some(first.await) };
    let second = async { b = Some(second.await) };
    let mut both: [Pin<Box<dyn Future<Output = ()> + '_>>; 2] = [Box::pin(first), Box::pin(second)];
    if !first_starts {
        both.swap(0, 1);
    }
    join_all(both).await;
    (a.expect("it has finished"), b.expect("it has finished"))
}

async fn a_session_that_ends_while_it_is_created_has_ended(store: &impl Store) {
    for round in 0..ROUNDS {
        let (id, record) = sample(numbered(round));
        let tombstone = tombstone_of(&record);
        let create = store.create(id, &record, LONG);
        let end = store.end(id, None, &tombstone, LONG);
        let (created, ended) = race(round % 2 == 0, create, end).await;
        let created = created.expect("create succeeds");
        match ended.expect("end succeeds") {
            Ended::Ended => assert_eq!(created, Created::Created),
            Ended::Missing => assert_eq!(created, Created::Collision),
            other => panic!("{other:?}"),
        }
        assert_eq!(load(store, id).await, Loaded::Tombstone(tombstone));
    }
}

async fn an_update_and_an_end_leave_a_tombstone(store: &impl Store) {
    for round in 0..ROUNDS {
        let (id, first) = sample(numbered(round));
        create(store, id, &first, LONG).await;
        let (second, tombstone) = (next(&first, numbered(9)), tombstone_of(&first));
        let update = update(store, id, &first, &second);
        let end = store.end(id, None, &tombstone, LONG);
        let (updated, ended) = race(round % 2 == 0, update, end).await;
        assert_eq!(ended.expect("end succeeds"), Ended::Ended);
        if updated != Updated::Updated {
            assert_eq!(updated, Updated::Ended(tombstone.clone()));
        }
        assert_eq!(load(store, id).await, Loaded::Tombstone(tombstone));
    }
}

/// Polls a future as often as it is woken, but not more than `polls` times, and drops it.
async fn drop_after(polls: usize, future: impl Future) {
    let mut future = pin!(future);
    let mut count = 0;
    poll_fn(|cx| {
        count += 1;
        let is_ready = future.as_mut().poll(cx).is_ready();
        if is_ready || count == polls {
            return Poll::Ready(());
        }
        Poll::Pending
    })
    .await;
}

async fn a_dropped_update_leaves_one_of_both_records(store: &impl Store) {
    for polls in 1..=MAX_POLLS {
        let (id, first) = sample(numbered(1));
        create(store, id, &first, LONG).await;
        let second = next(&first, numbered(2));
        drop_after(polls, update(store, id, &first, &second)).await;
        let stored = one_of(load(store, id).await, &first, &second);
        // The command may still be executed. Afterwards, one of both writers has won.
        let third = next(&stored, numbered(3));
        match update(store, id, &stored, &third).await {
            Updated::Updated => {}
            Updated::Conflict(there) => assert_eq!(there, second),
            other => panic!("{other:?}"),
        }
    }
}

fn one_of(loaded: Loaded, first: &Record, second: &Record) -> Record {
    match loaded {
        Loaded::Record(record) if record == *first || record == *second => record,
        other => panic!("{other:?}"),
    }
}

async fn a_dropped_end_leaves_the_record_or_the_tombstone(store: &impl Store) {
    for polls in 1..=MAX_POLLS {
        let (id, record) = sample(numbered(1));
        create(store, id, &record, LONG).await;
        let tombstone = tombstone_of(&record);
        drop_after(polls, store.end(id, None, &tombstone, LONG)).await;
        let loaded = load(store, id).await;
        if loaded != Loaded::Record(record) {
            assert_eq!(loaded, Loaded::Tombstone(tombstone.clone()));
        }
        // Whether or not the first command is executed in the end, the session has ended.
        let ended = store.end(id, None, &tombstone, LONG).await;
        ended.expect("end succeeds");
        assert_eq!(load(store, id).await, Loaded::Tombstone(tombstone));
    }
}
