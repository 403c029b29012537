//! What a session costs, measured side by side: see `scripts/bench --help` and `docs/performance.md`.
//!
//! One program has three roles, each in a process of its own: [`driver`] starts the others, observes them
//! from outside and computes the figures; [`server`] is one of the measured servers; [`load`] sends
//! requests to it.

mod args;
mod driver;
mod load;
mod report;
mod server;
mod subject;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

use crate::args::{Arguments, Role};

pub(crate) use test_support::http::BoxError;

/// What the allocator has counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// Bytes that are allocated now.
    pub live: usize,
    /// Allocations and reallocations so far.
    pub allocations: usize,
}

/// Runs the role that the command line names. `memory` reads the counters of the allocator, if it has
/// any.
#[must_use]
pub fn main(memory: Option<fn() -> Memory>) -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.role {
        None => driver::run(&arguments.options),
        Some(Role::Serve(args)) => server::run(args, memory.unwrap_or(Memory::default)),
        Some(Role::Load(args)) => load::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            drop(writeln!(io::stderr(), "bench: {error}"));
            ExitCode::FAILURE
        }
    }
}
