//! How the CPU per request grows with the session's size, and with the number of connections.

use super::progress;
use super::stage::Stage;
use crate::Problem;
use crate::args::Options;
use crate::report::{Axis, Book};
use crate::subject::{Route, Subject};

const ENTRIES: [usize; 4] = [1, 10, 100, 1000];
const BYTES: [usize; 6] = [1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20];
const CONNECTIONS: [usize; 7] = [1, 4, 16, 64, 128, 256, 512];

/// Of small entries, each is so long.
const SMALL: usize = 20;

/// What a session may have besides its large entry: the five, and what the subject adds.
const BESIDES: usize = 512;

/// Sessions of a megabyte are kept within what a Redis of default size and a desk can bear.
const SESSIONS: usize = 128;

/// Of large sessions, many at the same time would wait for each other longer than Cloakroom lets a
/// command wait.
const FEW: usize = 8;

pub(super) fn run(options: &Options, subjects: &[Subject], book: &mut Book) -> Result<(), Problem> {
    let subjects: Vec<_> = subjects.iter().copied().filter(|it| it.grows()).collect();
    for round in 0..options.rounds {
        progress(format_args!(
            "growth, round {} of {}",
            round + 1,
            options.rounds
        ))?;
        for entries in ENTRIES {
            let more = (entries, SMALL);
            sessions(options, &subjects, (Axis::Entries, entries), more, book)?;
        }
        for bytes in BYTES {
            let more = (1, bytes - BESIDES);
            sessions(options, &subjects, (Axis::Bytes, bytes), more, book)?;
        }
        connections(options, &subjects, book)?;
    }
    Ok(())
}

/// Measures sessions with so many entries more of so many bytes.
fn sessions(
    options: &Options,
    subjects: &[Subject],
    at: (Axis, usize),
    more: (usize, usize),
    book: &mut Book,
) -> Result<(), Problem> {
    let mut stages = stages(subjects, SESSIONS, more)?;
    measure(&mut stages, options, at, FEW, book)
}

fn connections(options: &Options, subjects: &[Subject], book: &mut Book) -> Result<(), Problem> {
    let most = CONNECTIONS.into_iter().max().unwrap_or(0);
    let mut stages = stages(subjects, options.sessions.max(most), (0, 0))?;
    for connections in CONNECTIONS {
        let at = (Axis::Connections, connections);
        measure(&mut stages, options, at, connections, book)?;
    }
    Ok(())
}

fn stages(
    subjects: &[Subject],
    sessions: usize,
    more: (usize, usize),
) -> Result<Vec<Stage>, Problem> {
    let set = |&subject: &Subject| Stage::set_with(subject, sessions, more, false);
    subjects.iter().map(set).collect()
}

fn measure(
    stages: &mut [Stage],
    options: &Options,
    (axis, x): (Axis, usize),
    connections: usize,
    book: &mut Book,
) -> Result<(), Problem> {
    for route in [Route::Read, Route::Write] {
        for stage in &mut *stages {
            stage.load(route, connections, 0.1)?;
            let cost = stage.load(route, connections, options.duration / 2.0)?;
            let key = (axis, stage.setup.subject, route, x);
            book.growth.note(key, cost.cpu);
        }
    }
    stages.iter().try_for_each(Stage::audit)
}
