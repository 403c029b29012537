//! Requests that do not go on, because they are cancelled, are not polled or block their thread, do not
//! hold up the commands of others that are merged with theirs.

use std::sync::{Arc, Barrier};
use std::task::Poll;
use std::time::Duration;

use cloakroom_core::Store;
use cloakroom_core::store::Loaded;
use cloakroom_redis::RedisStore;
use futures_util::future::join_all;
use tests::records::{MINUTE, session};
use tests::redis::RedisServer;
use tests::topology::Cluster;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::merged_commands::{begin_many, open};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn cancelled_requests_do_not_block_others() {
    let server = RedisServer::start();
    let store = open(server.url()).await;
    let sessions = begin_many(&store).await;
    for round in 0..20 {
        let mut kept = Vec::new();
        for (index, (id, record)) in sessions.iter().cloned().enumerate() {
            let store = store.clone();
            let request = tokio::spawn(async move {
                let loaded = store.load(id).await?;
                store
                    .touch(id, record.revision(), record.last_seen(), MINUTE)
                    .await?;
                Ok::<_, cloakroom_core::StoreError>(loaded)
            });
            if (index + round) % 3 == 0 {
                request.abort();
            } else {
                kept.push((request, index));
            }
        }
        for (request, index) in kept {
            let loaded = request.await.unwrap().unwrap();
            assert_eq!(loaded, Loaded::Record(sessions[index].1.clone()));
        }
    }
}

/// A future that is polled once and then left, as in a `select!`, must not block the others.
#[tokio::test]
async fn a_request_that_is_not_polled_does_not_block_others() {
    let server = RedisServer::start();
    let store = open(server.url()).await;
    let sessions = begin_many(&store).await;
    let mut idle = Vec::new();
    for (id, record) in &sessions[..3] {
        let mut load = Box::pin(store.load(*id));
        assert!(futures_util::poll!(&mut load).is_pending());
        idle.push((load, record));
    }
    for loaded in join_all(sessions.iter().map(|(id, _)| store.load(*id))).await {
        assert!(matches!(loaded, Ok(Loaded::Record(_))));
    }
    for (load, record) in idle {
        assert_eq!(load.await.unwrap(), Loaded::Record(record.clone()));
    }
}

/// All requests share the queues of the store; each thread sees to what it has put there.
#[tokio::test(flavor = "multi_thread", worker_threads = 20)]
async fn threads_that_block_do_not_hold_up_the_commands_of_others() {
    let server = RedisServer::start();
    block_threads(server.url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 20)]
async fn threads_that_block_do_not_hold_up_the_commands_of_others_to_a_cluster() {
    let cluster = Cluster::start();
    block_threads(cluster.url()).await;
}

async fn block_threads(url: String) {
    const BLOCKED: usize = 18;
    const LIMIT: Duration = Duration::from_secs(20);
    let builder = RedisStore::builder(url, "cloakroom").with_command_timeout(LIMIT);
    let store = builder.connect().await.expect("the server runs");
    let sessions = begin_many(&store).await;
    // While it is in flight, none is sent directly: that would wake fred's task on a thread that blocks.
    let in_flight = loop {
        let mut load = Box::pin(store.load(sessions[0].0));
        if futures_util::poll!(&mut load).is_pending() {
            break load;
        }
    };
    let release = Arc::new(Barrier::new(BLOCKED + 1));
    let (started, mut blocked) = mpsc::unbounded_channel();
    let mut held = JoinSet::new();
    for (id, record) in sessions[..BLOCKED].iter().cloned() {
        let (store, started) = (store.clone(), started.clone());
        let release = Arc::clone(&release);
        held.spawn(async move {
            let mut load = Box::pin(store.load(id));
            // Another thread may have executed it already.
            let first = futures_util::poll!(&mut load);
            started.send(()).expect("the test waits");
            release.wait();
            match first {
                Poll::Ready(loaded) => (loaded, record),
                Poll::Pending => (load.await, record),
            }
        });
    }
    for _ in 0..BLOCKED {
        blocked.recv().await;
    }
    let others = sessions[BLOCKED..].iter().cloned().map(|(id, _)| {
        let store = store.clone();
        tokio::spawn(async move { store.load(id).await })
    });
    let loaded = timeout(LIMIT / 2, join_all(others)).await;
    release.wait();
    for loaded in loaded.expect("nobody is held up") {
        assert!(matches!(loaded, Ok(Ok(Loaded::Record(_)))), "{loaded:?}");
    }
    for (loaded, record) in held.join_all().await {
        assert_eq!(loaded.expect("it is not lost"), Loaded::Record(record));
    }
    in_flight.await.expect("it is not lost");
}

/// A future may be polled first by one task and then by another: the last one is woken.
#[tokio::test]
async fn a_command_that_continues_in_another_task_completes() {
    let server = RedisServer::start();
    let store = open(server.url()).await;
    let (first, second) = (session(1), session(2));
    for _ in 0..20 {
        let mut in_flight = Box::pin(store.load(first.0));
        assert!(futures_util::poll!(&mut in_flight).is_pending());
        let (other, (id, record)) = (store.clone(), second.clone());
        let mut create =
            Box::pin(async move { other.create(id, &record, MINUTE).await.map(|_| ()) });
        assert!(futures_util::poll!(&mut create).is_pending());
        let (other, id) = (store.clone(), first.0);
        let mut load = Box::pin(async move { other.load(id).await.map(|_| ()) });
        assert!(futures_util::poll!(&mut load).is_pending());
        for moved in [tokio::spawn(create), tokio::spawn(load)] {
            let completed = timeout(Duration::from_secs(5), moved).await;
            completed.expect("it completes").unwrap().unwrap();
        }
        in_flight.await.unwrap();
    }
}
