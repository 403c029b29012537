//! The rounds. In each, all subjects are measured on a route one after the other, before the next route,
//! so that other work on the machine affects all of them.

use std::collections::BTreeMap;

use super::nodes::recorded;
use super::progress;
use super::testbed::Testbed;
use super::traffic::{Traffic, command_times};
use crate::BoxError;
use crate::args::Options;
use crate::report::{Metric, Samples};
use crate::subject::{Route, Subject};

/// Seconds of load before a route is measured.
const WARM_UP: f64 = 0.2;

/// The same for Node, whose compiler needs longer.
const WARM_UP_NODE: f64 = 1.0;

type TrafficOf = BTreeMap<(Subject, Route), Traffic>;

pub(super) fn run(
    options: &Options,
    subjects: &[Subject],
    routes: &[Route],
    samples: &mut Samples,
) -> Result<(), BoxError> {
    let mut traffic = TrafficOf::new();
    for round in 0..options.rounds {
        progress(format_args!("round {} of {}", round + 1, options.rounds))?;
        let mut testbeds = Vec::new();
        for &subject in subjects {
            let mut testbed = Testbed::start(subject, options.setting, options.sessions)?;
            if round == 0 {
                let bytes = testbed.bytes();
                samples.record(subject, None, Metric::SessionBytes, bytes.sessions);
                samples.record(subject, None, Metric::AllBytes, bytes.all);
            }
            warm_up(&mut testbed, routes, options)?;
            testbeds.push(testbed);
        }
        for &route in routes {
            // Each round starts with another subject.
            testbeds.rotate_left(round.min(1));
            for testbed in testbeds.iter_mut().filter(|testbed| testbed.has(route)) {
                if round == 0 {
                    record_traffic(testbed, route, options, samples, &mut traffic)?;
                }
                measure(testbed, route, options, samples, &traffic)?;
            }
        }
        for testbed in &testbeds {
            testbed.verify_writes()?;
        }
    }
    Ok(())
}

fn warm_up(testbed: &mut Testbed, routes: &[Route], options: &Options) -> Result<(), BoxError> {
    let seconds = match testbed.args.subject {
        Subject::ExpressSession => WARM_UP_NODE,
        _ => WARM_UP,
    };
    for &route in routes {
        testbed.load(route, options.connections, seconds)?;
    }
    Ok(())
}

/// Records which commands come to Redis.
fn record_traffic(
    testbed: &mut Testbed,
    route: Route,
    options: &Options,
    samples: &mut Samples,
    traffic: &mut TrafficOf,
) -> Result<(), BoxError> {
    let monitors = testbed.redis.monitor();
    let cost = testbed.load(route, options.connections, WARM_UP)?;
    let requests = cost.result.requests;
    let recorded = Traffic::of(&recorded(monitors));
    let subject = testbed.args.subject;
    let commands = recorded.commands_per_request(requests);
    samples.record(subject, route, Metric::Commands, commands);
    samples.record_commands(subject, route, recorded.describe(requests));
    traffic.insert((subject, route), recorded);
    Ok(())
}

fn measure(
    testbed: &mut Testbed,
    route: Route,
    options: &Options,
    samples: &mut Samples,
    traffic: &TrafficOf,
) -> Result<(), BoxError> {
    let subject = testbed.args.subject;
    let mut record = |metric, sample| samples.record(subject, route, metric, sample);
    let before = command_times(&testbed.redis);
    let cost = testbed.load(route, options.connections, options.duration)?;
    let after = command_times(&testbed.redis);
    let requests = cost.result.requests as f64;
    record(Metric::CpuMs, cost.cpu);
    record(Metric::RedisCpuMs, cost.redis_cpu);
    record(Metric::Rate, requests / cost.result.seconds);
    record(Metric::P50, cost.result.p50);
    record(Metric::P99, cost.result.p99);
    if let Some(traffic) = traffic.get(&(subject, route)) {
        let time = traffic.client_time(&before, &after);
        record(Metric::CommandTime, time / requests);
    }
    let single = testbed.load(route, 1, options.duration / 2.0)?;
    record(Metric::SingleConnectionP50, single.result.p50);
    Ok(())
}
