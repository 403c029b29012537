//! Runs every fault under load, prints a table of what came of it, and ends with an error if a promise
//! fell. See `scripts/faults`.

use std::process::ExitCode;

use tests::ordeal::{Outcome, faults};

#[tokio::main(worker_threads = 4)]
async fn main() -> ExitCode {
    let rounds = std::env::args()
        .nth(1)
        .map_or(Ok(1), |rounds| rounds.parse::<u32>());
    let rounds = rounds.expect("usage: faults [ROUNDS]");
    let mut fallen = Vec::new();
    say(Outcome::HEAD);
    for _ in 0..rounds {
        for fault in faults::all() {
            let outcome = fault().await;
            say(&outcome.row());
            fallen.extend(outcome.judge().err());
        }
    }
    for promise in &fallen {
        say(&format!("\nA promise fell: {promise}"));
    }
    match fallen.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

#[allow(clippy::print_stdout, reason = "the table is what it is run for")]
fn say(line: &str) {
    println!("{line}");
}
