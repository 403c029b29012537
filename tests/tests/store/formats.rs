//! Servers that write records in different formats, as in a deployment that introduces one.

use std::time::Duration;

use cloakroom::SessionLayer;
use cloakroom_core::codec::{self, RecordFormat, Stored};
use cloakroom_core::store::{Ended, Loaded, Touched, Updated};
use cloakroom_core::{EndReason, Record, SessionId, Store, Tombstone};
use cloakroom_redis::RedisStore;
use tests::app::app;
use tests::browser::{Browser, CookieChange};
use tests::generous;
use tests::records::{MINUTE, next, session, tombstone};
use tests::redis::RedisServer;

const BOTH: [RecordFormat; 2] = [RecordFormat::V1, RecordFormat::V2];

async fn open(server: &RedisServer, format: RecordFormat) -> RedisStore {
    let store = generous::redis(server.url(), "cloakroom").with_record_format(format);
    store.connect().await.expect("the server is running")
}

fn text(server: &RedisServer, id: SessionId) -> String {
    server.command(&["GET", &format!("cloakroom:{id}")]).text()
}

async fn loaded(store: &RedisStore, id: SessionId) -> Record {
    match store.load(id).await.expect("it can be read") {
        Loaded::Record(record) => record,
        other => panic!("{other:?}"),
    }
}

/// Each store reads, touches, replaces and ends what the other one has written.
#[tokio::test]
async fn stores_of_both_formats_share_records() {
    let server = RedisServer::start();
    for written in BOTH {
        for other in BOTH {
            let (writer, store) = (open(&server, written).await, open(&server, other).await);
            let (id, first) = session(1);
            writer.create(id, &first, MINUTE).await.unwrap();
            assert!(text(&server, id).starts_with(written.magic()));
            assert_eq!(loaded(&store, id).await, first);

            let later = first.last_seen().plus(Duration::from_secs(4));
            let touched = store.touch(id, first.revision(), later, MINUTE).await;
            assert_eq!(touched.unwrap(), Touched::Touched);
            // A touch changes last-seen where it is.
            let expected = codec::encode_as(&first.clone().touched(later), written);
            assert_eq!(text(&server, id), expected);
            // An earlier last-seen is not written.
            let touched = store.touch(id, first.revision(), first.last_seen(), MINUTE);
            assert_eq!(touched.await.unwrap(), Touched::Touched);
            assert_eq!(text(&server, id), expected);

            let second = next(&first, 2);
            let refused = store.update(id, second.revision(), &second, MINUTE).await;
            let found = first.clone().touched(later);
            assert_eq!(refused.unwrap(), Updated::Conflict(found));
            assert_eq!(text(&server, id), expected);
            let updated = store.update(id, first.revision(), &second, MINUTE).await;
            assert_eq!(updated.unwrap(), Updated::Updated);
            assert_eq!(text(&server, id), codec::encode_as(&second, other));

            let stone = tombstone(&second);
            let refused = writer.end(id, Some(first.revision()), &stone, MINUTE).await;
            assert_eq!(refused.unwrap(), Ended::Conflict(second.clone()));
            let ended = writer.end(id, Some(second.revision()), &stone, MINUTE);
            assert_eq!(ended.await.unwrap(), Ended::Ended);
            let ended = store.load(id).await.unwrap();
            assert_eq!(ended, Loaded::Tombstone(stone));
        }
    }
}

/// A last-seen that is so late that a clock was wrong is replaced, in both formats.
#[tokio::test]
async fn a_last_seen_from_a_wrong_clock_is_replaced() {
    let server = RedisServer::start();
    for format in BOTH {
        let store = open(&server, format).await;
        let (id, record) = session(1);
        let now = record.last_seen();
        let ahead = record.touched(now.plus(MINUTE));
        store.create(id, &ahead, MINUTE).await.unwrap();
        let touched = store.touch(id, ahead.revision(), now, MINUTE).await;
        assert_eq!(touched.unwrap(), Touched::Touched);
        assert_eq!(loaded(&store, id).await.last_seen(), now);
    }
}

/// A browser between servers that write different formats: no change is lost, and its cookie stays.
#[tokio::test]
async fn a_session_changes_its_format_with_each_write_of_another_server() {
    let server = RedisServer::start();
    let mut apps = Vec::new();
    for format in BOTH {
        let store = open(&server, format).await;
        apps.push((format, app(SessionLayer::new(store))));
    }
    let mut browser = Browser::new(apps[0].1.clone());
    browser
        .request(async |session| session.insert("n", 0))
        .await;
    let key = server.keys_with_ttl().remove(0).0;
    let written = server.command(&["GET", &key]).text();
    let digest = |text: &str| text[61..104].to_owned();
    for number in 1..=6 {
        let (format, app) = &apps[number % 2];
        browser = browser.on(app.clone());
        let response = browser
            .request(async |session| {
                let next = session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1);
                next.map(|_| ())
            })
            .await;
        assert_eq!(response.cookie_change(), CookieChange::Nothing);
        let text = server.command(&["GET", &key]).text();
        assert!(text.starts_with(format.magic()), "{text}");
        assert!(text.ends_with(&format!("{{\"n\":{number}}}")), "{text}");
        // A release that does not read format 2 finds the whole digest again.
        if *format == RecordFormat::V1 {
            assert_eq!(digest(&text), digest(&written));
        }
    }
}

/// The token is not in the request that ends all sessions of a user, so only half of the digest is known.
#[tokio::test]
async fn a_session_of_format_2_is_ended_by_a_store_that_writes_format_1() {
    let server = RedisServer::start();
    let [one, two] = [open(&server, BOTH[0]).await, open(&server, BOTH[1]).await];
    let (id, record) = session(1);
    two.create(id, &record, MINUTE).await.unwrap();
    let read = loaded(&one, id).await;
    let stone = tombstone(&read);
    let ended = one.end(id, Some(read.revision()), &stone, MINUTE).await;
    assert_eq!(ended.unwrap(), Ended::Ended);
    // The presented token's digest equals that of the tombstone.
    let stored = codec::decode(text(&server, id).as_bytes()).unwrap();
    let Stored::Tombstone(stored) = stored else {
        panic!("{stored:?}");
    };
    assert_eq!(stored.digest(), Some(record.digest()));
}

/// Ended by its id alone, with the reason of an administrator.
async fn end_unseen(store: &RedisStore, id: SessionId, record: &Record) -> Tombstone {
    let stone = Tombstone::new(None, record.last_seen(), EndReason::RevokedByAdmin);
    let ended = store.end(id, None, &stone, MINUTE).await;
    assert_eq!(ended.expect("it is ended"), Ended::Ended);
    stone
}

/// What is where the digest would be is copied to the tombstone only if it is one.
#[tokio::test]
async fn a_record_that_cannot_be_read_leaves_a_tombstone_that_can() {
    let server = RedisServer::start();
    for format in BOTH {
        let store = open(&server, format).await;
        let (id, record) = session(1);
        let good = codec::encode_as(&record, format);
        let digest = if format == RecordFormat::V1 {
            61..104
        } else {
            30..52
        };
        let with = |place: usize, text: &str| {
            let mut bad = good.clone();
            bad.replace_range(place..=place, text);
            bad
        };
        let magic = format.magic();
        let mut bad = vec![magic.to_owned(), format!("{magic}garbage")];
        for end in [digest.start, digest.start + 1, digest.end - 1] {
            bad.push(good[..end].to_owned());
        }
        for text in [" ", ":", "=", "+", "/", "\n", "\u{e9}"] {
            bad.extend([digest.start, digest.start + 9, digest.end - 1].map(|at| with(at, text)));
        }
        // Bits that no digest has.
        bad.extend(["B", "9", "_"].map(|text| with(digest.end - 1, text)));
        for value in bad {
            server.command(&["SET", &format!("cloakroom:{id}"), &value]);
            let stone = end_unseen(&store, id, &record).await;
            let there = store.load(id).await.expect("it can be read");
            assert_eq!(there, Loaded::Tombstone(stone), "{value:?}");
        }
    }
}

#[tokio::test]
async fn the_owner_of_a_session_that_is_ended_by_its_id_learns_why() {
    let server = RedisServer::start();
    for format in BOTH {
        let store = open(&server, format).await;
        let mut browser = Browser::new(app(SessionLayer::new(store.clone())));
        let response = browser
            .request(async |session| {
                session.sign_in("ada").await?;
                Ok(session.id().map(|id| id.to_string()).unwrap_or_default())
            })
            .await;
        let id = response.text().parse().expect("it has an id");
        let record = loaded(&store, id).await;
        assert!(text(&server, id).starts_with(format.magic()));
        end_unseen(&store, id, &record).await;
        let response = browser
            .request(async |session| {
                Ok(session.ended_reason().map_or("unknown", EndReason::as_str))
            })
            .await;
        assert_eq!(response.text(), EndReason::RevokedByAdmin.as_str());
    }
}
