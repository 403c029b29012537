//! Random histories of several browsers on several servers: an app on the store in memory and one on
//! Redis must answer alike, and as a simple model of sessions says.

mod history;
mod model;
mod told;

use std::cell::Cell;

use cloakroom::MemoryStore;
use cloakroom_redis::RedisStore;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tests::long::times;
use tests::redis::RedisServer;
use tokio::runtime::Runtime;

use self::history::{BROWSERS, Deed, Event, histories};
use self::model::Model;
use self::told::{Cookie, World};

/// In the end, every browser looks at what it has.
fn looks() -> impl Iterator<Item = Event> {
    (0..BROWSERS).map(|browser| Event::Request {
        browser,
        server: 0,
        deeds: vec![Deed::Read],
    })
}

#[test]
fn memory_and_redis_answer_as_the_model_says() {
    let runtime = Runtime::new().expect("a runtime");
    let redis = RedisServer::start();
    let connect = || {
        let store = runtime.block_on(RedisStore::connect(redis.url()));
        store.expect("it runs")
    };
    let on_redis = [connect(), connect()];
    // By the system's clock, as Redis: only the layers' clocks are moved.
    let memory = MemoryStore::new();
    let in_memory = [memory.clone(), memory];
    let config = ProptestConfig {
        cases: times(256, 20_000),
        max_shrink_iters: 4096,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let seen = [const { Cell::new(0_u32) }; 5];
    let tried = TestRunner::new(config).run(&histories(), |history| {
        let mut model = Model::default();
        let mut worlds = [World::new(&in_memory), World::new(&on_redis)];
        for (step, event) in history.iter().cloned().chain(looks()).enumerate() {
            let expected = model.live_through(&event);
            for (world, store) in worlds.iter_mut().zip(["in memory", "on Redis"]) {
                let told = runtime.block_on(world.live_through(&event));
                prop_assert_eq!(&told, &expected, "{}, step {}: {:?}", store, step, event);
            }
            if let Some(told) = expected {
                let kind = match told.cookie {
                    _ if told.ended_meanwhile => 0,
                    Cookie::Left => 1,
                    Cookie::Set(None) => 2,
                    Cookie::Set(Some(_)) => 3,
                    Cookie::Removed => 4,
                };
                seen[kind].set(seen[kind].get() + 1);
            }
        }
        Ok(())
    });
    tried.unwrap_or_else(|failure| panic!("{failure}"));
    let seen = seen.map(Cell::into_inner);
    assert!(seen.iter().all(|&kind| kind > 20), "{seen:?}");
}
