//! A live session, and how a request has found it.

use cloakroom_core::migration::MigrationMark;
use cloakroom_core::{EndReason, Expiry, Limits, Record, SessionId, Timestamp, Token};

use crate::plan::Lookup;

/// A live session: its stored record, and the token that authenticates the request.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    pub(crate) token: Token,
    pub(crate) record: Record,
}

impl Live {
    pub(crate) fn id(&self) -> SessionId {
        self.token.id()
    }

    /// The limits of the session by the current rule, which may be stricter than the one by which it was
    /// stored.
    pub(crate) fn limits(&self, rule: Expiry) -> Limits {
        limits_of(self.id(), &self.record, rule)
    }

    /// When the session was created or migrated.
    pub(crate) fn began(&self) -> Timestamp {
        MigrationMark::created_at(self.id(), self.record.entries())
    }
}

/// The limits of a stored session by a rule.
pub(crate) fn limits_of(id: SessionId, record: &Record, rule: Expiry) -> Limits {
    let began = MigrationMark::created_at(id, record.entries());
    record.limits().clamped_to(rule, began)
}

/// What the credentials of a request have led to.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) lookup: Lookup<Live>,
    /// The session was found by another cookie than the one that responses set: by its legacy cookie, or by
    /// a former one. So that one has to be set.
    pub(crate) needs_cookie: bool,
    /// Other live sessions that the request has presented. If the lookup has not found a session, it is
    /// unknown which of these is the user's, and none is used. They end when the user signs in or out.
    pub(crate) others: Vec<Live>,
    /// Why the session of a token has ended, if the request has shown that it was the client's.
    pub(crate) reason: Option<EndReason>,
}

impl Found {
    pub(crate) const fn by_token(lookup: Lookup<Live>) -> Self {
        Self {
            lookup,
            needs_cookie: false,
            others: Vec::new(),
            reason: None,
        }
    }

    /// Sets why the session has ended.
    pub(crate) fn ended_for(mut self, reason: Option<EndReason>) -> Self {
        self.reason = reason;
        self
    }

    pub(crate) const fn by_other_cookie(live: Live) -> Self {
        Self {
            lookup: Lookup::Live(live),
            needs_cookie: true,
            others: Vec::new(),
            reason: None,
        }
    }

    /// Several live sessions, none of which is used.
    pub(crate) const fn several(others: Vec<Live>) -> Self {
        Self {
            lookup: Lookup::Absent,
            needs_cookie: false,
            others,
            reason: None,
        }
    }
}
