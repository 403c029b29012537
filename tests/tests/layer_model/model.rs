//! What sessions should hold and do, in plain Rust: no store, no tokens, no bytes.

use std::collections::BTreeMap;
use std::time::Duration;

use cloakroom::Expiry;

use super::history::{BROWSERS, CHOICES, Deed, Event, RULE};
use super::told::{Cookie, Told};

/// A session that was not used for its idle timeout lives so much longer: clocks differ.
const TOLERANCE: Duration = Duration::from_secs(5);

type Entries = BTreeMap<&'static str, u32>;

#[derive(Clone, Copy, Debug)]
struct Limits {
    idle: Duration,
    deadline: Duration,
    /// For this session alone.
    chosen: bool,
}

#[derive(Clone, Debug)]
struct Kept {
    entries: Entries,
    created: Duration,
    seen: Duration,
    limits: Limits,
    /// By a log-out or a renewal.
    ended: bool,
}

/// All sessions that ever were, and which of them each browser's cookie names.
#[derive(Debug, Default)]
pub(crate) struct Model {
    now: Duration,
    sessions: Vec<Kept>,
    cookies: [Option<usize>; BROWSERS],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Nothing,
    Over,
    Live(usize),
}

/// One request's view.
#[derive(Debug)]
struct Visit {
    standing: Standing,
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

    /// Those that hold, of a session begun at `created`.
    fn under_rule(self, created: Duration) -> Self {
        if self.chosen {
            return self;
        }
        let rule = Self::begin(RULE, created, false);
        let deadline = self.deadline.min(rule.deadline);
        Self { deadline, ..rule }
    }
}

impl Kept {
    fn limits(&self) -> Limits {
        self.limits.under_rule(self.created)
    }

    fn is_over(&self, now: Duration) -> bool {
        let limits = self.limits();
        now >= limits.deadline || now - self.seen >= limits.idle + TOLERANCE
    }
}

impl Visit {
    fn of(standing: Standing, entries: Entries, cookie: Cookie) -> Self {
        Self {
            standing,
            entries,
            edited: false,
            chosen: None,
            renewing: false,
            cookie,
        }
    }
}

impl Model {
    /// What should come of an event; `None` if nobody answers.
    pub(crate) fn live_through(&mut self, event: &Event) -> Option<Told> {
        match event {
            Event::Pause(time) => self.now += *time,
            Event::Copy(to, from) => self.cookies[*to] = self.cookies[*from],
            Event::Request { browser, deeds, .. } => return Some(self.answer(*browser, deeds)),
        }
        None
    }

    fn answer(&mut self, browser: usize, deeds: &[Deed]) -> Told {
        let standing = match self.cookies[browser] {
            None => Standing::Nothing,
            Some(which) if self.sessions[which].ended => Standing::Over,
            Some(which) if self.sessions[which].is_over(self.now) => Standing::Nothing,
            Some(which) => Standing::Live(which),
        };
        let mut visit = Visit::of(standing, self.stored(standing), Cookie::Left);
        let mut body = String::new();
        for deed in deeds {
            self.carry_out(&mut visit, *deed);
            body.push_str(&format!("{:?}\n", visit.entries));
        }
        self.commit(&mut visit);
        match (visit.cookie, visit.standing) {
            (Cookie::Set(_), Standing::Live(which)) => self.cookies[browser] = Some(which),
            (Cookie::Removed, _) => self.cookies[browser] = None,
            _ => {}
        }
        Told {
            body,
            cookie: visit.cookie,
            ended_meanwhile: visit.standing == Standing::Over && visit.edited,
        }
    }

    fn carry_out(&mut self, visit: &mut Visit, deed: Deed) {
        visit.edited |= matches!(
            deed,
            Deed::Insert(..) | Deed::Update(_) | Deed::Remove(_) | Deed::Clear
        );
        match deed {
            Deed::Read => {}
            Deed::Insert(key, value) => drop(visit.entries.insert(key, value)),
            Deed::Update(key) => *visit.entries.entry(key).or_default() += 1,
            Deed::Remove(key) => drop(visit.entries.remove(key)),
            Deed::Clear => visit.entries.clear(),
            Deed::Renew => visit.renewing = true,
            Deed::SetExpiry(choice) => {
                visit.chosen = Some(Limits::begin(CHOICES[choice], self.now, true));
            }
            Deed::ResetExpiry => visit.chosen = Some(Limits::begin(RULE, self.now, false)),
            Deed::Save => self.commit(visit),
            Deed::Destroy => {
                if let Standing::Live(which) = visit.standing {
                    self.sessions[which].ended = true;
                    *visit = Visit::of(Standing::Nothing, Entries::new(), Cookie::Removed);
                } else {
                    *visit = Visit::of(visit.standing, Entries::new(), visit.cookie);
                }
            }
        }
    }

    /// Stores what is to be stored.
    fn commit(&mut self, visit: &mut Visit) {
        let (now, chosen) = (self.now, visit.chosen);
        match visit.standing {
            Standing::Live(old) if visit.renewing => {
                self.sessions[old].ended = true;
                let limits = chosen.unwrap_or_else(|| self.sessions[old].limits());
                self.begin(visit, limits);
            }
            Standing::Live(which) => {
                let changed = visit.entries != self.sessions[which].entries;
                let kept = &mut self.sessions[which];
                if changed || chosen.is_some() {
                    kept.entries.clone_from(&visit.entries);
                    kept.seen = now;
                    kept.limits = chosen.unwrap_or(kept.limits).under_rule(kept.created);
                    if chosen.is_some() {
                        visit.cookie = handed_out(kept.limits, now);
                    }
                    visit.edited = false;
                    visit.chosen = None;
                } else if now - kept.seen >= kept.limits().idle / 10 {
                    kept.seen = now;
                }
            }
            Standing::Over if !visit.renewing => {}
            Standing::Nothing | Standing::Over if visit.entries.is_empty() => {}
            Standing::Nothing | Standing::Over => {
                let limits = chosen.unwrap_or_else(|| Limits::begin(RULE, now, false));
                self.begin(visit, limits);
            }
        }
    }

    fn begin(&mut self, visit: &mut Visit, limits: Limits) {
        self.sessions.push(Kept {
            entries: visit.entries.clone(),
            created: self.now,
            seen: self.now,
            limits,
            ended: false,
        });
        let standing = Standing::Live(self.sessions.len() - 1);
        let cookie = handed_out(limits, self.now);
        *visit = Visit::of(standing, std::mem::take(&mut visit.entries), cookie);
    }

    fn stored(&self, standing: Standing) -> Entries {
        match standing {
            Standing::Live(which) => self.sessions[which].entries.clone(),
            Standing::Nothing | Standing::Over => Entries::new(),
        }
    }
}

/// A cookie lasts as long as its browser runs, unless its session's life was chosen.
fn handed_out(limits: Limits, now: Duration) -> Cookie {
    let left = (limits.deadline - now).as_secs();
    Cookie::Set(limits.chosen.then_some(left))
}
