//! Errors of merged commands in a cluster: what may have been executed is not sent again.

use cloakroom_core::store::{Ended, Updated};
use cloakroom_core::{SessionId, Store, StoreErrorKind};
use cloakroom_redis::RedisStore;
use futures_util::future::join_all;
use tests::records::{MINUTE, tombstone};
use tests::redis::RedisServer;
use tests::topology::Cluster;
use tests::wait::within;

use crate::cluster_merging::{
    LIMIT, assert_all_loaded, assert_all_updated, sent_by, start, update_all,
};

#[tokio::test]
async fn a_call_that_fails_among_others_is_not_sent_again() {
    let cluster = Cluster::start();
    let (store, mut sessions) = start(&cluster).await;
    // Not the first, which is sent by itself.
    let other_type = sessions[30].0;
    let key = format!("cloakroom:{other_type}");
    let node = &cluster.primaries()[cluster.holder(&key)];
    node.command(&["DEL", &key]);
    node.command(&["RPUSH", &key, "a"]);
    let names = sent_by(&cluster, async {
        for (id, updated) in update_all(&store, &mut sessions, 10).await {
            if id == other_type {
                assert_eq!(updated, Err(StoreErrorKind::Unreadable));
            } else {
                assert_eq!(updated, Ok(Updated::Updated));
            }
        }
    });
    let names = names.await;
    assert_eq!(names.iter().flatten().count(), 4, "{names:?}");
}

/// The node refuses a merged script as a whole, since some need memory. To end a session needs none.
#[tokio::test]
async fn a_node_without_memory_ends_sessions() {
    let cluster = Cluster::start();
    let (store, sessions) = start(&cluster).await;
    cluster.primaries()[1].command(&["CONFIG", "SET", "maxmemory", "1"]);
    let ends = sessions.iter().map(async |(id, record)| {
        let stone = tombstone(record);
        store.end(*id, None, &stone, MINUTE).await
    });
    for ended in join_all(ends).await {
        assert_eq!(ended.expect("it needs no memory"), Ended::Ended);
    }
}

/// The number of rejected commands of a node: of a check whether it rejects the keys of others, one.
fn errors(node: &RedisServer) -> usize {
    let errors = node.command(&["INFO", "errorstats"]).text();
    let count = errors
        .lines()
        .find_map(|line| line.strip_prefix("errorstat_ERR:count="));
    count.map_or(0, |count| count.trim().parse().expect("it is a number"))
}

/// A lost reply does not say that nothing was executed, and nothing about the node.
#[tokio::test]
async fn a_merged_command_whose_reply_is_lost_is_not_sent_again() {
    let cluster = Cluster::start();
    let (_, mut sessions) = start(&cluster).await;
    let node = &cluster.primaries()[1];
    let is_on_node = |id: &SessionId| cluster.holder(&format!("cloakroom:{id}")) == 1;
    // A store that has not checked the nodes yet.
    let store = RedisStore::builder(cluster.url(), "cloakroom").with_command_timeout(LIMIT);
    let store = store.connect().await.expect("the cluster is complete");
    let checks = errors(node);
    node.command(&["CLIENT", "PAUSE", "60000", "WRITE"]);
    let interrupt = async {
        let is_blocked = || {
            let clients = node.command(&["CLIENT", "LIST"]).text();
            clients.lines().any(|client| client.contains(" flags=b"))
        };
        within("the command waits", LIMIT, async || is_blocked()).await;
        node.command(&["CLIENT", "KILL", "TYPE", "normal"]);
        node.command(&["CLIENT", "UNPAUSE"]);
    };
    let (updated, ()) = tokio::join!(update_all(&store, &mut sessions, 10), interrupt);
    for (id, updated) in updated {
        if is_on_node(&id) {
            assert_eq!(updated, Err(StoreErrorKind::OutcomeUnknown));
        } else {
            assert_eq!(updated, Ok(Updated::Updated));
        }
    }
    within("the node is connected", LIMIT, async || {
        let on_node = sessions.iter().find(|(id, _)| is_on_node(id));
        store.load(on_node.expect("there are some").0).await.is_ok()
    })
    .await;
    assert_all_loaded(&store, &sessions).await;
    assert_eq!(errors(node), checks, "it was not executed");
    assert_all_updated(&update_all(&store, &mut sessions, 11).await);
    assert_eq!(errors(node), checks + 1, "the node is checked");
}
