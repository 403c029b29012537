//! How the CPU per request grows with the session's size, and with the number of connections.

use super::progress;
use super::testbed::Testbed;
use crate::BoxError;
use crate::args::Options;
use crate::report::{Axis, Samples};
use crate::subject::{Route, Subject};

const ENTRIES: [usize; 4] = [1, 10, 100, 1000];
const BYTES: [usize; 6] = [1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20];
const CONNECTIONS: [usize; 7] = [1, 4, 16, 64, 128, 256, 512];

/// The size of each of many entries.
const SMALL: usize = 20;

/// The size of a session without its large entry: the usual five, and what the subject adds.
const OTHER_BYTES: usize = 512;

/// Few enough that sessions of a megabyte fit in the memory of a usual machine.
const SESSIONS: usize = 128;

/// With more connections, requests for large sessions would wait for each other longer than the timeout
/// of Cloakroom's commands.
const FEW_CONNECTIONS: usize = 8;

pub(super) fn run(
    options: &Options,
    subjects: &[Subject],
    samples: &mut Samples,
) -> Result<(), BoxError> {
    let subjects: Vec<_> = subjects.iter().copied().filter(|it| it.grows()).collect();
    for round in 1..=options.rounds {
        progress(format_args!("growth, round {round} of {}", options.rounds))?;
        for entries in ENTRIES {
            let mut testbeds = testbeds(&subjects, options, SESSIONS, (entries, SMALL))?;
            let at = (Axis::Entries, entries);
            measure(&mut testbeds, options, at, FEW_CONNECTIONS, samples)?;
        }
        for bytes in BYTES {
            let mut testbeds = testbeds(&subjects, options, SESSIONS, (1, bytes - OTHER_BYTES))?;
            let at = (Axis::Bytes, bytes);
            measure(&mut testbeds, options, at, FEW_CONNECTIONS, samples)?;
        }
        let most = CONNECTIONS.into_iter().max().unwrap_or(0);
        let mut testbeds = testbeds(&subjects, options, options.sessions.max(most), (0, 0))?;
        for connections in CONNECTIONS {
            let at = (Axis::Connections, connections);
            measure(&mut testbeds, options, at, connections, samples)?;
        }
    }
    Ok(())
}

/// Starts the subjects, with sessions that have so many more entries of so many bytes.
fn testbeds(
    subjects: &[Subject],
    options: &Options,
    sessions: usize,
    more: (usize, usize),
) -> Result<Vec<Testbed>, BoxError> {
    subjects
        .iter()
        .map(|&subject| Testbed::start_with(subject, options.setting, sessions, more, false))
        .collect()
}

fn measure(
    testbeds: &mut [Testbed],
    options: &Options,
    (axis, x): (Axis, usize),
    connections: usize,
    samples: &mut Samples,
) -> Result<(), BoxError> {
    for route in [Route::Read, Route::Write] {
        for testbed in &mut *testbeds {
            testbed.load(route, connections, 0.1)?;
            let cost = testbed.load(route, connections, options.duration / 2.0)?;
            samples.record_growth(axis, testbed.args.subject, route, x, cost.cpu);
        }
    }
    testbeds.iter().try_for_each(Testbed::verify_writes)
}
