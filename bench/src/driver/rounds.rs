//! The rounds: in each, every subject has its turn on every route, one after the other, so that what
//! else happens on the machine meets all of them.

use std::collections::BTreeMap;

use super::progress;
use super::stage::Stage;
use super::traffic::{Listener, Traffic};
use crate::Problem;
use crate::args::Options;
use crate::report::{Book, Metric};
use crate::subject::{Route, Subject};

/// Seconds of load before a route is measured.
const WARM_UP: f64 = 0.2;

/// Node compiles what has run for a while.
const WARM_UP_NODE: f64 = 1.0;

type Heard = BTreeMap<(Subject, Route), Traffic>;

pub(super) fn run(
    options: &Options,
    subjects: &[Subject],
    routes: &[Route],
    book: &mut Book,
) -> Result<(), Problem> {
    let mut heard = Heard::new();
    for round in 0..options.rounds {
        progress(format_args!("round {} of {}", round + 1, options.rounds))?;
        let mut stages = Vec::new();
        for &subject in subjects {
            let mut stage = Stage::set(subject, options.sessions)?;
            if round == 0 {
                let bytes = stage.bytes()?;
                book.note(subject, None, Metric::SessionBytes, bytes.sessions);
                book.note(subject, None, Metric::AllBytes, bytes.all);
            }
            warm_up(&mut stage, routes, options)?;
            stages.push(stage);
        }
        for &route in routes {
            // Who comes first is another in each round.
            stages.rotate_left(round.min(1));
            for stage in stages.iter_mut().filter(|stage| stage.has(route)) {
                if round == 0 {
                    listen(stage, route, options, book, &mut heard)?;
                }
                measure(stage, route, options, book, &heard)?;
            }
        }
        for stage in &stages {
            stage.audit()?;
        }
    }
    Ok(())
}

fn warm_up(stage: &mut Stage, routes: &[Route], options: &Options) -> Result<(), Problem> {
    let seconds = match stage.setup.subject {
        Subject::ExpressSession => WARM_UP_NODE,
        _ => WARM_UP,
    };
    for &route in routes {
        stage.load(route, options.connections, seconds)?;
    }
    Ok(())
}

/// Finds out what is sent to Redis.
fn listen(
    stage: &mut Stage,
    route: Route,
    options: &Options,
    book: &mut Book,
    heard: &mut Heard,
) -> Result<(), Problem> {
    let listener = Listener::start(&stage.redis)?;
    let requests = stage
        .load(route, options.connections, WARM_UP)?
        .outcome
        .requests;
    let traffic = listener.stop()?;
    let key = (stage.setup.subject, route);
    book.note(key.0, route, Metric::Commands, traffic.commands(requests));
    book.commands.insert(key, traffic.in_words(requests));
    heard.insert(key, traffic);
    Ok(())
}

fn measure(
    stage: &mut Stage,
    route: Route,
    options: &Options,
    book: &mut Book,
    heard: &Heard,
) -> Result<(), Problem> {
    let subject = stage.setup.subject;
    let mut note = |metric, sample| book.note(subject, route, metric, sample);
    let before = stage.redis.work()?;
    let cost = stage.load(route, options.connections, options.duration)?;
    let after = stage.redis.work()?;
    let requests = cost.outcome.requests as f64;
    note(Metric::CpuMs, cost.cpu);
    note(Metric::RedisCpuMs, cost.redis_cpu);
    note(Metric::Rate, requests / cost.outcome.seconds);
    note(Metric::P50, cost.outcome.p50);
    note(Metric::P99, cost.outcome.p99);
    if let Some(traffic) = heard.get(&(subject, route)) {
        note(
            Metric::CommandTime,
            traffic.time(&before, &after) / requests,
        );
    }
    let alone = stage.load(route, 1, options.duration / 2.0)?;
    note(Metric::AloneP50, alone.outcome.p50);
    Ok(())
}
