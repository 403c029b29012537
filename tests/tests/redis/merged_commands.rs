//! Commands of concurrent requests are merged into one command to Redis, and each caller gets its own
//! result.

use std::future::Future;

use cloakroom_core::event::SessionEvent;
use cloakroom_core::index::UserIndex;
use cloakroom_core::store::{Created, Ended, Loaded, Touched, Updated, UserCreated};
use cloakroom_core::{Realm, Record, SessionId, Store, StoreErrorKind, UserId, UserKey};
use cloakroom_redis::RedisStore;
use futures_util::future::join_all;
use tests::generous;
use tests::records::{MINUTE, add_request, next, number, revision, session, tombstone};
use tests::redis::RedisServer;
use tests::topology::Cluster;

/// More than one merged command may contain.
const MANY: u64 = 150;

pub(super) async fn open(url: String) -> RedisStore {
    generous::connect(url, "cloakroom")
        .await
        .expect("the server is running")
}

/// Creates `MANY` sessions concurrently.
pub(super) async fn begin_many(store: &RedisStore) -> Vec<(SessionId, Record)> {
    let sessions: Vec<_> = (0..MANY).map(session).collect();
    let created = sessions
        .iter()
        .map(|(id, record)| store.create(*id, record, MINUTE));
    for created in join_all(created).await {
        assert!(matches!(created, Ok(Created::Created)));
    }
    sessions
}

/// The names of the commands that Redis receives during `work`.
async fn sent_by(server: &RedisServer, work: impl Future<Output = ()>) -> Vec<String> {
    let monitor = server.monitor();
    work.await;
    let commands = monitor.commands().into_iter();
    commands.map(|words| words[0].clone()).collect()
}

#[tokio::test]
async fn merged_loads_return_each_session_to_its_caller() {
    let server = RedisServer::start();
    let store = open(server.url()).await;
    let sessions = begin_many(&store).await;
    let (ended, first) = &sessions[7];
    let stone = tombstone(first);
    store.end(*ended, None, &stone, MINUTE).await.unwrap();
    let (nobody, _) = session(0);
    let (list, _) = session(0);
    server.command(&["RPUSH", &format!("cloakroom:{list}"), "a"]);

    let names = sent_by(&server, async {
        let known = sessions.iter().map(|(id, _)| *id);
        let ids: Vec<_> = known.chain([nobody, list]).collect();
        let loaded = join_all(ids.iter().map(|id| store.load(*id))).await;
        for (index, loaded) in loaded.into_iter().enumerate() {
            match (index, loaded) {
                (7, loaded) => assert_eq!(loaded.unwrap(), Loaded::Tombstone(stone.clone())),
                (150, loaded) => assert_eq!(loaded.unwrap(), Loaded::Nothing),
                (151, loaded) => {
                    assert_eq!(loaded.unwrap_err().kind(), StoreErrorKind::Unreadable);
                }
                (index, loaded) => {
                    assert_eq!(loaded.unwrap(), Loaded::Record(sessions[index].1.clone()));
                }
            }
        }
    })
    .await;
    let count = |name| names.iter().filter(|there| *there == name).count();
    // The first load is not merged, and missing sessions are loaded again with a `GET` each.
    assert_eq!((count("MGET"), count("GET")), (3, 3), "{names:?}");
}

#[tokio::test]
async fn merged_writes_return_each_outcome_to_its_caller() {
    let server = RedisServer::start();
    let store = open(server.url()).await;
    let sessions = begin_many(&store).await;
    let names = sent_by(&server, async {
        let updates = sessions.iter().map(async |(id, record)| {
            let after = next(record, number(record) + 1);
            store.update(*id, record.revision(), &after, MINUTE).await
        });
        for updated in join_all(updates).await {
            assert_eq!(updated.unwrap(), Updated::Updated);
        }
    })
    .await;
    let calls = names.iter().filter(|name| name.starts_with("EVAL")).count();
    assert!(calls <= 8, "{calls} calls for {MANY} updates");
    for (id, record) in &sessions {
        let Loaded::Record(there) = store.load(*id).await.unwrap() else {
            panic!("it is there");
        };
        assert_eq!(number(&there), number(record) + 1);
    }
}

#[tokio::test]
async fn one_of_many_merged_updates_of_one_session_wins() {
    let server = RedisServer::start();
    let store = open(server.url()).await;
    let (id, record) = session(1);
    store.create(id, &record, MINUTE).await.unwrap();
    let updates = (0..MANY).map(async |number| {
        let after = next(&record, number);
        let updated = store.update(id, record.revision(), &after, MINUTE).await;
        (after, updated.unwrap())
    });
    let mut won = Vec::new();
    let mut there = Vec::new();
    for (after, updated) in join_all(updates).await {
        match updated {
            Updated::Updated => won.push(after),
            Updated::Conflict(record) => there.push(record),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(won.len(), 1);
    assert!(there.iter().all(|there| *there == won[0]));
}

/// If all other results are equal, a failed one is still reported to its caller, whether its script
/// aborted or returned an error.
#[tokio::test]
async fn one_error_among_merged_successes_reaches_its_caller() {
    let server = RedisServer::start();
    let store = open(server.url()).await;
    let mut sessions = begin_many(&store).await;
    sessions.truncate(40);
    let (list, record) = session(0);
    server.command(&["RPUSH", &format!("cloakroom:{list}"), "a"]);
    sessions[20] = (list, record);
    let unreadable = Err(StoreErrorKind::Unreadable);

    let updates = sessions.iter().map(async |(id, record)| {
        let after = next(record, 9);
        let updated = store.update(*id, record.revision(), &after, MINUTE).await;
        (*id, after, updated.map_err(|error| error.kind()))
    });
    let updated = join_all(updates).await;
    for (id, _, updated) in &updated {
        if *id == list {
            assert_eq!(*updated, unreadable);
        } else {
            assert_eq!(*updated, Ok(Updated::Updated));
        }
    }
    let ends = updated.iter().map(async |(id, record, _)| {
        let (expected, stone) = (record.revision(), tombstone(record));
        let ended = store.end(*id, Some(expected), &stone, MINUTE).await;
        (*id, ended.map_err(|error| error.kind()))
    });
    for (id, ended) in join_all(ends).await {
        if id == list {
            assert_eq!(ended.map(|_| Updated::Updated), unreadable);
        } else {
            assert_eq!(ended, Ok(Ended::Ended));
        }
    }
}

/// A large write would delay the others.
#[tokio::test]
async fn a_large_write_is_not_merged() {
    let server = RedisServer::start();
    let store = open(server.url()).await;
    let sessions = begin_many(&store).await;
    let large = sessions[7].0;
    let monitor = server.monitor();
    let updates = sessions.iter().map(async |(id, record)| {
        let mut entries = record.entries().clone();
        if *id == large {
            entries
                .set("large", &"x".repeat(20_000))
                .expect("it is text");
        }
        let (limits, digest) = (record.limits(), *record.digest());
        let after = Record::new(revision(), record.last_seen(), limits, digest, entries);
        store.update(*id, record.revision(), &after, MINUTE).await
    });
    for updated in join_all(updates).await {
        assert_eq!(updated.unwrap(), Updated::Updated);
    }
    let large = format!("cloakroom:{large}");
    let commands = monitor.commands();
    let mut calls = commands.iter().filter(|words| words[0].starts_with("EVAL"));
    let call = calls.find(|words| words.contains(&large));
    assert_eq!(call.map(|words| &*words[2]), Some("1"), "it has one key");
}

#[tokio::test]
async fn different_verbs_are_merged_and_errors_stay_separate() {
    let server = RedisServer::start();
    let store = open(server.url()).await;
    let sessions = begin_many(&store).await;
    let (list, record) = session(0);
    let key = format!("cloakroom:{list}");
    server.command(&["RPUSH", &key, "a"]);
    let work = sessions
        .iter()
        .enumerate()
        .map(async |(index, (id, record))| {
            let (expected, seen) = (record.revision(), record.last_seen().plus(MINUTE));
            match index % 5 {
                0 => {
                    let updated = store.update(*id, expected, &next(record, 9), MINUTE).await;
                    assert_eq!(updated.unwrap(), Updated::Updated);
                }
                1 => {
                    let touched = store.touch(*id, expected, seen, MINUTE).await;
                    assert_eq!(touched.unwrap(), Touched::Touched);
                }
                2 => {
                    let stone = tombstone(record);
                    let ended = store.end(*id, Some(expected), &stone, MINUTE).await;
                    assert_eq!(ended.unwrap(), Ended::Ended);
                }
                3 => {
                    let updated = store.update(*id, revision(), record, MINUTE).await;
                    assert_eq!(updated.unwrap(), Updated::Conflict(record.clone()));
                }
                _ => {
                    // Not a string: the error must not reach other callers.
                    let updated = store.update(list, revision(), record, MINUTE).await;
                    assert_eq!(updated.unwrap_err().kind(), StoreErrorKind::Unreadable);
                }
            }
        });
    join_all(work).await;
    // An end replaces any value.
    let ended = store.end(list, None, &tombstone(&record), MINUTE).await;
    assert_eq!(ended.unwrap(), Ended::Ended);
}

#[tokio::test]
async fn a_server_without_memory_refuses_writes_and_still_ends_sessions() {
    let server = RedisServer::start();
    let store = open(server.url()).await;
    let sessions = begin_many(&store).await;
    server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    let updates = sessions.iter().map(async |(id, record)| {
        let after = next(record, 9);
        store.update(*id, record.revision(), &after, MINUTE).await
    });
    for updated in join_all(updates).await {
        assert_eq!(updated.unwrap_err().kind(), StoreErrorKind::OutOfMemory);
    }
    let ends = sessions.iter().map(async |(id, record)| {
        let stone = tombstone(record);
        store.end(*id, None, &stone, MINUTE).await
    });
    for ended in join_all(ends).await {
        assert_eq!(ended.unwrap(), Ended::Ended);
    }
}

#[tokio::test]
async fn an_unknown_script_is_sent_as_text() {
    let server = RedisServer::start();
    let store = open(server.url()).await;
    let sessions = begin_many(&store).await;
    server.command(&["SCRIPT", "FLUSH"]);
    let updates = sessions.iter().map(async |(id, record)| {
        let after = next(record, 9);
        store.update(*id, record.revision(), &after, MINUTE).await
    });
    for updated in join_all(updates).await {
        assert_eq!(updated.unwrap(), Updated::Updated);
    }
}

#[tokio::test]
async fn commands_to_a_cluster_each_have_their_own_result() {
    let cluster = Cluster::start();
    let store = open(cluster.url()).await;
    let sessions = begin_many(&store).await;
    for node in cluster.primaries() {
        node.command(&["SCRIPT", "FLUSH"]);
    }
    let updates = sessions.iter().map(async |(id, record)| {
        let after = next(record, 9);
        store.update(*id, record.revision(), &after, MINUTE).await
    });
    for updated in join_all(updates).await {
        assert_eq!(updated.unwrap(), Updated::Updated);
    }
    for loaded in join_all(sessions.iter().map(|(id, _)| store.load(*id))).await {
        let Loaded::Record(record) = loaded.unwrap() else {
            panic!("it is there");
        };
        assert_eq!(number(&record), 9);
    }
    // Scripts and other commands at the same time, half of them refused.
    let work = sessions
        .iter()
        .enumerate()
        .map(async |(index, (id, record))| {
            let after = next(record, 10);
            let (updated, created) = tokio::join!(
                store.update(*id, record.revision(), &after, MINUTE),
                store.create(
                    if index % 2 == 0 { *id } else { session(0).0 },
                    record,
                    MINUTE
                )
            );
            let Ok(Updated::Conflict(there)) = updated else {
                panic!("{updated:?}");
            };
            assert_eq!((there.digest(), number(&there)), (record.digest(), 9));
            let is_created = matches!(created, Ok(Created::Created));
            assert_eq!(is_created, index % 2 == 1, "{created:?}");
        });
    join_all(work).await;
}

/// Scripts with two keys, merged with scripts with one: each gets its own keys.
#[tokio::test]
async fn merged_sign_ins_are_each_indexed_stored_and_published() {
    let server = RedisServer::start();
    let store = open(server.url()).await;
    let touched = begin_many(&store).await;
    let realm = Realm::new("merged");
    let user = |number: usize| UserKey::new(&realm, &UserId::from(format!("user {}", number % 7)));
    let sign_ins: Vec<_> = (0..MANY).map(session).collect();
    let taken = &sign_ins[30];
    store.create(taken.0, &touched[0].1, MINUTE).await.unwrap();
    let names = sent_by(&server, async {
        let work = sign_ins.iter().zip(&touched).enumerate().map(
            async |(place, ((id, record), (other, before)))| {
                let add_request = add_request(*id, record);
                let event = SessionEvent::Created { id: *id };
                let (key, event) = (user(place), (place % 2 == 0).then_some(&event));
                let seen = before.last_seen().plus(MINUTE);
                let (entered, touched) = tokio::join!(
                    store.create_for_user(&key, &add_request, record, MINUTE, event),
                    store.touch(*other, before.revision(), seen, MINUTE)
                );
                assert_eq!(touched.unwrap(), Touched::Touched);
                (place, entered.unwrap())
            },
        );
        for (place, entered) in join_all(work).await {
            match entered {
                UserCreated::Collision => assert_eq!(sign_ins[place].0, taken.0),
                UserCreated::Created { published, .. } => assert_eq!(published, place % 2 == 0),
                other => panic!("{other:?}"),
            }
        }
    })
    .await;
    let calls = names.iter().filter(|name| name.starts_with("EVAL")).count();
    assert!(calls <= 16, "{calls} calls for {} scripts", 2 * MANY);
    for (place, (id, record)) in sign_ins.iter().enumerate() {
        let there = store.load(*id).await.unwrap();
        assert_eq!(there == Loaded::Record(record.clone()), *id != taken.0);
        assert!(store.list(&user(place), None).await.unwrap().contains(id));
    }
}
