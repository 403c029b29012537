//! The tests of TTLs: which commands set one, and that nothing expired has an effect.

use std::time::Duration;

use super::fixtures::{
    LONG, SHORT, Subject, create, draw_revision, load, next, numbered, sample, tombstone_of, update,
};
use crate::store::{Created, Ended, Loaded, Store, Touched, Updated};

pub(super) async fn all(subject: &impl Subject) {
    the_last_write_sets_the_ttl(subject).await;
    a_refused_write_does_not_set_the_ttl(subject).await;
    a_touch_sets_the_ttl_whatever_last_seen_is(subject).await;
    an_expired_record_is_never_revived(subject).await;
    an_expired_tombstone_blocks_nothing(subject).await;
    end_at_a_revision_needs_no_record(subject).await;
}

/// A write sets the TTL, also to a shorter one.
async fn the_last_write_sets_the_ttl(subject: &impl Subject) {
    let store = subject.store().await;
    let ((updated_id, updated), (touched_id, touched)) = (sample(numbered(1)), sample(numbered(2)));
    create(&store, updated_id, &updated, LONG).await;
    create(&store, touched_id, &touched, LONG).await;
    let second = next(&updated, numbered(3));
    let result = store
        .update(updated_id, updated.revision(), &second, SHORT)
        .await;
    assert_eq!(result.expect("update succeeds"), Updated::Updated);
    let later = touched.last_seen().plus(LONG);
    let result = store
        .touch(touched_id, touched.revision(), later, SHORT)
        .await;
    assert_eq!(result.expect("touch succeeds"), Touched::Touched);
    subject.pass(SHORT * 2).await;
    assert_eq!(load(&store, updated_id).await, Loaded::Nothing);
    assert_eq!(load(&store, touched_id).await, Loaded::Nothing);
}

/// A command that is refused because of a conflict or a tombstone extends nothing.
async fn a_refused_write_does_not_set_the_ttl(subject: &impl Subject) {
    let store = subject.store().await;
    // A store with a real clock must not lose a record before its command.
    let short = SHORT * 4;
    let mut ids = Vec::new();
    for refused in 0..3 {
        let (id, first) = sample(numbered(refused));
        let (second, other) = (next(&first, numbered(9)), draw_revision());
        create(&store, id, &first, short).await;
        match refused {
            0 => {
                let created = store.create(id, &second, LONG).await;
                assert_eq!(created.expect("create succeeds"), Created::Collision);
            }
            1 => {
                let updated = store.update(id, other, &second, LONG).await;
                let updated = updated.expect("update succeeds");
                assert_eq!(updated, Updated::Conflict(first));
            }
            _ => {
                let tombstone = tombstone_of(&first);
                let ended = store.end(id, Some(other), &tombstone, LONG).await;
                assert_eq!(ended.expect("end succeeds"), Ended::Conflict(first));
            }
        }
        ids.push(id);
    }
    let (id, first) = sample(numbered(5));
    let tombstone = tombstone_of(&first);
    let ended = store.end(id, None, &tombstone, short).await;
    assert_eq!(ended.expect("end succeeds"), Ended::Missing);
    let later = first.last_seen().plus(LONG);
    let touched = store.touch(id, first.revision(), later, LONG).await;
    assert_eq!(touched.expect("touch succeeds"), Touched::Superseded);
    ids.push(id);
    subject.pass(short * 2).await;
    for (number, id) in ids.into_iter().enumerate() {
        assert_eq!(load(&store, id).await, Loaded::Nothing, "{number}");
    }
}

/// A touch at the right revision sets the TTL, also if last-seen is as late already, or later.
async fn a_touch_sets_the_ttl_whatever_last_seen_is(subject: &impl Subject) {
    let store = subject.store().await;
    let mut sessions = Vec::new();
    for ahead in [Duration::ZERO, Duration::from_secs(4), LONG] {
        let (id, first) = sample(numbered(1));
        create(&store, id, &first, LONG).await;
        let seen = first.last_seen().plus(ahead);
        for (seen, ttl) in [(seen, SHORT), (first.last_seen(), LONG)] {
            let touched = store.touch(id, first.revision(), seen, ttl).await;
            assert_eq!(touched.expect("touch succeeds"), Touched::Touched);
        }
        sessions.push(id);
    }
    subject.pass(SHORT * 2).await;
    for id in sessions {
        let there = load(&store, id).await;
        assert!(matches!(there, Loaded::Record(_)), "{there:?}");
    }
}

/// After its TTL, a record is missing for every command, even if the store has not removed it yet.
async fn an_expired_record_is_never_revived(subject: &impl Subject) {
    let store = subject.store().await;
    let ((id, first), (other_id, other)) = (sample(numbered(1)), sample(numbered(2)));
    create(&store, id, &first, SHORT).await;
    create(&store, other_id, &other, SHORT).await;
    subject.pass(SHORT * 2).await;
    let later = first.last_seen().plus(LONG);
    let touched = store.touch(id, first.revision(), later, LONG).await;
    assert_eq!(touched.expect("touch succeeds"), Touched::Superseded);
    assert_eq!(load(&store, id).await, Loaded::Nothing);
    let ended = store.end(id, None, &tombstone_of(&first), LONG).await;
    assert_eq!(ended.expect("end succeeds"), Ended::Missing);
    // A revision that an expired record does not have is no conflict.
    let tombstone = tombstone_of(&other);
    let ended = store
        .end(other_id, Some(draw_revision()), &tombstone, LONG)
        .await;
    assert_eq!(ended.expect("end succeeds"), Ended::Missing);
}

async fn an_expired_tombstone_blocks_nothing(subject: &impl Subject) {
    let store = subject.store().await;
    let (id, first) = sample(numbered(1));
    let (other_id, other) = sample(numbered(2));
    for (id, record) in [(id, &first), (other_id, &other)] {
        let ended = store.end(id, None, &tombstone_of(record), SHORT).await;
        assert_eq!(ended.expect("end succeeds"), Ended::Missing);
    }
    subject.pass(SHORT * 2).await;
    create(&store, id, &first, LONG).await;
    let second = next(&other, numbered(3));
    let updated = update(&store, other_id, &other, &second).await;
    assert_eq!(updated, Updated::Missing);
    let ended = store.end(other_id, None, &tombstone_of(&other), LONG).await;
    assert_eq!(ended.expect("end succeeds"), Ended::Missing);
}

/// The expected revision is compared with that of a record. Where there is none, it has no effect.
async fn end_at_a_revision_needs_no_record(subject: &impl Subject) {
    let store = subject.store().await;
    let (id, first) = sample(numbered(1));
    let tombstone = tombstone_of(&first);
    let end = async || {
        let expected = Some(draw_revision());
        let ended = store.end(id, expected, &tombstone, LONG).await;
        ended.expect("end succeeds")
    };
    assert_eq!(end().await, Ended::Missing);
    let stored = load(&store, id).await;
    assert_eq!(stored, Loaded::Tombstone(tombstone.clone()));
    assert_eq!(end().await, Ended::AlreadyEnded(tombstone.clone()));
}
