//! What a session costs, measured side by side: see `scripts/bench --help` and `docs/performance.md`.
//!
//! One program plays three parts, each in a process of its own: [`driver`] starts the others, looks
//! at them from outside and does the arithmetic; [`server`] is one subject; [`load`] sends requests.

mod args;
mod driver;
mod load;
mod report;
mod server;
mod subject;

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

use crate::args::{Arguments, Part};

/// Whatever went wrong; who runs this reads it.
pub(crate) type Problem = Box<dyn Error + Send + Sync>;

/// What the allocator has counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// Bytes that are allocated now.
    pub live: usize,
    /// Allocations and reallocations so far.
    pub allocations: usize,
}

/// Plays the part that the command line tells. `memory` asks the allocator, if it counts.
#[must_use]
pub fn main(memory: Option<fn() -> Memory>) -> ExitCode {
    let arguments = Arguments::parse();
    let played = match arguments.part {
        None => driver::run(&arguments.options),
        Some(Part::Serve(setup)) => server::run(setup, memory.unwrap_or(Memory::default)),
        Some(Part::Load(order)) => load::run(&order),
    };
    match played {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            drop(writeln!(io::stderr(), "bench: {problem}"));
            ExitCode::FAILURE
        }
    }
}
