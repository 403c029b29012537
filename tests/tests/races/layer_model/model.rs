//! A model of sessions without store, tokens and encoding.

use std::collections::BTreeMap;
use std::time::Duration;

use cloakroom::Expiry;

use super::driver::{Cookie, Observed};
use super::history::{Action, BROWSERS, CHOICES, Event, RULE};

/// An idle session lives this much longer, since clocks differ.
const TOLERANCE: Duration = Duration::from_secs(5);

type Entries = BTreeMap<&'static str, u32>;

#[derive(Clone, Copy, Debug)]
struct Limits {
    idle: Duration,
    deadline: Duration,
    /// Chosen for this session.
    chosen: bool,
}

#[derive(Clone, Debug)]
struct StoredSession {
    entries: Entries,
    created: Duration,
    seen: Duration,
    limits: Limits,
    /// Ended by a sign-out or a renewal.
    ended: bool,
    /// The session in which it continues, if it was renewed.
    successor: Option<usize>,
}

/// How many renewals in a row are followed.
const MAX_RENEWALS: usize = 8;

/// All sessions ever created, and the session that each browser's cookie names.
#[derive(Debug, Default)]
pub(crate) struct Model {
    now: Duration,
    sessions: Vec<StoredSession>,
    cookies: [Option<usize>; BROWSERS],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lookup {
    Absent,
    Ended,
    Live(usize),
}

/// The state of one request.
#[derive(Debug)]
struct RequestState {
    lookup: Lookup,
    entries: Entries,
    edited: bool,
    chosen: Option<Limits>,
    renewing: bool,
    cookie: Cookie,
}

impl Limits {
    fn begin(expiry: Expiry, now: Duration, chosen: bool) -> Self {
        Self {
            idle: expiry.idle_timeout(),
            deadline: now + expiry.absolute_timeout(),
            chosen,
        }
    }

    /// The effective limits of a session created at `created`.
    fn under_rule(self, created: Duration) -> Self {
        if self.chosen {
            return self;
        }
        let rule = Self::begin(RULE, created, false);
        let deadline = self.deadline.min(rule.deadline);
        Self { deadline, ..rule }
    }
}

impl StoredSession {
    fn limits(&self) -> Limits {
        self.limits.under_rule(self.created)
    }

    fn is_expired(&self, now: Duration) -> bool {
        let limits = self.limits();
        now >= limits.deadline || now - self.seen >= limits.idle + TOLERANCE
    }
}

impl RequestState {
    fn of(lookup: Lookup, entries: Entries, cookie: Cookie) -> Self {
        Self {
            lookup,
            entries,
            edited: false,
            chosen: None,
            renewing: false,
            cookie,
        }
    }
}

impl Model {
    /// Applies an event, and returns the expected response, if it is a request.
    pub(crate) fn apply(&mut self, event: &Event) -> Option<Observed> {
        match event {
            Event::Pause(time) => self.now += *time,
            Event::Copy(to, from) => self.cookies[*to] = self.cookies[*from],
            Event::Request {
                browser, actions, ..
            } => return Some(self.response(*browser, actions)),
        }
        None
    }

    fn response(&mut self, browser: usize, actions: &[Action]) -> Observed {
        let lookup = match self.cookies[browser] {
            None => Lookup::Absent,
            Some(which) if self.sessions[which].ended => Lookup::Ended,
            Some(which) if self.sessions[which].is_expired(self.now) => Lookup::Absent,
            Some(which) => Lookup::Live(which),
        };
        let mut request = RequestState::of(lookup, self.entries_of(lookup), Cookie::Left);
        let mut body = String::new();
        for action in actions {
            self.run_action(&mut request, browser, *action);
            body.push_str(&format!("{:?}\n", request.entries));
        }
        self.commit(&mut request);
        match (request.cookie, request.lookup) {
            (Cookie::Set(_), Lookup::Live(which)) => self.cookies[browser] = Some(which),
            (Cookie::Removed, _) => self.cookies[browser] = None,
            _ => {}
        }
        Observed {
            body,
            cookie: request.cookie,
            ended_concurrently: request.lookup == Lookup::Ended && request.edited,
        }
    }

    fn run_action(&mut self, request: &mut RequestState, browser: usize, action: Action) {
        request.edited |= matches!(
            action,
            Action::Insert(..) | Action::Update(_) | Action::Remove(_) | Action::Clear
        );
        match action {
            Action::Read => {}
            Action::Insert(key, value) => drop(request.entries.insert(key, value)),
            Action::Update(key) => *request.entries.entry(key).or_default() += 1,
            Action::Remove(key) => drop(request.entries.remove(key)),
            Action::Clear => request.entries.clear(),
            Action::Renew => request.renewing = true,
            Action::SetExpiry(choice) => {
                request.chosen = Some(Limits::begin(CHOICES[choice], self.now, true));
            }
            Action::ResetExpiry => request.chosen = Some(Limits::begin(RULE, self.now, false)),
            Action::Save => self.commit(request),
            Action::Destroy => {
                let ended = match request.lookup {
                    Lookup::Live(which) => Some(which),
                    Lookup::Ended => self.successor_of(self.cookies[browser]),
                    Lookup::Absent => None,
                };
                if let Some(which) = ended {
                    self.sessions[which].ended = true;
                    *request = RequestState::of(Lookup::Absent, Entries::new(), Cookie::Removed);
                } else {
                    *request = RequestState::of(request.lookup, Entries::new(), request.cookie);
                }
            }
        }
    }

    /// Commits a request.
    fn commit(&mut self, request: &mut RequestState) {
        let (now, chosen) = (self.now, request.chosen);
        match request.lookup {
            Lookup::Live(old) if request.renewing => {
                self.sessions[old].ended = true;
                let limits = chosen.unwrap_or_else(|| self.sessions[old].limits());
                self.sessions[old].successor = Some(self.sessions.len());
                self.begin(request, limits);
            }
            Lookup::Live(which) => {
                let changed = request.entries != self.sessions[which].entries;
                let stored = &mut self.sessions[which];
                if changed || chosen.is_some() {
                    stored.entries.clone_from(&request.entries);
                    stored.seen = now;
                    stored.limits = chosen.unwrap_or(stored.limits).under_rule(stored.created);
                    if chosen.is_some() {
                        request.cookie = set_cookie(stored.limits, now);
                    }
                    request.edited = false;
                    request.chosen = None;
                } else if now - stored.seen >= stored.limits().idle / 10 {
                    stored.seen = now;
                }
            }
            Lookup::Ended => {}
            Lookup::Absent if request.entries.is_empty() => {}
            Lookup::Absent => {
                let limits = chosen.unwrap_or_else(|| Limits::begin(RULE, now, false));
                self.begin(request, limits);
            }
        }
    }

    fn begin(&mut self, request: &mut RequestState, limits: Limits) {
        self.sessions.push(StoredSession {
            entries: request.entries.clone(),
            created: self.now,
            seen: self.now,
            limits,
            ended: false,
            successor: None,
        });
        let lookup = Lookup::Live(self.sessions.len() - 1);
        let cookie = set_cookie(limits, self.now);
        *request = RequestState::of(lookup, std::mem::take(&mut request.entries), cookie);
    }

    /// The live session in which a renewed one continues.
    fn successor_of(&self, session: Option<usize>) -> Option<usize> {
        let mut which = session?;
        for _ in 0..MAX_RENEWALS {
            which = self.sessions[which].successor?;
            let session = &self.sessions[which];
            if !session.ended {
                return (!session.is_expired(self.now)).then_some(which);
            }
        }
        None
    }

    fn entries_of(&self, lookup: Lookup) -> Entries {
        match lookup {
            Lookup::Live(which) => self.sessions[which].entries.clone(),
            Lookup::Absent | Lookup::Ended => Entries::new(),
        }
    }
}

/// A cookie is a session cookie, unless the session has its own expiry.
fn set_cookie(limits: Limits, now: Duration) -> Cookie {
    let left = (limits.deadline - now).as_secs();
    Cookie::Set(limits.chosen.then_some(left))
}
