//! Models of Cloakroom's protocols. A model checker explores all states that their actors can reach, with lost
//! replies, commands that arrive late and crashes at every step, and checks a property in each.
//!
//! `cargo test -p models` checks small configurations, and that every property is violated when the line of the
//! protocol that keeps it is removed. `cargo run -p models` prints the same as tables; with `--long` it checks larger
//! configurations as well, and with `--steps` it prints how each property is violated. `docs/proofs.md` explains the
//! models.

mod check;
mod failover;
mod index;
mod migration;
mod near_cache;
mod renewal;
mod revocation;
mod rotation;
mod writers;

use std::env;

use self::check::{Protocol, assert_holds, assert_needed};

/// What the arguments ask for.
#[derive(Clone, Copy)]
struct Options {
    long: bool,
    steps: bool,
}

fn main() {
    let mut options = Options {
        long: false,
        steps: false,
    };
    for argument in env::args().skip(1) {
        match &*argument {
            "--long" => options.long = true,
            "--steps" => options.steps = true,
            other => panic!("the options are --long and --steps, not {other}"),
        }
    }
    print::<writers::Writers>(options);
    print::<renewal::Renewal>(options);
    print::<index::Index>(options);
    print::<revocation::Revocation>(options);
    print::<near_cache::NearCache>(options);
    print::<rotation::Rotation>(options);
    print::<migration::Migration>(options);
    print::<failover::Failover>(options);
}

/// Checks a model, and prints a table of its configurations and one of its lines.
#[allow(clippy::print_stdout, reason = "the tables are the output")]
fn print<P: Protocol>(options: Options) {
    println!("{}\n", P::NAME);
    println!("| configuration | states | depth | time |\n|---|---|---|---|");
    let reports = assert_holds::<P>(options.long);
    for (configuration, report) in P::configurations(options.long).iter().zip(reports) {
        let (states, depth, time) = (report.states, report.depth, report.time);
        println!("| `{configuration:?}` | {states} | {depth} | {time:.1?} |");
    }
    println!("\n| without | violated | in steps |\n|---|---|---|");
    for (line, property) in P::LINES {
        let violation = assert_needed::<P>(*line, property);
        println!("| `{line:?}` | {property} | {} |", violation.len());
        if options.steps {
            println!("|  | {} |  |", violation.join(", "));
        }
    }
    println!();
}
