//! The same program with an allocator that counts. Counting costs time, so this is a program of its own,
//! and no time is measured with it.

use std::alloc::System;
use std::process::ExitCode;

use bench::Memory;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static COUNTED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() -> ExitCode {
    bench::main(Some(memory))
}

fn memory() -> Memory {
    let stats = COUNTED.stats();
    Memory {
        // Both include what reallocations add and release.
        live: stats
            .bytes_allocated
            .saturating_sub(stats.bytes_deallocated),
        allocations: stats.allocations + stats.reallocations,
    }
}
