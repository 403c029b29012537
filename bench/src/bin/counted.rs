//! The same program on an allocator that counts. Counting costs time, so it is a program of its own,
//! and no figure of time comes from it.

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
        // Both hold what reallocations add and take.
        live: stats
            .bytes_allocated
            .saturating_sub(stats.bytes_deallocated),
        allocations: stats.allocations + stats.reallocations,
    }
}
