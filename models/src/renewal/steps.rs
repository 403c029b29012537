//! The steps of the requests.

use super::{
    Command, FOUND_DATA, FOUND_SECRET, Key, Kind, Line, Outcome, Phase, Record, Renewal, State,
    Tombstone,
};

impl Renewal {
    /// Carries out a command. Returns what was stored before, or `None` if the command has been executed.
    pub(super) fn run(state: &mut State, command: Command) -> Option<Key> {
        let (Command::Create { id, .. } | Command::Update { id, .. } | Command::End { id, .. }) =
            command;
        let key = &mut state.keys[usize::from(id)];
        let next = match (command, *key) {
            (Command::Create { record, .. }, Key::Nothing) => Key::Record(record),
            (Command::Update { base, next, .. }, Key::Record(there)) if there.revision == base => {
                Key::Record(next)
            }
            (
                Command::End {
                    expected,
                    tombstone,
                    ..
                },
                Key::Record(there),
            ) if expected.is_none_or(|expected| there.revision == expected) => {
                Key::Tombstone(tombstone)
            }
            (Command::End { tombstone, .. }, Key::Nothing) => {
                *key = Key::Tombstone(tombstone);
                return Some(Key::Nothing);
            }
            (_, there) => return Some(there),
        };
        *key = next;
        None
    }

    /// A request reads the session whose token it presents, or one that it looks for.
    pub(super) fn read(&self, state: &mut State, request: usize) {
        match state.requests[request].phase {
            Phase::Looking(id) => {
                let found = state.keys[usize::from(id)];
                self.look(state, request, id, found);
            }
            Phase::LookingToEnd(id) => match state.keys[usize::from(id)] {
                Key::Record(_) => Self::sign_out(state, request, id),
                Key::Tombstone(tombstone) => self.follow_to_end(state, request, tombstone),
                Key::Nothing => finish(state, request, Outcome::Ended),
            },
            _ => self.begin(state, request),
        }
    }

    fn begin(&self, state: &mut State, request: usize) {
        let (kind, id) = self.requests[request];
        let found = state.keys[usize::from(id)];
        match (kind, found) {
            (Kind::SignIn | Kind::Renew, Key::Record(record)) => {
                state.requests[request].loaded = Some(record);
                state.requests[request].copied = record.revision;
                let data = record.data | 1 << request;
                self.create(state, request, data);
            }
            (Kind::SignIn, Key::Tombstone(tombstone)) => self.follow(state, request, tombstone),
            (Kind::Edit, Key::Record(record)) => {
                let data = record.data | 1 << request;
                Self::update(state, request, id, record, Record { data, ..record });
                state.requests[request].phase = Phase::Updating;
            }
            (Kind::SignOut, Key::Record(_)) => Self::sign_out(state, request, id),
            (Kind::SignOut, Key::Tombstone(tombstone)) => {
                self.follow_to_end(state, request, tombstone);
            }
            (_, Key::Tombstone(_) | Key::Nothing) => finish(state, request, Outcome::Ended),
        }
    }

    fn create(&self, state: &mut State, request: usize, data: u8) {
        let revision = draw(state, request);
        let record = Record {
            revision,
            data,
            secrets: 1 << request,
            is_sign_in: self.kind(request) == Kind::SignIn,
        };
        let id = self.new_id(request);
        state.requests[request].new = Some(record);
        state.requests[request].sent = Some(Command::Create { id, record });
        state.requests[request].phase = Phase::Creating;
    }

    /// Sends an update. The next record has the data and secrets of `next`.
    fn update(state: &mut State, request: usize, id: u8, base: Record, next: Record) {
        let revision = draw(state, request);
        let (base, next) = (base.revision, Record { revision, ..next });
        state.requests[request].sent = Some(Command::Update { id, base, next });
    }

    fn end_old(&self, state: &mut State, request: usize) {
        let Some(loaded) = state.requests[request].loaded else {
            return self.succeed(state, request);
        };
        let tombstone = Tombstone::Renewed {
            successor: self.new_id(request),
            seen: loaded.secrets,
        };
        let expected = self.keeps(Line::EndAtRevision);
        let expected = expected.then_some(state.requests[request].copied);
        let id = self.requests[request].1;
        state.requests[request].sent = Some(Command::End {
            id,
            expected,
            tombstone,
        });
        state.requests[request].phase = Phase::EndingOld;
    }

    fn sign_out(state: &mut State, request: usize, id: u8) {
        let (expected, tombstone) = (None, Tombstone::SignedOut);
        state.requests[request].sent = Some(Command::End {
            id,
            expected,
            tombstone,
        });
        state.requests[request].phase = Phase::SigningOut(id);
    }

    /// Handles a reply: what the command has found instead of what it expected, or `None` if it was executed.
    pub(super) fn on_reply(&self, state: &mut State, request: usize, found: Option<Key>) {
        let phase = state.requests[request].phase;
        match (phase, found) {
            (Phase::Creating, None) => self.end_old(state, request),
            (Phase::EndingOld | Phase::StartingOver, None) => self.succeed(state, request),
            (Phase::EndingOld, Some(Key::Record(fresher))) => {
                self.on_conflict(state, request, fresher);
            }
            (Phase::EndingOld, Some(Key::Tombstone(tombstone))) => {
                self.lose(state, request, tombstone);
            }
            (Phase::CopyingAgain(copied), None) => {
                state.requests[request].copied = copied.revision;
                self.end_old(state, request);
            }
            (Phase::Adding(id), None) => self.join(state, request, id),
            (Phase::Adding(id), Some(_)) => state.requests[request].phase = Phase::Looking(id),
            (Phase::Updating, None) => finish(state, request, Outcome::Stored),
            (Phase::Updating, Some(Key::Record(fresher))) => {
                let data = fresher.data | 1 << request;
                let id = self.requests[request].1;
                Self::update(state, request, id, fresher, Record { data, ..fresher });
            }
            (Phase::SigningOut(_), None) => finish(state, request, Outcome::SignedOut),
            (Phase::SigningOut(_), Some(Key::Tombstone(tombstone))) => {
                self.follow_to_end(state, request, tombstone);
            }
            (Phase::Creating | Phase::CopyingAgain(_) | Phase::StartingOver, Some(_)) => {
                self.fail(state, request);
            }
            _ => finish(state, request, Outcome::Ended),
        }
    }

    /// The old session has another revision: it was edited, or joined.
    fn on_conflict(&self, state: &mut State, request: usize, fresher: Record) {
        let loaded = state.requests[request]
            .loaded
            .map_or(0, |record| record.secrets);
        let has_gained = fresher.secrets & !loaded != 0 && self.keeps(Line::NoticeGainedSecrets);
        let id = self.requests[request].1;
        if has_gained && self.kind(request) == Kind::Renew {
            return self.yield_to_other(state, request);
        }
        if has_gained {
            return self.look(state, request, id, Key::Record(fresher));
        }
        let Some(new) = state.requests[request].new else {
            return self.fail(state, request);
        };
        let next = Record {
            data: fresher.data | 1 << request,
            ..new
        };
        Self::update(state, request, self.new_id(request), new, next);
        remember_new(state, request);
        state.requests[request].phase = Phase::CopyingAgain(fresher);
    }

    /// Another request has ended the old session.
    fn lose(&self, state: &mut State, request: usize, tombstone: Tombstone) {
        if self.kind(request) == Kind::SignIn {
            return self.follow(state, request, tombstone);
        }
        if self.keeps(Line::LoserSetsNoCookie) {
            self.yield_to_other(state, request);
        } else {
            self.succeed(state, request);
        }
    }

    /// A sign-in follows the tombstone of an ended session.
    fn follow(&self, state: &mut State, request: usize, tombstone: Tombstone) {
        match tombstone {
            Tombstone::Renewed { successor, .. } if self.keeps(Line::Join) => {
                state.requests[request].phase = Phase::Looking(successor);
            }
            Tombstone::SignedOut if self.keeps(Line::StartOver) => {
                self.start_over(state, request);
            }
            _ => self.keep_data(state, request),
        }
    }

    /// A sign-in has read a session that it may join.
    fn look(&self, state: &mut State, request: usize, id: u8, found: Key) {
        match found {
            Key::Record(record) if record.is_sign_in || !self.keeps(Line::JoinOnlySignIns) => {
                let next = Record {
                    data: record.data | 1 << request,
                    secrets: record.secrets | 1 << request,
                    ..record
                };
                Self::update(state, request, id, record, next);
                state.requests[request].phase = Phase::Adding(id);
            }
            Key::Record(_) => {
                state.requests[request].kept = true;
                self.keep_data(state, request);
            }
            Key::Tombstone(tombstone) => self.follow(state, request, tombstone),
            Key::Nothing => self.keep_data(state, request),
        }
    }

    /// The sign-in gets the session of its own, with what it has loaded.
    fn keep_data(&self, state: &mut State, request: usize) {
        if state.requests[request].new.is_some() {
            self.succeed(state, request);
        } else {
            self.create(state, request, 1 << request);
        }
    }

    /// The sign-in gets a session with its own edits alone.
    fn start_over(&self, state: &mut State, request: usize) {
        let Some(new) = state.requests[request].new else {
            return self.create(state, request, 1 << request);
        };
        let next = Record {
            data: 1 << request,
            ..new
        };
        Self::update(state, request, self.new_id(request), new, next);
        remember_new(state, request);
        state.requests[request].phase = Phase::StartingOver;
    }

    fn join(&self, state: &mut State, request: usize, session: u8) {
        if state.requests[request].new.is_some() {
            self.begin_roll_back(state, request);
        }
        finish(
            state,
            request,
            Outcome::Cookie {
                session,
                kept: false,
            },
        );
    }

    fn yield_to_other(&self, state: &mut State, request: usize) {
        self.begin_roll_back(state, request);
        finish(state, request, Outcome::Ended);
    }

    fn succeed(&self, state: &mut State, request: usize) {
        let (session, kept) = (self.new_id(request), state.requests[request].kept);
        finish(state, request, Outcome::Cookie { session, kept });
    }

    /// A sign-out follows the tombstone of a renewed session.
    fn follow_to_end(&self, state: &mut State, request: usize, tombstone: Tombstone) {
        match tombstone {
            Tombstone::Renewed { successor, .. } if self.keeps(Line::FollowSuccessor) => {
                state.requests[request].phase = Phase::LookingToEnd(successor);
            }
            Tombstone::Renewed { .. } => finish(state, request, Outcome::SignedOut),
            _ => finish(state, request, Outcome::Ended),
        }
    }

    /// The outcome of a command is unknown. One read settles an update; anything else fails.
    pub(super) fn on_unknown(&self, state: &mut State, request: usize, command: Command) {
        if let Command::Update { id, next, .. } = command
            && state.keys[usize::from(id)] == Key::Record(next)
        {
            return self.on_reply(state, request, None);
        }
        self.fail(state, request);
    }

    fn fail(&self, state: &mut State, request: usize) {
        if state.requests[request].new.is_some() {
            self.begin_roll_back(state, request);
        }
        finish(state, request, Outcome::Failed);
    }

    fn begin_roll_back(&self, state: &mut State, request: usize) {
        if self.keeps(Line::RollBack) {
            state.rolling_back |= 1 << request;
        }
    }

    /// Ends the new session of a request, unless a sign-in has joined it.
    pub(super) fn roll_back(&self, state: &mut State, request: usize) {
        state.rolling_back &= !(1 << request);
        let key = &mut state.keys[usize::from(self.new_id(request))];
        let is_joined = matches!(key, Key::Record(record) if record.secrets != 1 << request);
        let is_spared = is_joined && self.keeps(Line::RollBackSparesJoined);
        if !is_spared && !matches!(key, Key::Tombstone(_)) {
            *key = Key::Tombstone(Tombstone::Abandoned);
        }
    }
}

fn finish(state: &mut State, request: usize, outcome: Outcome) {
    let request = &mut state.requests[request];
    // What does not matter any more must not distinguish states.
    (request.loaded, request.new, request.copied, request.drawn) = (None, None, 0, 0);
    request.kept = false;
    request.phase = Phase::Done(outcome);
}

/// The new session is as the update that was just sent leaves it, if that is stored.
fn remember_new(state: &mut State, request: usize) {
    if let Some(Command::Update { next, .. }) = state.requests[request].sent {
        state.requests[request].new = Some(next);
    }
}

/// Draws a revision that no other record has.
fn draw(state: &mut State, request: usize) -> u8 {
    let number = u8::try_from(request).expect("there are few requests") + 1;
    state.requests[request].drawn += 1;
    16 * number + state.requests[request].drawn
}

impl Record {
    pub(super) const fn has_found_data(self) -> bool {
        self.data & FOUND_DATA != 0
    }

    pub(super) const fn has_found_secret(self) -> bool {
        self.secrets & FOUND_SECRET != 0
    }
}
