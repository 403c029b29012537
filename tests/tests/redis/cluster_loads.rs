//! Loads of concurrent requests to a cluster are merged into one command for each node.

use cloakroom_core::store::{Created, Ended, Loaded};
use cloakroom_core::{Entries, Record, SessionId, Store, StoreErrorKind};
use cloakroom_redis::RedisStore;
use futures_util::future::join_all;
use tests::records::{MINUTE, session, tombstone};
use tests::redis::RedisServer;
use tests::resp::Reply;
use tests::topology::Cluster;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::cluster_merging::{LIMIT, assert_all_loaded, packed, sent_by, start};

fn key(id: SessionId) -> String {
    format!("cloakroom:{id}")
}

/// Whether nodes have received nothing but merged loads, besides the first load, which is sent before there are others.
fn are_merged(names: &[Vec<String>]) -> bool {
    let count = |name: &str| names.iter().flatten().filter(|sent| *sent == name).count();
    count("GET") == 1 && count("EVALSHA") == 3 && names.iter().flatten().count() == 4
}

#[tokio::test]
async fn concurrent_loads_are_one_command_for_each_node() {
    let cluster = Cluster::start();
    let (store, sessions) = start(&cluster).await;
    let names = sent_by(&cluster, assert_all_loaded(&store, &sessions)).await;
    assert!(are_merged(&names), "{names:?}");
}

#[tokio::test]
async fn many_sessions_are_loaded_with_one_command_for_each_node() {
    let cluster = Cluster::start();
    let (store, sessions) = start(&cluster).await;
    let ids: Vec<_> = sessions.iter().map(|(id, _)| *id).collect();
    let names = sent_by(&cluster, async {
        let loaded = store.load_many(&ids).await.into_iter();
        for (loaded, (_, record)) in loaded.zip(&sessions) {
            assert_eq!(loaded.unwrap(), Loaded::Record(record.clone()));
        }
    });
    let names = names.await;
    assert!(are_merged(&names), "{names:?}");
}

/// Each load is as one by itself, whatever it is merged with.
#[tokio::test]
async fn each_load_returns_what_is_under_its_key() {
    let cluster = Cluster::start();
    let (store, sessions) = start(&cluster).await;
    let of_kind = |kind: usize| sessions.iter().skip(kind).step_by(5);
    for (id, record) in of_kind(1) {
        let ended = store.end(*id, None, &tombstone(record), MINUTE).await;
        assert_eq!(ended.unwrap(), Ended::Ended);
    }
    for (kind, other) in [(2, "DEL"), (3, "LPUSH"), (4, "SET")] {
        for (id, _) in of_kind(kind) {
            let node = &cluster.primaries()[cluster.holder(&key(*id))];
            node.command(&["DEL", &key(*id)]);
            if other != "DEL" {
                node.command(&[other, &key(*id), "no record"]);
            }
        }
    }
    let loaded = join_all(sessions.iter().map(|(id, _)| store.load(*id))).await;
    for (place, (loaded, (_, record))) in loaded.into_iter().zip(&sessions).enumerate() {
        match place % 5 {
            0 => assert_eq!(loaded.unwrap(), Loaded::Record(record.clone())),
            1 => assert_eq!(loaded.unwrap(), Loaded::Tombstone(tombstone(record))),
            2 => assert_eq!(loaded.unwrap(), Loaded::Nothing),
            _ => assert_eq!(loaded.unwrap_err().kind(), StoreErrorKind::Unreadable),
        }
    }
}

#[tokio::test]
async fn a_node_without_memory_still_merges_loads() {
    let cluster = Cluster::start();
    let (store, sessions) = start(&cluster).await;
    for primary in cluster.primaries() {
        primary.command(&["CONFIG", "SET", "maxmemory", "1"]);
    }
    // The nodes refuse merged writes.
    let writes = sessions
        .iter()
        .map(|(id, record)| store.update(*id, record.revision(), record, MINUTE));
    for updated in join_all(writes).await {
        assert_eq!(updated.unwrap_err().kind(), StoreErrorKind::OutOfMemory);
    }
    let names = sent_by(&cluster, assert_all_loaded(&store, &sessions)).await;
    assert!(are_merged(&names), "{names:?}");
}

/// Whatever a node says of the script, a `GET` may be allowed.
#[tokio::test]
async fn without_the_right_to_scripts_each_load_is_a_get() {
    let cluster = Cluster::start();
    let (_, sessions) = start(&cluster).await;
    for node in cluster.nodes() {
        node.add_user(&["+cluster|slots", "+cluster|info"]);
    }
    let builder = RedisStore::builder(cluster.url(), "cloakroom").with_command_timeout(LIMIT);
    let builder = builder.with_username("shop").with_password("password");
    let store = builder.connect().await.expect("the cluster is complete");
    for node in cluster.nodes() {
        node.command(&["ACL", "SETUSER", "shop", "-evalsha", "-eval"]);
    }
    assert_all_loaded(&store, &sessions).await;
    // It is not tried again.
    let names = sent_by(&cluster, assert_all_loaded(&store, &sessions)).await;
    let sent: Vec<_> = names.iter().flatten().collect();
    assert!(sent.iter().all(|name| *name == "GET"), "{names:?}");
    assert_eq!(sent.len(), sessions.len());
}

/// Otherwise a node would do nothing else for a while, and send them all at once.
#[tokio::test]
async fn long_records_are_not_all_read_by_one_command() {
    let cluster = Cluster::start();
    let (store, small) = start(&cluster).await;
    let long = "x".repeat(60 * 1024);
    let mut sessions = Vec::new();
    for (id, record) in &small {
        let mut entries = Entries::new();
        entries.set("long", &long).expect("text is JSON");
        let record = Record::new(
            record.revision(),
            record.last_seen(),
            record.limits(),
            *record.digest(),
            entries,
        );
        let (new, _) = session(1);
        assert_eq!(
            store.create(new, &record, MINUTE).await.unwrap(),
            Created::Created,
            "{id}"
        );
        sessions.push((new, record));
    }
    let names = sent_by(&cluster, assert_all_loaded(&store, &sessions)).await;
    let of_node = |sent: &Vec<String>| sent.iter().filter(|name| *name == "GET").count();
    let gets: usize = names.iter().map(of_node).sum();
    // Each script reads five of them, and returns more than 256 KiB then.
    assert_eq!(gets, sessions.len() - 3 * 5, "{names:?}");
}

/// The other nodes reply at once, and loads from them do not wait for those from this one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_hangs_holds_up_no_load_from_another() {
    let cluster = Cluster::start();
    let (store, sessions) = start(&cluster).await;
    let is_held = |id: &SessionId| cluster.holder(&key(*id)) == 1;
    let (held, free): (Vec<_>, Vec<_>) = sessions.iter().map(|(id, _)| *id).partition(is_held);
    assert!(!held.is_empty());
    cluster.primaries()[1].freeze();
    let mut loads = JoinSet::new();
    for (id, _) in &sessions {
        let (store, id) = (store.clone(), *id);
        loads.spawn(async move { (id, store.load(id).await) });
    }
    for _ in &free {
        let completed = timeout(LIMIT / 2, loads.join_next()).await;
        let completed = completed.expect("it is not held up");
        let (id, loaded) = completed.expect("there are more").unwrap();
        assert!(free.contains(&id));
        assert!(matches!(loaded, Ok(Loaded::Record(_))), "{loaded:?}");
    }
    assert_eq!(loads.len(), held.len());
    cluster.primaries()[1].thaw();
    for (_, loaded) in loads.join_all().await {
        assert!(matches!(loaded, Ok(Loaded::Record(_))), "{loaded:?}");
    }
}

/// A proxy in front of several servers would find nothing under keys that another server has. The text of the script is
/// taken from a cluster, and sent to a server that is not in cluster mode.
#[tokio::test]
async fn a_server_that_does_not_reject_keys_of_others_reads_nothing() {
    let cluster = Cluster::start();
    let (store, sessions) = start(&cluster).await;
    for primary in cluster.primaries() {
        primary.command(&["SCRIPT", "FLUSH"]);
    }
    let monitor = cluster.primaries()[0].monitor();
    assert_all_loaded(&store, &sessions).await;
    let mut commands = monitor.commands().into_iter();
    let script = commands.find(|words| words[0] == "EVAL" && words[1].contains("flags=no-writes"));
    let script = script.expect("it was sent").remove(1);

    let server = RedisServer::start();
    server.command(&["SET", "a", "one"]);
    let keys = packed(&server, "{ 'a', 'b' }");
    let run = |foreign: &str| {
        let words: [&[u8]; 6] = [
            b"EVAL",
            script.as_bytes(),
            b"1",
            b"a",
            foreign.as_bytes(),
            &keys,
        ];
        server.command(&words)
    };
    assert_eq!(run("foreign"), Reply::Number(0), "nothing was read");
    assert_eq!(
        run(""),
        Reply::List(vec![Reply::Bytes(b"one".to_vec()), Reply::Nil])
    );
}
