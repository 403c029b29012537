//! Histories of several servers on a real Redis behind a network that fails. The checker of the simulation judges them.

use std::sync::Arc;
use std::time::Duration;

use cloakroom::{SessionLayer, SessionLimit, SystemClock};
use cloakroom_core::Clock;
use cloakroom_redis::{NearCache, RedisStore};
use simulation::app::App;
use simulation::check::check;
use simulation::client::drive;
use simulation::clock::SimClock;
use simulation::history::{History, Outcome, Terms};
use simulation::rng::SeededRng;
use simulation::scenario::Scenario;
use tests::iterations::times;
use tests::proxy::{Network, Proxy, deliver};
use tests::redis::RedisServer;
use tokio::task::{JoinSet, spawn};
use tokio::time::sleep;

/// Histories that happen at the same time, each with an app of its own.
const AT_ONCE: u64 = 16;

/// How old a session in a near cache may be.
const MAX_STALENESS: Duration = Duration::from_secs(1);

/// How long a command may take, and all commands of a request: longer than by default, since the machine may be busy.
const COMMAND: Duration = Duration::from_millis(500);
const STORE: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread")]
async fn histories_on_redis_with_a_failing_network_violate_no_promise() {
    let (mut done, mut failed) = (0, 0);
    for round in 0..times(1, 40) {
        for history in round_of_histories(round * AT_ONCE).await {
            let anomalies = check(&history);
            let requests: Vec<_> = history.requests.iter().map(ToString::to_string).collect();
            assert!(
                anomalies.is_empty(),
                "{anomalies:?}\n{}",
                requests.join("\n")
            );
            for request in &history.requests {
                done += u32::from(request.outcome == Outcome::Done);
                failed += u32::from(request.outcome == Outcome::Unknown);
            }
        }
    }
    // The network has failed, and not all the time. On a busy machine, more requests fail.
    assert!(
        done > 20 && failed > 0,
        "{done} requests are done, {failed} have an unknown outcome"
    );
}

/// Runs histories on one Redis at the same time.
async fn round_of_histories(first: u64) -> Vec<History> {
    let redis = RedisServer::start();
    let proxy = Arc::new(Proxy::start(redis.port()).await);
    let mut prepared = Vec::new();
    for seed in first..first + AT_ONCE {
        let scenario = Scenario::in_real_time(seed);
        prepared.push((apps(&proxy, &scenario).await, scenario));
    }
    let ends = prepared
        .iter()
        .filter_map(|(_, scenario)| scenario.troubles.end);
    let faults = spawn(fail(
        Arc::clone(&proxy),
        redis.port(),
        first,
        ends.max().unwrap_or(0),
    ));
    let mut running = JoinSet::new();
    for (apps, scenario) in prepared {
        running.spawn(async move {
            let clock = SimClock::start(SystemClock.now());
            let terms = terms(&scenario);
            drive(
                &apps,
                scenario.clients,
                &scenario.steps,
                terms,
                clock,
                Arc::default(),
            )
            .await
        });
    }
    let histories = running.join_all().await;
    faults.await.expect("the proxy works");
    histories
}

/// The servers of an app. The first one has a near cache.
async fn apps(proxy: &Proxy, scenario: &Scenario) -> Vec<App> {
    let mut apps = Vec::new();
    for number in 0..scenario.servers.len() {
        let store = RedisStore::builder(proxy.url(), format!("app{}", scenario.seed))
            .with_command_timeout(COMMAND)
            .with_connect_timeout(COMMAND * 10);
        let store = store.connect().await.expect("the server is running");
        let builder = if number == 0 {
            let near = NearCache::builder(store).with_max_staleness(MAX_STALENESS);
            SessionLayer::builder(near.build().expect("the bound is valid"))
        } else {
            SessionLayer::builder(store)
        };
        let builder = match scenario.session_limit {
            Some(limit) => builder.with_session_limit(SessionLimit::evict_oldest(limit)),
            None => builder,
        };
        let layer = builder.with_store_timeout(STORE).build();
        apps.push(App::new(&layer.expect("the configuration is valid")));
    }
    apps
}

fn terms(scenario: &Scenario) -> Terms {
    let mut max_staleness = vec![0; scenario.servers.len()];
    max_staleness[0] = 1000;
    Terms {
        max_staleness,
        session_limit: scenario.session_limit.map(|limit| limit as usize),
        has_failures: true,
        ..Terms::default()
    }
}

/// Causes one fault of the network after the other, for so many milliseconds.
async fn fail(proxy: Arc<Proxy>, port: u16, seed: u64, millis: u64) {
    let clock = SimClock::start(SystemClock.now());
    let mut rng = SeededRng::new(&[seed]);
    while clock.elapsed() < millis {
        let network = match rng.below(5) {
            0 => Network::RepliesDropped,
            1 => Network::CommandsDropped,
            2 => Network::Held,
            3 => Network::TruncateReplies,
            _ => Network::Slow(Duration::from_millis(15)),
        };
        proxy.set(network);
        sleep(Duration::from_millis(50 + rng.below(150))).await;
        let held = proxy.take_recorded();
        proxy.set(Network::Normal);
        if !matches!(network, Network::Slow(_)) {
            // What was dropped is lost for good on these connections.
            proxy.disconnect();
        }
        sleep(Duration::from_millis(rng.below(600))).await;
        // The commands that were held back arrive after their callers have given up.
        deliver(port, &held).await;
    }
    proxy.set(Network::Normal);
}
