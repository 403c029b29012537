//! What a server knows of its own writes stays cached, so that the next request sends no command.
//!
//! The message about an earlier write may come late, and then the next one is not cached: so the tests try again.

use std::time::Duration;

use cloakroom_core::store::{Ended, Loaded, Touched, Updated};
use cloakroom_core::{EndReason, Store, Tombstone};
use tests::generous;
use tests::records::{MINUTE, next, session, tombstone};
use tests::redis::RedisServer;
use tests::wait::within;

use super::{PATIENCE, begin, near, seen, write};

#[tokio::test(flavor = "multi_thread")]
async fn a_touched_session_stays_cached() {
    let redis = RedisServer::start();
    let near = near(&redis.url()).await;
    let (id, record) = begin(&near).await;
    let mut at = record.last_seen();
    within("it is cached", PATIENCE, async || {
        let before = seen(&near, id).await;
        at = at.plus(Duration::from_millis(1));
        let touched = near.touch(id, record.revision(), at, MINUTE).await;
        assert_eq!(touched.expect("the command succeeds"), Touched::Touched);
        let after = near.peek_cached(id);
        assert_ne!(after, Some(before), "it was touched");
        after == Some(Loaded::Record(record.clone().touched(at)))
    })
    .await;
}

/// A session that was touched while it was not cached is read from Redis.
#[tokio::test(flavor = "multi_thread")]
async fn a_touch_caches_nothing_that_it_does_not_know() {
    let redis = RedisServer::start();
    let near = near(&redis.url()).await;
    let (id, record) = begin(&near).await;
    let at = record.last_seen().plus(Duration::from_millis(1));
    let touched = near.touch(id, record.revision(), at, MINUTE).await;
    assert_eq!(touched.expect("the command succeeds"), Touched::Touched);
    assert_eq!(near.peek_cached(id), None);
    assert_eq!(seen(&near, id).await, Loaded::Record(record.touched(at)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_has_ended_stays_cached_as_it_is_stored() {
    let redis = RedisServer::start();
    let near = near(&redis.url()).await;
    let (successor, _) = session(1);
    for is_with_secrets in [false, true] {
        within("it is cached", PATIENCE, async || {
            let (id, record) = begin(&near).await;
            let stone = if is_with_secrets {
                let secrets = vec![*record.digest(); 2];
                Tombstone::renewed_with_secrets(secrets, record.last_seen(), successor)
            } else {
                tombstone(&record)
            };
            let ended = near.end(id, None, &stone, MINUTE).await;
            assert_eq!(ended.expect("the command succeeds"), Ended::Ended);
            near.peek_cached(id) == Some(Loaded::Tombstone(stone))
        })
        .await;
    }
}

/// The store completes it with the digest of the session.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_ended_by_its_id_is_cached_when_it_is_read() {
    let redis = RedisServer::start();
    let near = near(&redis.url()).await;
    let (id, record) = begin(&near).await;
    let stone = Tombstone::new(None, record.last_seen(), EndReason::RevokedByUser);
    let ended = near.end(id, None, &stone, MINUTE).await;
    assert_eq!(ended.expect("the command succeeds"), Ended::Ended);
    assert_eq!(near.peek_cached(id), None);
    let stored = Tombstone::new(Some(*record.digest()), stone.at(), EndReason::RevokedByUser);
    let stored = Loaded::Tombstone(stored);
    within("it is cached", PATIENCE, async || {
        assert_eq!(seen(&near, id).await, stored);
        near.peek_cached(id).as_ref() == Some(&stored)
    })
    .await;
}

/// So a request that tries again sends no further command to learn what there is.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_update_finds_instead_is_cached() {
    let redis = RedisServer::start();
    let near = near(&redis.url()).await;
    let elsewhere = generous::connect(redis.url(), "cloakroom").await;
    let elsewhere = elsewhere.expect("the server is running");
    let (id, old) = begin(&elsewhere).await;
    let new = write(&elsewhere, id, &old).await;
    within("it is cached", PATIENCE, async || {
        let mine = next(&old, 9);
        let updated = near.update(id, old.revision(), &mine, MINUTE).await;
        let updated = updated.expect("the command succeeds");
        assert_eq!(updated, Updated::Conflict(new.clone()));
        near.peek_cached(id) == Some(Loaded::Record(new.clone()))
    })
    .await;
}
