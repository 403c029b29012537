//! Scripts of concurrent requests to a cluster are merged into one command for each node.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use cloakroom_core::store::{Created, Loaded, Updated};
use cloakroom_core::{Record, SessionId, Store, StoreErrorKind};
use cloakroom_redis::RedisStore;
use futures_util::future::join_all;
use tests::records::{MINUTE, next, number, session};
use tests::redis::RedisServer;
use tests::resp::Reply;
use tests::topology::Cluster;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Fewer than one merged command may contain.
const MANY: u64 = 60;

/// Generous, for a busy machine.
pub(super) const LIMIT: Duration = Duration::from_secs(20);

/// A store with a long timeout, and `MANY` sessions in it. The nodes have run the scripts before.
pub(super) async fn start(cluster: &Cluster) -> (RedisStore, Vec<(SessionId, Record)>) {
    let builder = RedisStore::builder(cluster.url(), "cloakroom").with_command_timeout(LIMIT);
    let store = builder.connect().await.expect("the cluster is complete");
    let mut sessions: Vec<_> = (0..MANY).map(session).collect();
    let created = sessions
        .iter()
        .map(|(id, record)| store.create(*id, record, MINUTE));
    for created in join_all(created).await {
        assert!(matches!(created, Ok(Created::Created)), "{created:?}");
    }
    for round in 0..3 {
        assert_all_updated(&update_all(&store, &mut sessions, round).await);
        assert_all_loaded(&store, &sessions).await;
    }
    (store, sessions)
}

/// Updates all sessions concurrently. `sessions` has what was stored.
pub(super) async fn update_all(
    store: &RedisStore,
    sessions: &mut [(SessionId, Record)],
    number: u64,
) -> HashMap<SessionId, Result<Updated, StoreErrorKind>> {
    let updates = sessions.iter_mut().map(async |(id, record)| {
        let after = next(record, number);
        let updated = store.update(*id, record.revision(), &after, MINUTE).await;
        if matches!(updated, Ok(Updated::Updated)) {
            *record = after;
        }
        (*id, updated.map_err(|error| error.kind()))
    });
    join_all(updates).await.into_iter().collect()
}

pub(super) fn assert_all_updated(updated: &HashMap<SessionId, Result<Updated, StoreErrorKind>>) {
    for updated in updated.values() {
        assert_eq!(*updated, Ok(Updated::Updated));
    }
}

pub(super) async fn assert_all_loaded(store: &RedisStore, sessions: &[(SessionId, Record)]) {
    let loaded = join_all(sessions.iter().map(|(id, _)| store.load(*id))).await;
    for (loaded, (_, record)) in loaded.into_iter().zip(sessions) {
        let loaded = loaded.expect("the cluster responds");
        assert_eq!(loaded, Loaded::Record(record.clone()));
    }
}

/// The names of the commands that each primary receives during `work`. fred writes each `EVALSHA` to the socket by
/// itself.
pub(super) async fn sent_by(cluster: &Cluster, work: impl Future<Output = ()>) -> Vec<Vec<String>> {
    let primaries = cluster.primaries().iter();
    let monitors: Vec<_> = primaries.map(RedisServer::monitor).collect();
    work.await;
    let mut sent = Vec::new();
    for monitor in monitors {
        let commands = monitor.commands().into_iter();
        sent.push(commands.map(|mut words| words.remove(0)).collect());
    }
    sent
}

#[tokio::test]
async fn concurrent_writes_are_one_command_for_each_node() {
    let cluster = Cluster::start();
    let (store, mut sessions) = start(&cluster).await;
    let names = sent_by(&cluster, async {
        assert_all_updated(&update_all(&store, &mut sessions, 10).await);
    });
    let names = names.await;
    for primary in cluster.primaries() {
        let errors = primary.command(&["INFO", "errorstats"]).text();
        assert!(
            errors.contains("errorstat_ERR:count=1\r"),
            "one check: {errors}"
        );
    }
    // The first command is not merged: no other one is in flight yet.
    assert_eq!(names.iter().flatten().count(), 4, "{names:?}");
    assert!(names.iter().all(|of_node| !of_node.is_empty()), "{names:?}");
    assert!(
        names.iter().flatten().all(|name| name == "EVALSHA"),
        "{names:?}"
    );
}

/// While its slot migrates, a key may be on either node. fred does not follow the redirection to the other one
/// (`ASK`), so such a session is unavailable: this one alone, whatever it is merged with.
#[tokio::test]
async fn a_key_that_migrates_holds_up_no_other_and_is_followed_afterwards() {
    let cluster = Cluster::start();
    let (store, mut sessions) = start(&cluster).await;
    // Any place in a batch: the first key is the one that the script declares.
    for place in [0, 1, 30] {
        let moved = sessions[place].0;
        let key = format!("cloakroom:{moved}");
        let holder = cluster.holder(&key);
        let (from, to) = (
            &cluster.primaries()[holder],
            &cluster.primaries()[(holder + 1) % 3],
        );
        cluster.begin_move(&key, from, to);
        cluster.move_key(&key, from, to);
        for (id, updated) in update_all(&store, &mut sessions, 20).await {
            if id == moved {
                assert_eq!(updated, Err(StoreErrorKind::Unavailable));
            } else {
                assert_eq!(updated, Ok(Updated::Updated));
            }
        }
        let loaded = join_all(sessions.iter().map(|(id, _)| store.load(*id))).await;
        for (loaded, (id, record)) in loaded.into_iter().zip(&sessions) {
            if *id == moved {
                assert_eq!(loaded.unwrap_err().kind(), StoreErrorKind::Unavailable);
            } else {
                assert_eq!(loaded.unwrap(), Loaded::Record(record.clone()));
            }
        }
        cluster.end_move(&key, from, to);
        assert_all_loaded(&store, &sessions).await;
        assert_all_updated(&update_all(&store, &mut sessions, 21).await);
    }
}

/// The store does not know yet that slots have moved. fred closes the connection to the node that had them when the first
/// reply says so, and the replies to what else is in flight there are lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn merged_commands_follow_slots_that_have_moved() {
    let cluster = Cluster::start();
    let (store, mut sessions) = start(&cluster).await;
    let ids = sessions.iter().map(|(id, _)| *id);
    let on_first = ids.filter(|id| cluster.holder(&format!("cloakroom:{id}")) == 0);
    let may_be_lost: HashSet<_> = on_first.collect();
    cluster.fail_over(0);
    let mut updated = update_all(&store, &mut sessions, 30).await;
    for (id, record) in &mut sessions {
        match updated.remove(id).expect("it was updated") {
            Err(StoreErrorKind::OutcomeUnknown) if may_be_lost.contains(id) => {
                let Loaded::Record(loaded) = store.load(*id).await.unwrap() else {
                    panic!("the session is live");
                };
                assert!(loaded == *record || number(&loaded) == 30);
                *record = loaded;
            }
            updated => assert_eq!(updated, Ok(Updated::Updated)),
        }
    }
    cluster.fail_over(1);
    assert_all_loaded(&store, &sessions).await;
    assert_all_updated(&update_all(&store, &mut sessions, 31).await);
    for (id, record) in &sessions {
        let loaded = store.load(*id).await.unwrap();
        assert_eq!(loaded, Loaded::Record(record.clone()));
        assert_eq!(number(record), 31);
    }
}

#[tokio::test]
async fn a_node_without_memory_refuses_writes_and_still_reads() {
    let cluster = Cluster::start();
    let (store, mut sessions) = start(&cluster).await;
    let full = &cluster.primaries()[1];
    full.command(&["CONFIG", "SET", "maxmemory", "1"]);
    let mut refused = 0;
    for (id, updated) in update_all(&store, &mut sessions, 40).await {
        if cluster.holder(&format!("cloakroom:{id}")) == 1 {
            assert_eq!(updated, Err(StoreErrorKind::OutOfMemory));
            refused += 1;
        } else {
            assert_eq!(updated, Ok(Updated::Updated));
        }
    }
    assert!(refused > 1, "some were merged");
    assert_all_loaded(&store, &sessions).await;
}

/// The other nodes reply at once, and their commands do not wait for the timeout of those that wait for this one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_hangs_holds_up_no_command_for_another() {
    let cluster = Cluster::start();
    let (store, sessions) = start(&cluster).await;
    let ids = sessions.iter().map(|(id, _)| *id);
    let is_on_other = |id: &SessionId| cluster.holder(&format!("cloakroom:{id}")) != 1;
    let on_others: Vec<_> = ids.filter(is_on_other).collect();
    assert!(on_others.len() < sessions.len());
    cluster.primaries()[1].freeze();
    let mut held = JoinSet::new();
    for (id, record) in &sessions {
        let (store, id, before) = (store.clone(), *id, record.clone());
        let is_held = !on_others.contains(&id);
        held.spawn(async move {
            let after = next(&before, 60);
            let updated = store.update(id, before.revision(), &after, MINUTE).await;
            (is_held, updated)
        });
    }
    for _ in &on_others {
        let completed = timeout(LIMIT / 2, held.join_next()).await;
        let completed = completed
            .expect("it is not held up")
            .expect("there are more");
        let (is_held, updated) = completed.unwrap();
        assert_eq!((is_held, updated.unwrap()), (false, Updated::Updated));
    }
    assert_eq!(held.len(), sessions.len() - on_others.len());
    cluster.primaries()[1].thaw();
    for (_, updated) in held.join_all().await {
        assert_eq!(updated.unwrap(), Updated::Updated);
    }
}

/// A value of Lua in `MessagePack`.
fn packed(server: &RedisServer, value: &str) -> Vec<u8> {
    let pack = format!("return cmsgpack.pack({value})");
    match server.command(&["EVAL", &pack, "0"]) {
        Reply::Bytes(bytes) => bytes,
        other => panic!("it is text: {other:?}"),
    }
}

/// A proxy in front of several servers, or a server that is not in cluster mode, would execute commands on keys that it
/// does not have. The text of the script is taken from a cluster, and sent to such a server.
#[tokio::test]
async fn a_server_that_does_not_reject_keys_of_others_runs_nothing() {
    let cluster = Cluster::start();
    let (store, mut sessions) = start(&cluster).await;
    for primary in cluster.primaries() {
        primary.command(&["SCRIPT", "FLUSH"]);
    }
    let monitor = cluster.primaries()[0].monitor();
    assert_all_updated(&update_all(&store, &mut sessions, 50).await);
    let mut commands = monitor.commands().into_iter();
    let batch = commands.find(|words| words[0] == "EVAL" && words[1].contains("name == 'create'"));
    let batch = batch.expect("it was sent").remove(1);
    // Valkey 8.1 does not escape backslashes for `MONITOR`.
    let batch = batch.replace("'\n'", r"'\n'");

    let server = RedisServer::start();
    let keys = packed(&server, "{ 'b' }");
    let calls = packed(
        &server,
        "{ { 'create', 1, { 'record', '1000', 'c', '' } } }",
    );
    let run_batch = |foreign: &str| {
        let words: [&[u8]; 7] = [
            b"EVAL",
            batch.as_bytes(),
            b"1",
            b"b",
            foreign.as_bytes(),
            &keys,
            &calls,
        ];
        server.command(&words)
    };
    assert_eq!(run_batch("foreign"), Reply::Number(0));
    assert_eq!(server.keys(), Vec::<String>::new(), "nothing was executed");
    run_batch("");
    assert_eq!(server.keys(), ["b"], "without the check");
}
