//! The steps of the actors.

use super::{Failover, Key, Line, Request, State, Writer};

impl Failover {
    pub(super) fn keeps(&self, line: Line) -> bool {
        self.removed != Some(line)
    }

    /// What a request does after its write.
    pub(super) fn wait(&self, state: &State) -> Request {
        if self.keeps(Line::Wait) {
            Request::Waits(state.writes.len())
        } else {
            Request::Confirmed
        }
    }

    pub(super) fn end(&self, state: &mut State) -> Request {
        if state.key() == Key::Tombstone && !self.keeps(Line::WriteAgain) {
            // `WAIT` has nothing to wait for on this connection.
            return Request::Confirmed;
        }
        state.writes.push(Key::Tombstone);
        self.wait(state)
    }

    pub(super) fn update(&self, state: &mut State, writer: usize) -> Option<Writer> {
        let Writer::Loaded {
            revision: base,
            edits,
        } = state.writers[writer]
        else {
            return None;
        };
        let number = u8::try_from(writer).expect("there are few writers") + 1;
        let next = if self.keeps(Line::RandomRevision) {
            16 * number + base
        } else {
            base + 1
        };
        Some(match state.key() {
            Key::Record { revision, .. } if revision == base => {
                let edits = edits | 1 << writer;
                state.writes.push(Key::Record {
                    revision: next,
                    edits,
                });
                Writer::Stored {
                    failovers: state.failovers,
                }
            }
            Key::Record { revision, edits } => Writer::Loaded { revision, edits },
            Key::Nothing | Key::Tombstone => Writer::Ended,
        })
    }
}

impl State {
    pub(super) fn key(&self) -> Key {
        self.writes.last().copied().unwrap_or(Key::Nothing)
    }

    pub(super) fn request(&mut self, end: Option<usize>) -> &mut Request {
        match end {
            Some(end) => &mut self.ends[end],
            None => &mut self.create,
        }
    }

    /// A write that `WAIT` waits for was lost, and the connection with it.
    pub(super) fn fail_over(&mut self) {
        self.writes.truncate(self.replicated);
        self.failovers -= 1;
        for request in self.ends.iter_mut().chain([&mut self.create]) {
            if matches!(request, Request::Waits(_)) {
                *request = Request::NotReplicated;
            }
        }
        // The new primary has a replica, which has what it has.
        let key = self.key();
        self.writes = vec![key];
        self.replicated = 1;
    }
}
