//! Runs the histories of many seeds, and prints what violates a promise. `scripts/simulate` calls it.

use std::collections::BTreeMap;
use std::env;
use std::process::ExitCode;
use std::time::Instant;

use simulation::check::{Kind, check};
use simulation::scenario::Scenario;
use simulation::shorten::shorten;
use simulation::simulate::{simulate, simulate_with_trace};

/// How many seeds are printed for each kind of anomaly.
const MAX_SEEDS: usize = 20;

/// What the arguments ask for.
struct Options {
    count: u64,
    from: u64,
    prints_trace: bool,
}

#[allow(clippy::print_stdout, reason = "the report is the output")]
fn main() -> ExitCode {
    let options = parse();
    let start = Instant::now();
    let mut anomalies: BTreeMap<Kind, (u64, Vec<u64>)> = BTreeMap::new();
    let mut requests = 0;
    for seed in options.from..options.from.saturating_add(options.count) {
        let scenario = Scenario::of_seed(seed);
        let history = simulate(&scenario);
        requests += history.requests.len();
        for anomaly in check(&history) {
            let (count, seeds) = anomalies.entry(anomaly.kind).or_default();
            *count += 1;
            if seeds.len() < MAX_SEEDS && seeds.last() != Some(&seed) {
                seeds.push(seed);
            }
        }
        if options.prints_trace {
            print_trace(&scenario);
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let (count, found) = (
        options.count,
        anomalies.values().map(|(count, _)| count).sum::<u64>(),
    );
    let rate = count as f64 / seconds;
    println!(
        "{count} histories with {requests} requests in {seconds:.1} s ({rate:.0} per second), {found} anomalies"
    );
    for (kind, (count, seeds)) in &anomalies {
        // The first one of each kind is enough for a report.
        println!("\n{kind:?}: {count}, with the seeds {seeds:?}. The first one, shortened:");
        print_trace(&shorten(&Scenario::of_seed(seeds[0]), *kind));
    }
    if anomalies.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

#[allow(clippy::print_stdout, reason = "the report is the output")]
fn print_trace(scenario: &Scenario) {
    let (history, lines) = simulate_with_trace(scenario);
    let Scenario {
        rotation,
        session_limit,
        servers,
        troubles,
        ..
    } = scenario;
    println!("rotation {rotation:?}, session limit {session_limit:?}, {servers:?}");
    println!("{troubles:?}");
    for line in lines {
        println!("{line}");
    }
    for anomaly in check(&history) {
        println!("{anomaly}");
    }
}

fn parse() -> Options {
    let mut options = Options {
        count: 1,
        from: 0,
        prints_trace: false,
    };
    let mut arguments = env::args().skip(1);
    let number = |text: Option<String>| {
        let text = text.unwrap_or_default();
        text.parse()
            .unwrap_or_else(|_| panic!("a number is expected, not {text:?}"))
    };
    while let Some(argument) = arguments.next() {
        match &*argument {
            "--from" => options.from = number(arguments.next()),
            "--trace" => options.prints_trace = true,
            _ => options.count = number(Some(argument)),
        }
    }
    options
}
