//! Runs every fault under load, prints a table of the outcomes, and exits with an error if a guarantee was
//! violated. See `scripts/faults`.

use std::process::ExitCode;

use tests::chaos::{Outcome, faults};

#[tokio::main(worker_threads = 4)]
async fn main() -> ExitCode {
    let rounds = std::env::args()
        .nth(1)
        .map_or(Ok(1), |rounds| rounds.parse::<u32>());
    let rounds = rounds.expect("usage: faults [ROUNDS]");
    let mut violations = Vec::new();
    say(Outcome::HEAD);
    for _ in 0..rounds {
        for fault in faults::all() {
            let outcome = fault().await;
            say(&outcome.row());
            violations.extend(outcome.verify().err());
        }
    }
    for violation in &violations {
        say(&format!("\nViolated: {violation}"));
    }
    if violations.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

#[allow(clippy::print_stdout, reason = "the table is the output")]
fn say(line: &str) {
    println!("{line}");
}
