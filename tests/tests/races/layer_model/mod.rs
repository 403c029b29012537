//! Random histories of several browsers on several servers: an app on the memory store and one on Redis
//! must respond alike, and as a simple model of sessions does.

mod driver;
mod history;
mod model;

use std::cell::Cell;

use cloakroom::MemoryStore;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tests::generous;
use tests::iterations::times;
use tests::redis::RedisServer;
use tokio::runtime::Runtime;

use self::driver::{Cookie, Deployment};
use self::history::{Action, BROWSERS, Event, histories};
use self::model::Model;

/// At the end, every browser reads its session.
fn final_reads() -> impl Iterator<Item = Event> {
    (0..BROWSERS).map(|browser| Event::Request {
        browser,
        server: 0,
        actions: vec![Action::Read],
    })
}

#[test]
fn memory_and_redis_behave_as_the_model() {
    let runtime = Runtime::new().expect("a runtime");
    let redis = RedisServer::start();
    let connect = || {
        let store = runtime.block_on(generous::connect(redis.url(), "cloakroom"));
        store.expect("the server is running")
    };
    let on_redis = [connect(), connect()];
    // The store uses the system's clock, as Redis does: only the clocks of the layers are moved.
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
        let mut deployments = [Deployment::new(&in_memory), Deployment::new(&on_redis)];
        for (step, event) in history.iter().cloned().chain(final_reads()).enumerate() {
            let expected = model.apply(&event);
            for (deployment, store) in deployments.iter_mut().zip(["in memory", "on Redis"]) {
                let observed = runtime.block_on(deployment.apply(&event));
                prop_assert_eq!(
                    &observed,
                    &expected,
                    "{}, step {}: {:?}",
                    store,
                    step,
                    event
                );
            }
            if let Some(observed) = expected {
                let kind = match observed.cookie {
                    _ if observed.ended_concurrently => 0,
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
