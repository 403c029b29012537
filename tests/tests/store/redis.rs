//! What the Redis store sends, writes and leaves unchanged.

use std::time::Duration;

use cloakroom_core::codec::{self, RecordFormat};
use cloakroom_core::store::{Created, Ended, Loaded, Touched, Updated};
use cloakroom_core::{Record, SessionId, Store, StoreErrorKind};
use cloakroom_redis::{ConnectErrorKind, RedisStore};
use tests::generous;
use tests::records::{MINUTE, next, number, revision, session, tombstone};
use tests::redis::RedisServer;
use tests::resp::Reply;

async fn open(server: &RedisServer) -> RedisStore {
    let store = generous::connect(server.url(), "cloakroom").await;
    store.expect("the server is running")
}

fn key(id: SessionId) -> String {
    format!("cloakroom:{id}")
}

/// Whether a key has a TTL that was `ttl` a moment ago.
fn lives_for(server: &RedisServer, key: &str, ttl: Duration) -> bool {
    let left = server.ttl(key).expect("every key has a TTL");
    left <= ttl && left + Duration::from_secs(5) > ttl
}

#[tokio::test]
async fn each_verb_is_one_command() {
    let server = RedisServer::start();
    let store = open(&server).await;
    let (id, first) = session(1);
    let second = next(&first, 2);
    let later = first.last_seen().plus(MINUTE);
    // Runs each script once, so that the server has it cached.
    let (unknown, _) = session(0);
    let _ = store.update(unknown, revision(), &first, MINUTE).await;
    let _ = store.touch(unknown, revision(), later, MINUTE).await;
    let _ = store.end(unknown, None, &tombstone(&first), MINUTE).await;

    let monitor = server.monitor();
    store.create(id, &first, MINUTE).await.unwrap();
    store.load(id).await.unwrap();
    let touched = store.touch(id, first.revision(), later, MINUTE).await;
    assert_eq!(touched.unwrap(), Touched::Touched);
    let updated = store.update(id, first.revision(), &second, MINUTE).await;
    assert_eq!(updated.unwrap(), Updated::Updated);
    let stone = tombstone(&first);
    let ended = store.end(id, Some(second.revision()), &stone, MINUTE);
    assert_eq!(ended.await.unwrap(), Ended::Ended);
    store.ping().await.unwrap();
    let commands = monitor.commands();

    let key = key(id);
    let names: Vec<_> = commands.iter().map(|words| words[0].as_str()).collect();
    assert_eq!(
        names,
        ["SET", "GET", "EVALSHA", "EVALSHA", "EVALSHA", "PING"]
    );
    let encoded = codec::encode(&first);
    assert_eq!(commands[0][1..], [&key, &*encoded, "PX", "60000", "NX"]);
    assert_eq!(commands[1][1..], [&*key]);
    for (script, args) in commands[2..5].iter().zip([5, 4, 4]) {
        assert_eq!(script[2..4], ["1", &key]);
        assert_eq!(script.len(), 4 + args);
    }
}

#[tokio::test]
async fn an_unknown_script_is_sent_as_text_once() {
    let server = RedisServer::start();
    let store = open(&server).await;
    let (id, mut record) = session(0);
    store.create(id, &record, MINUTE).await.unwrap();
    for round in 1..=3 {
        server.command(&["SCRIPT", "FLUSH"]);
        let monitor = server.monitor();
        for again in 0..2 {
            let fresh = next(&record, round * 2 + again);
            let updated = store.update(id, record.revision(), &fresh, MINUTE).await;
            assert_eq!(updated.unwrap(), Updated::Updated);
            record = fresh;
        }
        let commands = monitor.commands();
        let names: Vec<_> = commands.iter().map(|words| words[0].as_str()).collect();
        assert_eq!(names, ["EVALSHA", "EVAL", "EVALSHA"]);
    }
}

#[tokio::test]
async fn every_key_has_the_requested_ttl() {
    let server = RedisServer::start();
    let store = open(&server).await;
    let (id, first) = session(1);
    let key = key(id);
    store.create(id, &first, MINUTE).await.unwrap();
    assert!(lives_for(&server, &key, MINUTE));

    let later = first.last_seen().plus(MINUTE);
    let touched = store.touch(id, first.revision(), later, MINUTE * 3).await;
    assert_eq!(touched.unwrap(), Touched::Touched);
    assert!(lives_for(&server, &key, MINUTE * 3));

    let second = next(&first, 2);
    let updated = store
        .update(id, first.revision(), &second, MINUTE * 2)
        .await;
    assert_eq!(updated.unwrap(), Updated::Updated);
    assert!(lives_for(&server, &key, MINUTE * 2));

    // Rejected commands do not change the TTL.
    let third = next(&first, 3);
    let refused = store.update(id, first.revision(), &third, MINUTE * 9).await;
    assert_eq!(refused.unwrap(), Updated::Conflict(second.clone()));
    let refused = store.touch(id, first.revision(), later, MINUTE * 9).await;
    assert_eq!(refused.unwrap(), Touched::Superseded);
    assert!(lives_for(&server, &key, MINUTE * 2));

    store
        .end(id, None, &tombstone(&first), MINUTE)
        .await
        .unwrap();
    let (missing, _) = session(0);
    store
        .end(missing, None, &tombstone(&first), MINUTE)
        .await
        .unwrap();
    let keys = server.keys_with_ttl();
    assert_eq!(keys.len(), 2);
    for (name, ttl) in keys {
        let ttl = ttl.expect("every key has a TTL");
        assert!(
            ttl <= MINUTE && ttl > MINUTE - Duration::from_secs(5),
            "{name}: {ttl:?}"
        );
    }
}

#[tokio::test]
async fn a_ttl_below_a_millisecond_is_accepted() {
    let server = RedisServer::start();
    let store = open(&server).await;
    let (id, record) = session(1);
    for ttl in [Duration::ZERO, Duration::from_micros(10)] {
        assert_eq!(
            store.create(id, &record, ttl).await.unwrap(),
            Created::Created
        );
        while server.command(&["EXISTS", &key(id)]) != Reply::Number(0) {}
    }
}

/// Foreign values, each with the kind of error.
fn foreign(record: &Record, format: RecordFormat) -> Vec<(Vec<u8>, StoreErrorKind)> {
    let good = codec::encode_as(record, format).into_bytes();
    let mut not_text = good.clone();
    let last = not_text.len() - 2;
    not_text[last] = 0xff;
    // With another revision, since the expected one would match.
    let revision = format.revision().start;
    not_text[revision] = if good[revision] == b'0' { b'1' } else { b'0' };
    let newer = |head: &[u8]| [head, &good[2..]].concat();
    vec![
        (Vec::new(), StoreErrorKind::Unreadable),
        (b"hello".to_vec(), StoreErrorKind::Unreadable),
        (good[..10].to_vec(), StoreErrorKind::Unreadable),
        (not_text, StoreErrorKind::Unreadable),
        (newer(b"x1"), StoreErrorKind::Unreadable),
        (newer(b"c3"), StoreErrorKind::NewerFormat),
        (b"t2 something".to_vec(), StoreErrorKind::NewerFormat),
    ]
}

#[tokio::test]
async fn foreign_values_are_errors_and_left_unchanged() {
    let server = RedisServer::start();
    let store = open(&server).await;
    let (id, record) = session(1);
    let later = record.last_seen().plus(MINUTE);
    let stone = tombstone(&record);
    let key = key(id);
    let formats = [RecordFormat::V1, RecordFormat::V2].into_iter();
    for (value, kind) in formats.flat_map(|format| foreign(&record, format)) {
        server.command(&[b"SET", key.as_bytes(), &value, b"PX", b"60000"]);
        let shown = String::from_utf8_lossy(&value).into_owned();
        let load = store.load(id).await.unwrap_err();
        assert_eq!(load.kind(), kind, "{shown:?}");
        let update = store
            .update(id, record.revision(), &record, MINUTE * 9)
            .await;
        assert_eq!(update.unwrap_err().kind(), kind, "{shown:?}");
        let touch = store.touch(id, record.revision(), later, MINUTE * 9).await;
        assert_eq!(touch.unwrap(), Touched::Superseded, "{shown:?}");
        let end = store
            .end(id, Some(record.revision()), &stone, MINUTE * 9)
            .await;
        assert_eq!(end.unwrap_err().kind(), kind, "{shown:?}");
        let create = store.create(id, &record, MINUTE * 9).await;
        assert_eq!(create.unwrap(), Created::Collision, "{shown:?}");
        assert_eq!(
            server.command(&["GET", &key]),
            Reply::Bytes(value),
            "it is left"
        );
        assert!(lives_for(&server, &key, MINUTE), "its TTL is left");

        let end = store.end(id, None, &stone, MINUTE).await;
        assert_eq!(end.unwrap(), Ended::Ended, "{shown:?}");
        assert_eq!(
            store.load(id).await.unwrap(),
            Loaded::Tombstone(stone.clone())
        );
    }
}

#[tokio::test]
async fn a_truncated_record_is_not_touched() {
    let server = RedisServer::start();
    let store = open(&server).await;
    let (id, record) = session(1);
    let later = record.last_seen().plus(MINUTE);
    let [one, two] =
        [RecordFormat::V1, RecordFormat::V2].map(|format| codec::encode_as(&record, format));
    let first = [19, 20, 25, 32, 60, codec::HEAD_LEN].map(|length| (&one, length));
    let second = [13, 14, 17, 22, 30, 52, 53].map(|length| (&two, length));
    for (good, length) in first.into_iter().chain(second) {
        server.command(&["SET", &key(id), &good[..length], "PX", "60000"]);
        let kind = store.load(id).await.unwrap_err().kind();
        assert_eq!(kind, StoreErrorKind::Unreadable, "{length}");
        let touch = store.touch(id, record.revision(), later, MINUTE * 9).await;
        assert_eq!(touch.unwrap(), Touched::Superseded, "{length}");
        assert_eq!(server.command(&["GET", &key(id)]).text(), good[..length]);
        assert!(lives_for(&server, &key(id), MINUTE));
    }
}

#[tokio::test]
async fn a_key_of_another_type_is_an_error_and_left_unchanged() {
    let server = RedisServer::start();
    let store = open(&server).await;
    let (id, record) = session(1);
    let later = record.last_seen().plus(MINUTE);
    let stone = tombstone(&record);
    server.command(&["RPUSH", &key(id), "x"]);
    let unreadable = StoreErrorKind::Unreadable;
    assert_eq!(store.load(id).await.unwrap_err().kind(), unreadable);
    let update = store.update(id, record.revision(), &record, MINUTE).await;
    assert_eq!(update.unwrap_err().kind(), unreadable);
    let touch = store.touch(id, record.revision(), later, MINUTE).await;
    assert_eq!(touch.unwrap_err().kind(), unreadable);
    let end = store.end(id, Some(record.revision()), &stone, MINUTE).await;
    assert_eq!(end.unwrap_err().kind(), unreadable);
    assert_eq!(
        server.command(&["LLEN", &key(id)]),
        Reply::Number(1),
        "it is left"
    );

    let end = store.end(id, None, &stone, MINUTE).await;
    assert_eq!(end.unwrap(), Ended::Ended);
    assert_eq!(store.load(id).await.unwrap(), Loaded::Tombstone(stone));
}

/// An end without a revision must always be possible.
#[tokio::test]
async fn a_tombstone_that_cannot_be_read_is_replaced_by_an_end() {
    let server = RedisServer::start();
    let store = open(&server).await;
    let long = [b"t1 ", &[b'x'; 100_000][..]].concat();
    let unreadable: [&[u8]; 4] = [b"t1 ", b"t1 later", b"t1 \xff\xfe", &long];
    let sessions: Vec<_> = unreadable.iter().zip(1..).collect();
    for merged in [false, true] {
        let ends = sessions.iter().map(|(value, number)| {
            let (id, record) = session(*number);
            server.command(&[b"SET", key(id).as_bytes(), value, b"PX", b"60000"]);
            (id, record)
        });
        let ends: Vec<_> = ends.collect();
        let end = async |(id, record): &(SessionId, Record)| {
            let stone = tombstone(record);
            let at_revision = store
                .end(*id, Some(record.revision()), &stone, MINUTE)
                .await;
            assert_eq!(at_revision.unwrap_err().kind(), StoreErrorKind::Unreadable);
            let ended = store.end(*id, None, &stone, MINUTE).await;
            assert_eq!(ended.unwrap(), Ended::Ended);
            assert_eq!(
                store.load(*id).await.unwrap(),
                Loaded::Tombstone(stone.clone())
            );
            // One that can be read stays.
            let again = store.end(*id, None, &stone, MINUTE).await;
            assert_eq!(again.unwrap(), Ended::AlreadyEnded(stone));
        };
        if merged {
            futures_util::future::join_all(ends.iter().map(&end)).await;
        } else {
            for one in &ends {
                end(one).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn increments_of_several_stores_are_all_kept() {
    const STORES: u64 = 4;
    const EACH: u64 = 50;
    let server = RedisServer::start();
    let (id, first) = session(0);
    open(&server)
        .await
        .create(id, &first, MINUTE)
        .await
        .unwrap();
    let mut tasks = Vec::new();
    for _ in 0..STORES {
        let store = open(&server).await;
        let mut there = first.clone();
        tasks.push(tokio::spawn(async move {
            for _ in 0..EACH {
                loop {
                    let mine = next(&there, number(&there) + 1);
                    match store
                        .update(id, there.revision(), &mine, MINUTE)
                        .await
                        .unwrap()
                    {
                        Updated::Updated => {
                            there = mine;
                            break;
                        }
                        Updated::Conflict(fresher) => there = fresher,
                        other => panic!("{other:?}"),
                    }
                }
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let Loaded::Record(last) = open(&server).await.load(id).await.unwrap() else {
        panic!("the session is gone");
    };
    assert_eq!(number(&last), STORES * EACH);
}

#[tokio::test]
async fn prefixes_are_separate_namespaces() {
    let server = RedisServer::start();
    let (id, record) = session(1);
    let builder = generous::redis(server.url(), "shop-sessions");
    let shop = builder.connect().await.unwrap();
    let plain = open(&server).await;
    shop.create(id, &record, MINUTE).await.unwrap();
    assert_eq!(plain.load(id).await.unwrap(), Loaded::Nothing);
    assert_eq!(server.keys_with_ttl()[0].0, format!("shop-sessions:{id}"));

    for prefix in ["", "a b", "a*", "{a}", "ä"] {
        let builder = generous::redis(server.url(), prefix);
        let error = builder.connect().await.unwrap_err();
        assert_eq!(error.kind(), ConnectErrorKind::Configuration, "{prefix}");
    }
}

#[tokio::test]
async fn the_database_of_the_url_is_used() {
    let server = RedisServer::start();
    let (id, record) = session(1);
    let store = generous::connect(format!("{}/3", server.url()), "cloakroom")
        .await
        .unwrap();
    store.create(id, &record, MINUTE).await.unwrap();
    assert!(server.keys_with_ttl().is_empty());
    let keyspace = server.command(&["INFO", "keyspace"]).text();
    assert!(keyspace.contains("db3:keys=1,expires=1"), "{keyspace}");
}

#[tokio::test]
async fn the_last_clone_disconnects() {
    let server = RedisServer::start();
    let clients = || {
        let list = server.command(&["CLIENT", "LIST"]).text();
        list.lines().count()
    };
    let before = clients();
    let store = open(&server).await;
    let clone = store.clone();
    drop(store);
    clone.ping().await.unwrap();
    assert_eq!(clients(), before + 1);
    drop(clone);
    let gone = async {
        while clients() != before {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), gone)
        .await
        .unwrap();
}
