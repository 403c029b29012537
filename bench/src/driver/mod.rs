//! Starts the subjects, lets load go to them in interleaved rounds, and tells what it cost.

mod http;
mod process;
mod redis;
mod resp;
mod stage;

use std::io::{self, Write};

use clap::ValueEnum;

use self::stage::Stage;
use crate::Problem;
use crate::args::Options;
use crate::subject::{Route, Subject};

pub(crate) fn run(options: &Options) -> Result<(), Problem> {
    let subjects = Subject::value_variants();
    let routes = Route::value_variants();
    let mut out = io::stdout();
    for round in 0..options.rounds {
        let mut stages = Vec::new();
        for &subject in subjects {
            stages.push(Stage::set(subject, options.sessions)?);
        }
        for &route in routes {
            let mut floor = 0.0;
            for stage in &mut stages {
                if !stage.setup.subject.has(route) {
                    continue;
                }
                stage.load(route, options.connections, 0.2)?;
                let cost = stage.load(route, options.connections, options.duration)?;
                if floor == 0.0 {
                    floor = cost.cpu;
                }
                writeln!(
                    out,
                    "{round} {:8} {:16} {:6.2} ms {:.2}x redis {:.2} {:7.0}/s p50 {:.0} p99 {:.0}",
                    route.name(),
                    stage.setup.subject.name(),
                    cost.cpu,
                    cost.cpu / floor,
                    cost.redis_cpu,
                    cost.outcome.requests as f64 / cost.outcome.seconds,
                    cost.outcome.p50,
                    cost.outcome.p99
                )?;
            }
        }
        for stage in &stages {
            stage.audit()?;
        }
    }
    Ok(())
}
