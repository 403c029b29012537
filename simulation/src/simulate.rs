//! Runs a scenario with several session layers on one simulated store.

use std::sync::Arc;
use std::time::Duration;

use cloakroom::{Rotation, SessionLayer, SessionLimit};
use tokio::runtime::Builder;

use crate::app::App;
use crate::client::drive;
use crate::clock::{BEGIN, SimClock};
use crate::history::History;
use crate::rng::SharedRng;
use crate::scenario::{STORE_TIMEOUT, Scenario};
use crate::store::SimStore;
use crate::trace::Trace;

/// Runs a scenario, and returns its history.
///
/// # Panics
///
/// If a request panics, or the runtime cannot be built.
#[must_use]
pub fn simulate(scenario: &Scenario) -> History {
    run(scenario, &Arc::default())
}

/// The same, with the lines of the trace: each command of the store, and each request.
///
/// # Panics
///
/// If a request panics, or the runtime cannot be built.
#[must_use]
pub fn simulate_with_trace(scenario: &Scenario) -> (History, Vec<String>) {
    let trace = Arc::new(Trace::new(true));
    let history = run(scenario, &trace);
    (history, trace.take_lines())
}

fn run(scenario: &Scenario, trace: &Arc<Trace>) -> History {
    // One thread, and a clock that advances when nothing else is left to do: the same order in every run.
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    let runtime = runtime.expect("a runtime without I/O can be built");
    runtime.block_on(async {
        let clock = SimClock::start(BEGIN);
        let apps = apps(scenario, clock, trace);
        let (clients, steps) = (scenario.clients, &scenario.steps);
        drive(
            &apps,
            clients,
            steps,
            scenario.terms(),
            clock,
            Arc::clone(trace),
        )
        .await
    })
}

fn apps(scenario: &Scenario, clock: SimClock, trace: &Arc<Trace>) -> Vec<App> {
    let mut store = SimStore::new(
        clock,
        scenario.troubles.clone(),
        scenario.broken,
        Arc::clone(trace),
    );
    if scenario.signs_in_twice {
        store = store.in_two_commands();
    }
    let servers = (0_u64..).zip(&scenario.servers);
    let apps = servers.map(|(number, server)| {
        let store = match server.max_staleness {
            0 => store.clone(),
            millis => store.clone().with_cache(Duration::from_millis(millis)),
        };
        let mut builder = SessionLayer::builder(store)
            .with_store_timeout(STORE_TIMEOUT)
            .with_clock(clock.ahead_by(server.ahead))
            .with_rng(SharedRng::new(&[scenario.seed, number]));
        if let Some((interval, grace)) = scenario.rotation {
            let rotation = Rotation::every(Duration::from_millis(interval));
            builder = builder.with_rotation(rotation.grace(Duration::from_millis(grace)));
        }
        if let Some(limit) = scenario.session_limit {
            builder = builder.with_session_limit(SessionLimit::evict_oldest(limit));
        }
        App::new(&builder.build().expect("the configuration is valid"))
    });
    apps.collect()
}
