//! The steps of the actors.

use super::{Client, INVENTED, Line, Phase, Record, Rotation, State, Status};

impl Rotation {
    pub(super) fn keeps(&self, line: Line) -> bool {
        self.removed != Some(line)
    }

    pub(super) fn status(record: &Record, secret: u8) -> Status {
        match record.before {
            _ if record.current == secret => Status::Current,
            _ if record.next == Some(secret) => Status::Next,
            Some((before, false)) if before == secret => Status::Previous,
            Some((before, true)) if before == secret => Status::Retired,
            _ if secret != INVENTED && record.retired & 1 << secret != 0 => Status::Retired,
            _ => Status::Wrong,
        }
    }

    /// The record after a secret was presented; `None` if nothing changes (`Secrets::advanced`).
    pub(super) fn advanced(
        &self,
        state: &mut State,
        record: &Record,
        secret: u8,
    ) -> Option<Record> {
        let status = Self::status(record, secret);
        let offers = status == Status::Current && record.next.is_none() && state.is_due;
        if !offers && status != Status::Next {
            return None;
        }
        let mut next = Record {
            revision: draw(state),
            ..*record
        };
        if offers {
            next.next = Some(draw(state));
            if self.keeps(Line::ReplaceWhenPresented) {
                return Some(next);
            }
        }
        if let Some((before, _)) = next.before {
            next.retired |= 1 << before;
        }
        next.before = Some((next.current, !self.keeps(Line::Grace)));
        next.current = next.next.take()?;
        state.is_due = false;
        Some(next)
    }

    /// The secret that a response sets for a request that has presented this one (`Secrets::successor`).
    pub(super) fn successor(record: &Record, secret: u8) -> Option<u8> {
        match record.before {
            _ if record.current == secret => record.next,
            Some((before, _)) if before == secret => Some(record.current),
            _ => None,
        }
    }

    pub(super) fn arrive(&self, state: &mut State, request: usize, secret: u8) -> Phase {
        let Some(record) = state.record else {
            return Phase::NotSignedIn;
        };
        match Self::status(&record, secret) {
            Status::Wrong if self.keeps(Line::WrongIsNotReuse) => Phase::NotSignedIn,
            Status::Retired | Status::Wrong => {
                state.has_detected_reuse |= self.requests[request] != Client::Stranger;
                state.record = None;
                Phase::NotSignedIn
            }
            Status::Current | Status::Next | Status::Previous => {
                match self.advanced(state, &record, secret) {
                    Some(next) => Phase::Updating {
                        secret,
                        base: record.revision,
                        next,
                    },
                    // The session is read again before the cookie is set.
                    None => Phase::Responding(Self::successor(&record, secret)),
                }
            }
        }
    }

    pub(super) fn update(&self, state: &mut State, secret: u8, base: u8, next: Record) -> Phase {
        let Some(there) = state.record else {
            return Phase::Done;
        };
        if there.revision == base || !self.keeps(Line::CompareRevision) {
            state.record = Some(next);
            return Phase::Responding(Self::successor(&next, secret));
        }
        if !self.keeps(Line::Derived) && next.next.is_some() {
            // It keeps the secret that it has drawn.
            return Phase::Responding(next.next);
        }
        match self.advanced(state, &there, secret) {
            Some(next) => Phase::Updating {
                secret,
                base: there.revision,
                next,
            },
            None => Phase::Responding(Self::successor(&there, secret)),
        }
    }

    /// Whether no request and no response of the user is on the way.
    pub(super) fn is_quiet(&self, state: &State) -> bool {
        let mut requests = self.requests.iter().zip(&state.requests);
        requests.all(|(client, phase)| {
            let rests = matches!(phase, Phase::Begins | Phase::NotSignedIn | Phase::Done);
            *client != Client::User || rests
        })
    }
}

fn draw(state: &mut State) -> u8 {
    state.drawn += 1;
    state.drawn
}
