//! Changes beside slow loads, and many requests at once, on two servers.

use std::time::Duration;

use futures_util::future::join_all;
use tests::iterations;
use tests::rng::Rng;
use tests::wait::within;

use crate::setup::{Database, PATIENCE, Records, Setup, read};

/// A change that a server makes to a record whose old value is being loaded.
#[derive(Clone, Copy, Debug)]
enum Change {
    Forget,
    ForgetAll,
    Put,
}

async fn change(records: &Records, key: u64, change: Change) {
    let result = match change {
        Change::Forget => records.forget(&key).await,
        Change::ForgetAll => records.forget_all().await,
        Change::Put => records.put(&key, &2).await,
    };
    result.expect("it is stored");
}

fn below(random: &mut Rng, bound: usize) -> usize {
    usize::try_from(random.next_u64() >> 33).expect("31 bits") % bound
}

/// Each trial: a load that has read the old value, then a change on the same or the other server, while the load
/// returns before, during or after it.
async fn no_load_undoes_a_change(setup: Setup, changes: &[Change], trials: u64) {
    let database = Database::default();
    let servers = [setup.server(&database).await, setup.server(&database).await];
    let mut random = Rng::new(7);
    for key in 0..trials {
        let kind = changes[below(&mut random, changes.len())];
        let (loading, changing) = (below(&mut random, 2), below(&mut random, 2));
        database.set(key, 1);
        database.close();
        let before = database.queries();
        let slow = tokio::spawn({
            let records = servers[loading].clone();
            async move { read(&records, key).await }
        });
        within("the old value is read", PATIENCE, async || {
            database.queries() > before
        })
        .await;
        database.set(key, 2);
        let changed = tokio::spawn({
            let records = servers[changing].clone();
            async move { change(&records, key, kind).await }
        });
        if below(&mut random, 2) == 0 {
            changed.await.expect("it is stored");
            database.open();
            slow.await.expect("no panic");
        } else {
            database.open();
            let (changed, slow) = tokio::join!(changed, slow);
            changed.expect("it is stored");
            slow.expect("no panic");
        }
        let what = format!("trial {key}, {kind:?} on {changing}, load on {loading}");
        assert_eq!(read(&servers[changing], key).await, 2, "{what}");
        if key % 10 == 0 {
            // It has no copies, and sees what is stored.
            let fresh = setup.server(&database).await;
            assert_eq!(read(&fresh, key).await, 2, "{what}");
        }
        let other = &servers[1 - changing];
        within(&what, Duration::from_secs(1) + PATIENCE, async || {
            read(other, key).await == 2
        })
        .await;
    }
    // Never stale again, also for a server that has read nothing.
    let fresh = setup.server(&database).await;
    for key in 0..trials {
        assert_eq!(read(&fresh, key).await, 2, "trial {key}");
        assert_eq!(read(&servers[0], key).await, 2, "trial {key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_slow_load_undoes_a_forget_in_memory() {
    no_load_undoes_a_change(
        Setup::memory(),
        &[Change::Forget],
        iterations::times(500, 5000),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_slow_load_undoes_a_forget_on_redis() {
    no_load_undoes_a_change(
        Setup::redis(),
        &[Change::Forget],
        iterations::times(500, 5000),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_slow_load_undoes_a_forget_on_a_cluster() {
    no_load_undoes_a_change(
        Setup::cluster(),
        &[Change::Forget],
        iterations::times(500, 5000),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_slow_load_undoes_any_change_on_redis() {
    let all = [Change::Forget, Change::ForgetAll, Change::Put];
    no_load_undoes_a_change(Setup::redis(), &all, iterations::times(100, 2000)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_slow_load_undoes_any_change_on_a_cluster() {
    let all = [Change::Forget, Change::ForgetAll, Change::Put];
    no_load_undoes_a_change(Setup::cluster(), &all, iterations::times(100, 2000)).await;
}

/// A thousand requests, half of them on each server, for a key that nobody has.
async fn one_load_for_all(setup: Setup) {
    let database = Database::with((0..5).map(|key| (key, key)));
    let servers = [setup.server(&database).await, setup.server(&database).await];
    for key in 0..5 {
        database.close();
        let requests = (0..1000).map(|number| {
            let records = servers[number % 2].clone();
            tokio::spawn(async move { read(&records, key).await })
        });
        let requests: Vec<_> = requests.collect();
        within("it is loaded", PATIENCE, async || database.queries() > 0).await;
        // The server that does not load asks again meanwhile.
        tokio::time::sleep(Duration::from_millis(50)).await;
        database.open();
        for value in join_all(requests).await {
            assert_eq!(value.expect("no panic"), key);
        }
        assert_eq!(database.queries() as u64, key + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_requests_for_a_missing_key_are_one_load_in_memory() {
    one_load_for_all(Setup::memory()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_requests_for_a_missing_key_are_one_load_on_redis() {
    one_load_for_all(Setup::redis()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_requests_for_a_missing_key_are_one_load_on_a_cluster() {
    one_load_for_all(Setup::cluster()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_goes_on_if_its_request_is_dropped() {
    let setup = Setup::redis();
    let database = Database::with([(1, 10)]);
    let records = setup.server(&database).await;
    database.close();
    let request = tokio::spawn({
        let records = records.clone();
        async move { read(&records, 1).await }
    });
    within("it is loaded", PATIENCE, async || database.queries() == 1).await;
    request.abort();
    assert!(request.await.expect_err("it was dropped").is_cancelled());
    database.open();
    assert_eq!(read(&records, 1).await, 10);
    assert_eq!(database.queries(), 1);
}

/// A change that is called while another one of the same key is under way.
#[tokio::test(flavor = "multi_thread")]
async fn concurrent_changes_leave_all_servers_with_one_value() {
    let setup = Setup::redis();
    let database = Database::default();
    let servers = [setup.server(&database).await, setup.server(&database).await];
    for key in 0..iterations::times(50, 1000) {
        database.set(key, 1);
        let writes = (0..10_u64).map(|number| {
            let records = servers[usize::from(number % 2 == 0)].clone();
            tokio::spawn(async move {
                let _ = records.get(&key).await;
                records.put(&key, &number).await.expect("it is stored");
            })
        });
        for write in join_all(writes.collect::<Vec<_>>()).await {
            write.expect("no panic");
        }
        let stored = read(&setup.server(&database).await, key).await;
        for server in &servers {
            within("all agree", PATIENCE, async || {
                read(server, key).await == stored
            })
            .await;
        }
    }
}
