//! A history: what clients have asked of the servers, and what they have learned.

use std::fmt;

/// A session, by the order in which sessions were first seen.
pub type SessionNumber = u32;

/// A user of the app.
pub type User = u32;

/// A moment: the order in which requests were sent and responses were ready, and the time in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// The order. No two moments of a history have the same.
    pub order: u64,
    /// The time since the start.
    pub millis: u64,
}

/// The token in a cookie: its session, and which of the history's secrets it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenNumber {
    /// The session whose id it has.
    pub session: SessionNumber,
    /// The secret, by the order in which tokens were first seen.
    pub secret: u32,
}

/// What a request does with its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Reads the list and the counter.
    Read,
    /// Appends the number of the request to the list, and increments the counter.
    Append,
    /// The same, saved in the middle of the handler.
    AppendAndSave,
    /// Takes what is in the mailbox, to which every append adds as well: each element is for one request only.
    Take,
    /// Gives the session a new id.
    Renew,
    /// The same, and appends.
    RenewAndAppend,
    /// Signs a user in.
    SignIn(User),
    /// The same, and appends before that.
    AppendAndSignIn(User),
    /// Signs out.
    SignOut,
    /// Ends the other sessions of the user.
    RevokeOthers,
    /// Ends all sessions of a user, as an administrator: without a session.
    RevokeAll(User),
    /// Ends all sessions of all users, as an administrator.
    RevokeEveryone,
    /// Lists the sessions of a user, without a session.
    List(User),
}

impl Action {
    /// Whether it appends the number of its request.
    #[must_use]
    pub const fn appends(self) -> bool {
        matches!(
            self,
            Self::Append | Self::AppendAndSave | Self::RenewAndAppend | Self::AppendAndSignIn(_)
        )
    }

    /// The user that it signs in.
    #[must_use]
    pub const fn signs_in(self) -> Option<User> {
        match self {
            Self::SignIn(user) | Self::AppendAndSignIn(user) => Some(user),
            _ => None,
        }
    }

    /// Whether it gives the session a new id, without a sign-in.
    #[must_use]
    pub const fn renews(self) -> bool {
        matches!(self, Self::Renew | Self::RenewAndAppend)
    }

    /// Whether it may end the session of its request, or replace it.
    #[must_use]
    pub const fn replaces(self) -> bool {
        self.renews() || self.signs_in().is_some() || matches!(self, Self::SignOut)
    }

    /// Whether it may end sessions of other requests.
    #[must_use]
    pub const fn revokes(self) -> bool {
        matches!(
            self,
            Self::RevokeOthers | Self::RevokeAll(_) | Self::RevokeEveryone
        )
    }
}

/// The session that a request has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The session.
    pub session: SessionNumber,
    /// Who is signed in.
    pub user: Option<User>,
    /// The list.
    pub list: Vec<u32>,
    /// The mailbox: the elements of the list that nobody has taken.
    pub mailbox: Vec<u32>,
    /// The counter, which every append increments.
    pub count: u64,
}

/// What a client knows of the effect of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It has succeeded.
    Done,
    /// It has failed, and nothing was stored; or it says that its edits were discarded.
    Refused,
    /// It has failed, and may have been stored. Or it was interrupted.
    Unknown,
}

/// One request, and its response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its number, which is also the element that it appends.
    pub number: u32,
    /// The browser that sends it.
    pub client: usize,
    /// The server that serves it.
    pub server: usize,
    /// What it does.
    pub action: Action,
    /// The token in its cookie.
    pub token: Option<TokenNumber>,
    /// Whether that is the browser's current cookie, and not a former one.
    pub is_current: bool,
    /// When it was sent.
    pub sent: Moment,
    /// When its response was ready, or the request was interrupted.
    pub done: Moment,
    /// When the response has reached the browser, with its cookie.
    pub received: Option<Moment>,
    /// Its effect.
    pub outcome: Outcome,
    /// What it has found, if it has found a session.
    pub found: Option<Found>,
    /// The session that the request has afterwards; where it appends, the one that has the element.
    pub after: Option<SessionNumber>,
    /// The token that the response sets.
    pub set: Option<TokenNumber>,
    /// What it has taken from the mailbox.
    pub taken: Vec<u32>,
    /// The sessions that [`Action::List`] has found.
    pub listed: Vec<SessionNumber>,
}

/// How long after a request of unknown outcome its commands may be carried out, in milliseconds.
pub(crate) const LATE: u64 = 30_000;

impl Request {
    /// Whether nothing of this request can happen after a moment.
    pub(crate) const fn is_finished(&self, moment: Moment) -> bool {
        match self.outcome {
            Outcome::Unknown => self.done.millis + LATE < moment.millis,
            Outcome::Done | Outcome::Refused => self.done.order < moment.order,
        }
    }
}

/// What the servers promise in this history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// For each server, how old a session may be that a request finds, in milliseconds.
    pub max_staleness: Vec<u64>,
    /// If tokens rotate: how old a token has to be, in milliseconds, and how long a replaced one is valid.
    pub rotation: Option<(u64, u64)>,
    /// How many sessions of a user there may be. Others are ended.
    pub session_limit: Option<usize>,
    /// How much the clocks of two servers differ at most, in milliseconds.
    pub skew: u64,
    /// When a replica has taken over, and how long a write took to it, in milliseconds.
    pub failover: Option<(u64, u64)>,
    /// Whether commands may fail.
    pub has_failures: bool,
}

/// What has happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// What was promised.
    pub terms: Terms,
    /// All requests, in the order in which they were sent.
    pub requests: Vec<Request>,
}

impl Terms {
    /// How old a session may be that a request finds on this server, in milliseconds.
    pub(crate) fn max_staleness_of(&self, server: usize) -> u64 {
        self.max_staleness.get(server).copied().unwrap_or(0)
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            number,
            client,
            server,
            action,
            ..
        } = self;
        let (sent, done) = (self.sent.millis, self.done.millis);
        write!(
            f,
            "#{number} client {client}, server {server}, {sent}..{done} ms: {action:?}"
        )?;
        if let Some(token) = self.token {
            let former = if self.is_current { "" } else { "former " };
            write!(f, " with {former}S{}.{}", token.session, token.secret)?;
        }
        write!(f, ": {:?}", self.outcome)?;
        if let Some(found) = &self.found {
            write!(f, ", found S{} {:?}", found.session, found.list)?;
            if let Some(user) = found.user {
                write!(f, " of user {user}")?;
            }
        }
        if let Some(after) = self.after {
            write!(f, ", then S{after}")?;
        }
        if let Some(set) = self.set {
            write!(f, ", sets S{}.{}", set.session, set.secret)?;
        }
        if !self.taken.is_empty() {
            write!(f, ", takes {:?}", self.taken)?;
        }
        if matches!(self.action, Action::List(_)) {
            write!(f, ", listed {:?}", self.listed)?;
        }
        Ok(())
    }
}
