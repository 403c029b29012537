//! Tests of the cached sessions.

use std::collections::HashSet;
use std::hash::BuildHasher;
use std::time::Duration;

use cloakroom_core::{
    Clock, EndReason, Entries, Expiry, Limits, Realm, Revision, SystemClock, SystemRng, Timestamp,
    Token, Tombstone,
};

use super::*;

const BYTES: u64 = 1 << 20;

fn id() -> SessionId {
    "0191e0c4-8f2a-7c3e-9b1d-2f6a7e5c4d3b".parse().unwrap()
}

fn tombstone(millis: u64) -> Loaded {
    let at = Timestamp::from_millis(millis);
    Loaded::Tombstone(Tombstone::new(None, at, EndReason::Destroyed))
}

fn record(entries: Entries) -> Record {
    let now = SystemClock.now();
    let token = Token::issue(now, &SystemRng).expect("the system has randomness");
    let digest = Realm::new("test").digest(&token);
    let limits = Limits::begin(Expiry::default(), now);
    Record::new(Revision::from_bits(1), now, limits, digest, entries)
}

/// An id that differs from the others in its last bytes.
fn numbered(number: u128) -> SessionId {
    let bytes = 0x0191_e0c4_8f2a_7c3e_9b1d_u128 << 48 | number;
    SessionId::from_bytes(bytes.to_be_bytes()).unwrap()
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn cached(cache: &SessionCache) -> Option<Loaded> {
    cache.get(id(), Instant::now())
}

#[test]
fn a_session_that_changes_while_it_is_read_is_not_cached() {
    let cache = SessionCache::new(BYTES);
    let version = cache.version(id());
    cache.invalidate(id());
    cache.insert_read(id(), version, tombstone(1), soon());
    assert_eq!(cached(&cache), None);
    let version = cache.version(id());
    cache.clear();
    cache.insert_read(id(), version, tombstone(1), soon());
    assert_eq!(cached(&cache), None);
    cache.insert_read(id(), cache.version(id()), tombstone(1), soon());
    assert_eq!(cached(&cache), Some(tombstone(1)));
    cache.invalidate(id());
    assert_eq!(cached(&cache), None);
}

#[test]
fn changes_of_some_sessions_do_not_keep_others_out() {
    let cache = SessionCache::new(BYTES);
    let one = numbered(0);
    let version = cache.version(one);
    for number in 1..SLOTS as u128 {
        cache.invalidate(numbered(number));
    }
    cache.insert_read(one, version, tombstone(1), soon());
    assert_eq!(cache.get(one, Instant::now()), Some(tombstone(1)));
}

#[test]
fn a_read_that_began_before_a_write_is_not_cached_while_that_is_in_flight() {
    let cache = SessionCache::new(BYTES);
    let before = cache.version(id());
    cache.begin_write(id());
    cache.insert_read(id(), before, tombstone(1), soon());
    assert_eq!(cached(&cache), None);
}

#[test]
fn a_write_gets_the_record_that_was_cached() {
    let cache = SessionCache::new(BYTES);
    assert_eq!(cache.begin_write(id()).1, None);
    let there = record(Entries::new());
    let read = |loaded| cache.insert_read(id(), cache.version(id()), loaded, soon());
    read(Loaded::Record(there.clone()));
    assert_eq!(cache.begin_write(id()).1, Some(there));
    assert_eq!(cached(&cache), None, "it is about to change");
    read(tombstone(1));
    assert_eq!(cache.begin_write(id()).1, None);
}

/// They may have been executed before the write.
#[test]
fn reads_during_a_write_whose_value_is_unknown_are_forgotten() {
    let cache = SessionCache::new(BYTES);
    let before = cache.version(id());
    cache.begin_write(id());
    let during = cache.version(id());
    cache.insert_read(id(), during, tombstone(1), soon());
    cache.forget_written(id());
    assert_eq!(cached(&cache), None);
    for in_flight in [before, during] {
        cache.insert_read(id(), in_flight, tombstone(1), soon());
        assert_eq!(cached(&cache), None);
    }
    cache.insert_read(id(), cache.version(id()), tombstone(2), soon());
    assert_eq!(cached(&cache), Some(tombstone(2)));
}

#[test]
fn an_older_read_does_not_overwrite_a_local_write() {
    let cache = SessionCache::new(BYTES);
    let before = cache.version(id());
    let (version, _) = cache.begin_write(id());
    let during = cache.version(id());
    cache.insert_written(id(), version, tombstone(2), soon());
    cache.insert_read(id(), before, tombstone(1), soon());
    cache.insert_read(id(), during, tombstone(1), soon());
    assert_eq!(cached(&cache), Some(tombstone(2)));
}

#[test]
fn overlapping_writes_are_not_cached() {
    let cache = SessionCache::new(BYTES);
    let (one, _) = cache.begin_write(id());
    let (two, _) = cache.begin_write(id());
    cache.insert_written(id(), two, tombstone(2), soon());
    cache.insert_written(id(), one, tombstone(1), soon());
    assert_eq!(cached(&cache), None);
    let (one, _) = cache.begin_write(id());
    cache.insert_written(id(), one, tombstone(1), soon());
    assert_eq!(cached(&cache), Some(tombstone(1)));
}

/// Of a message, it is not known which of the two writes it is about.
#[test]
fn a_write_that_ends_before_a_later_one_is_not_cached() {
    for messages in [0, 1] {
        let cache = SessionCache::new(BYTES);
        let (one, _) = cache.begin_write(id());
        let (two, _) = cache.begin_write(id());
        for _ in 0..messages {
            cache.invalidate(id());
        }
        for (version, session) in [(one, tombstone(1)), (two, tombstone(2))] {
            cache.insert_written(id(), version, session, soon());
            assert_eq!(cached(&cache), None);
        }
    }
}

#[test]
fn the_message_about_an_own_write_is_ignored_once() {
    let cache = SessionCache::new(BYTES);
    let (version, _) = cache.begin_write(id());
    cache.insert_written(id(), version, tombstone(1), soon());
    cache.invalidate(id());
    assert_eq!(cached(&cache), Some(tombstone(1)));
    cache.invalidate(id());
    assert_eq!(cached(&cache), None);
}

#[test]
fn a_message_before_the_reply_belongs_to_the_write_and_a_second_does_not() {
    let cache = SessionCache::new(BYTES);
    let (version, _) = cache.begin_write(id());
    cache.invalidate(id());
    cache.insert_written(id(), version, tombstone(1), soon());
    assert_eq!(cached(&cache), Some(tombstone(1)));
    cache.invalidate(id());
    assert_eq!(cached(&cache), None);
    let (version, _) = cache.begin_write(id());
    cache.invalidate(id());
    cache.invalidate(id());
    cache.insert_written(id(), version, tombstone(1), soon());
    assert_eq!(cached(&cache), None);
}

#[test]
fn ids_of_one_moment_have_different_hashes() {
    let build = BuildHasherDefault::<IdHasher>::default();
    let [mut hashes, mut low, mut high] = [(); 3].map(|()| HashSet::new());
    for number in 0..10_000_u128 {
        // An odd factor, so that all bits of the last eight bytes change, except those of the variant.
        let random = number.wrapping_mul(0x5851_f42d_4c95_7f2d) & (u128::MAX >> 66);
        let bytes = (0x0191_e0c4_8f2a_7c3e_u128 << 64 | 2 << 62 | random).to_be_bytes();
        let hash = build.hash_one(SessionId::from_bytes(bytes).unwrap());
        hashes.insert(hash);
        // By these bits, the table chooses a place and compares.
        low.insert(hash & 0xff);
        high.insert(hash >> 57);
    }
    assert_eq!(hashes.len(), 10_000);
    assert_eq!((low.len(), high.len()), (256, 128));
}

#[test]
fn it_is_bounded_in_bytes() {
    const MAX: u64 = 64 * 1024;
    let cache = SessionCache::new(MAX);
    assert_eq!((cache.len(), cache.bytes()), (0, 0));
    let insert = |number, session| {
        let id = numbered(number);
        cache.insert_read(id, cache.version(id), session, soon());
    };
    insert(0, tombstone(1));
    let each = cache.bytes();
    // About 400, by the documents.
    assert!((300..500).contains(&each), "{each}");
    for number in 1..10_000 {
        insert(number, tombstone(1));
    }
    assert!(cache.bytes() <= MAX && cache.len() > 50);
    assert_eq!(cache.bytes(), cache.len() as u64 * each);
    cache.clear();
    assert_eq!((cache.len(), cache.bytes()), (0, 0));
}

/// By the formula that `NearCacheBuilder::with_max_bytes` documents.
#[test]
fn a_session_counts_its_text_and_80_bytes_for_each_entry() {
    let bytes_of = |entries: Entries| {
        let cache = SessionCache::new(BYTES);
        cache.insert_read(
            id(),
            cache.version(id()),
            Loaded::Record(record(entries)),
            soon(),
        );
        assert_eq!(cache.len(), 1);
        cache.bytes()
    };
    let empty = bytes_of(Entries::new());
    assert!((300..500).contains(&empty), "{empty}");
    let (mut entries, value) = (Entries::new(), "x".repeat(1000));
    for (count, key) in [(1, "one"), (2, "two"), (3, "three")] {
        entries.set(key, &value).unwrap();
        let more = bytes_of(entries.clone()) - empty;
        // A key, a value, four quotation marks, a colon and a comma.
        assert!(
            (count * 1080..count * 1095).contains(&more),
            "{count}: {more}"
        );
    }
}

#[test]
fn it_is_bounded_in_time() {
    let cache = SessionCache::new(BYTES);
    let late = Instant::now();
    cache.insert_read(id(), cache.version(id()), tombstone(1), late);
    assert_eq!(cache.get(id(), late), None);
}
