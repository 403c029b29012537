//! What reads return, on every backend.

use std::time::Duration;

use cloakroom_cache::{CacheErrorKind, Cached};
use tests::on_every_backend;
use tests::wait::within;

use crate::setup::{Database, LONG, PATIENCE, Setup, lasting, read, until_messages_arrive};

async fn a_value_is_loaded_once_for_all_servers(setup: Setup) {
    let database = Database::with([(1, 10)]);
    let servers = [setup.server(&database).await, setup.server(&database).await];
    for server in servers.iter().chain(&servers) {
        assert_eq!(read(server, 1).await, 10);
    }
    assert_eq!(database.queries(), 1);
    let [first, second] = servers.map(|server| server.stats());
    // On a busy machine, a copy may not be valid any more at the second read.
    assert_eq!((first.loads, first.shared + first.copies), (1, 1));
    assert_eq!((second.loads, second.shared + second.copies), (0, 2));
    assert!(second.shared >= 1);
}

async fn a_change_is_seen_at_once_here_and_soon_elsewhere(setup: Setup) {
    let database = Database::with([(1, 10)]);
    let (here, there) = (setup.server(&database).await, setup.server(&database).await);
    assert_eq!((read(&here, 1).await, read(&there, 1).await), (10, 10));
    database.set(1, 11);
    here.forget(&1).await.expect("it is stored");
    assert_eq!(read(&here, 1).await, 11);
    within("the other server", PATIENCE, async || {
        read(&there, 1).await == 11
    })
    .await;
    database.set(1, 12);
    there.put(&1, &12).await.expect("it is stored");
    assert_eq!(read(&there, 1).await, 12);
    within("the other server", PATIENCE, async || {
        read(&here, 1).await == 12
    })
    .await;
    assert_eq!(database.queries(), 2, "`put` needs no query");
}

/// With a staleness bound that is longer than the test, only messages can tell.
async fn messages_tell_the_other_servers_of_changes(setup: Setup) {
    let database = Database::with((0..20).map(|key| (key, 10)));
    let bound = Duration::from_secs(60);
    let backends = (setup.backend().await, setup.backend().await);
    let here = database.cached(lasting(&backends.0).with_max_staleness(bound));
    let there = database.cached(lasting(&backends.1).with_max_staleness(bound));
    until_messages_arrive(&here, &there, &database).await;
    for (key, value) in [(0, 11), (1, 12), (2, 13)] {
        assert_eq!(read(&there, key).await, 10);
        database.set(key, value);
        if key == 1 {
            here.put(&key, &value).await.expect("it is stored");
        } else {
            here.forget(&key).await.expect("it is stored");
        }
        within("a message arrives", bound / 3, async || {
            read(&there, key).await == value
        })
        .await;
    }
    for key in 0..20 {
        read(&there, key).await;
        database.set(key, 12);
    }
    here.forget_all().await.expect("it is stored");
    within("everything is forgotten", bound / 3, async || {
        read(&there, 1).await == 12 && read(&there, 19).await == 12
    })
    .await;
}

async fn forgetting_everything_reaches_all_servers(setup: Setup) {
    let database = Database::with((0..10).map(|key| (key, 1)));
    let servers = [setup.server(&database).await, setup.server(&database).await];
    for (key, server) in (0..10).flat_map(|key| servers.iter().map(move |server| (key, server))) {
        assert_eq!(read(server, key).await, 1);
    }
    for key in 0..10 {
        database.set(key, 2);
    }
    servers[0].forget_all().await.expect("it is stored");
    let fresh = setup.server(&database).await;
    for key in 0..10 {
        assert_eq!(read(&servers[0], key).await, 2);
        assert_eq!(read(&fresh, key).await, 2);
    }
    within("the other server", PATIENCE, async || {
        read(&servers[1], 3).await == 2
    })
    .await;
    assert_eq!(database.queries(), 20, "each is loaded once more");
    servers[1].forget_all().await.expect("it is stored");
    assert_eq!(read(&servers[1], 3).await, 2);
    assert_eq!(database.queries(), 21);
}

async fn absence_is_remembered_until_the_record_is_created(setup: Setup) {
    let database = Database::default();
    let (here, there) = (setup.server(&database).await, setup.server(&database).await);
    for server in [&here, &there, &here] {
        assert_eq!(server.get(&1).await.expect("it can be read"), None);
    }
    assert_eq!(database.queries(), 1);
    database.set(1, 10);
    here.forget(&1).await.expect("it is stored");
    assert_eq!(read(&here, 1).await, 10);

    let forgetful = lasting(&setup.backend().await).with_absent_for(Duration::ZERO);
    let forgetful = database.cached(forgetful);
    let before = database.queries();
    for _ in 0..3 {
        assert_eq!(forgetful.get(&2).await.expect("it can be read"), None);
    }
    assert_eq!(database.queries(), before + 3);
}

async fn a_stale_value_is_used_while_one_request_loads_it_anew(setup: Setup) {
    let database = Database::with([(1, 10)]);
    let mut servers = Vec::new();
    for _ in 0..2 {
        let builder = lasting(&setup.backend().await)
            .with_fresh_for(Duration::from_millis(50))
            .with_stale_for(LONG)
            .with_max_staleness(Duration::from_millis(1));
        servers.push(database.cached(builder));
    }
    assert_eq!(read(&servers[0], 1).await, 10);
    database.set(1, 11);
    database.close();
    within("it becomes stale", PATIENCE, async || {
        read(&servers[0], 1).await == 10 && servers[0].stats().stale > 0
    })
    .await;
    within("it is being loaded", PATIENCE, async || {
        database.queries() == 2
    })
    .await;
    for server in servers.iter().cycle().take(20) {
        assert_eq!(read(server, 1).await, 10, "nobody waits for the load");
    }
    assert_eq!(database.queries(), 2, "one loads");
    database.open();
    for server in &servers {
        within("the new value", PATIENCE, async || {
            read(server, 1).await == 11
        })
        .await;
    }
}

async fn a_stale_value_is_used_if_the_database_fails(setup: Setup) {
    let database = Database::with([(1, 10)]);
    let builder = || async {
        lasting(&setup.backend().await)
            .with_fresh_for(Duration::from_millis(1))
            .with_max_staleness(Duration::from_millis(1))
    };
    let tolerant = database.cached(builder().await.with_stale_for(LONG));
    assert_eq!(read(&tolerant, 1).await, 10);
    database.set_down(true);
    within("a load fails", PATIENCE, async || {
        assert_eq!(read(&tolerant, 1).await, 10);
        tolerant.stats().failed_loads > 0
    })
    .await;
    assert_eq!(read(&tolerant, 1).await, 10);
    let error = tolerant.get(&2).await.expect_err("it was never loaded");
    assert_eq!(error.kind(), CacheErrorKind::LoaderFailed);
    let source = std::error::Error::source(&error).expect("there is a cause");
    assert_eq!(source.to_string(), "the database is down");

    database.set_down(false);
    let strict = database.cached(builder().await);
    assert_eq!(read(&strict, 3 - 2).await, 10);
    strict.forget(&1).await.expect("it is stored");
    read(&strict, 1).await;
    database.set_down(true);
    within("it is an error", PATIENCE, async || {
        strict.get(&1).await.is_err()
    })
    .await;
    database.set_down(false);
    assert_eq!(read(&strict, 1).await, 10, "an error is not remembered");
}

async fn a_reload_reads_past_the_cache(setup: Setup) {
    let database = Database::with([(1, 10)]);
    let (here, there) = (setup.server(&database).await, setup.server(&database).await);
    assert_eq!(read(&here, 1).await, 10);
    database.set(1, 11);
    assert_eq!(read(&here, 1).await, 10, "nobody has called `forget`");
    let loaded = there.reload(&1).await.expect("it can be read");
    assert_eq!(loaded.as_deref(), Some(&11));
    assert_eq!(read(&there, 1).await, 11);
    within("the other server", PATIENCE, async || {
        read(&here, 1).await == 11
    })
    .await;
    assert_eq!(database.queries(), 2);
}

/// A load from before a reload does not count, and cannot replace what it has stored.
async fn a_reload_does_not_wait_for_a_load_that_is_under_way(setup: Setup) {
    let database = Database::with([(1, 10)]);
    let (here, there) = (setup.server(&database).await, setup.server(&database).await);
    database.close();
    let slow = tokio::spawn({
        let there = there.clone();
        async move { read(&there, 1).await }
    });
    within("it is loaded", PATIENCE, async || database.queries() == 1).await;
    database.set(1, 11);
    let reloaded = tokio::spawn({
        let here = here.clone();
        async move { here.reload(&1).await.expect("it can be read") }
    });
    within("both load", PATIENCE, async || database.queries() == 2).await;
    database.open();
    assert_eq!(reloaded.await.expect("no panic").as_deref(), Some(&11));
    assert_eq!(slow.await.expect("no panic"), 11, "it was loaded again");
    assert_eq!(read(&setup.server(&database).await, 1).await, 11);
}

async fn a_value_of_another_type_is_replaced(setup: Setup) {
    let database = Database::with([(1, 10)]);
    let backend = setup.backend().await;
    let texts: Cached<u64, String> = Cached::builder(&backend, "record")
        .with_fresh_for(LONG)
        .build(|key: u64| async move { Ok::<_, std::io::Error>(Some(format!("text {key}"))) })
        .expect("a valid configuration");
    texts.get(&1).await.expect("it can be read");
    let numbers = setup.server(&database).await;
    assert_eq!(read(&numbers, 1).await, 10);
    assert_eq!(read(&setup.server(&database).await, 1).await, 10);
    assert_eq!(database.queries(), 1);
}

async fn caches_with_different_names_share_nothing(setup: Setup) {
    let database = Database::with([(1, 10)]);
    let backend = setup.backend().await;
    let records = setup.server(&database).await;
    let others = Cached::builder(&backend, "other").with_fresh_for(LONG);
    let others = database.cached(others);
    assert_eq!((read(&records, 1).await, read(&others, 1).await), (10, 10));
    others.put(&1, &20).await.expect("it is stored");
    records.forget_all().await.expect("it is stored");
    assert_eq!((read(&records, 1).await, read(&others, 1).await), (10, 20));
    assert_eq!(database.queries(), 3);
}

async fn a_value_expires(setup: Setup) {
    let database = Database::with([(1, 10)]);
    let builder = lasting(&setup.backend().await).with_fresh_for(Duration::from_millis(100));
    let records = database.cached(builder);
    assert_eq!(read(&records, 1).await, 10);
    database.set(1, 11);
    within("it expires", PATIENCE, async || {
        read(&records, 1).await == 11
    })
    .await;
}

on_every_backend! {
    crate::setup::Setup:
    a_value_is_loaded_once_for_all_servers,
    a_change_is_seen_at_once_here_and_soon_elsewhere,
    messages_tell_the_other_servers_of_changes,
    forgetting_everything_reaches_all_servers,
    absence_is_remembered_until_the_record_is_created,
    a_stale_value_is_used_while_one_request_loads_it_anew,
    a_stale_value_is_used_if_the_database_fails,
    a_reload_reads_past_the_cache,
    a_reload_does_not_wait_for_a_load_that_is_under_way,
    a_value_of_another_type_is_replaced,
    caches_with_different_names_share_nothing,
    a_value_expires,
}
