//! What a request's cookies led to.

use cloakroom_core::arrival::Arrival;
use cloakroom_core::{Expiry, Limits, Record, Timestamp, Token};

/// What the request's cookie led to.
#[derive(Clone, Debug, Default)]
pub(crate) enum Standing {
    /// No session: no cookie, or one that opens nothing.
    #[default]
    Nothing,
    /// A session that ended a short while ago. Edits stay in memory, so that a stale request
    /// neither revives it nor replaces the cookie of its successor.
    Tombstoned,
    /// A live session.
    Live(Live),
}

/// A session as it is stored, and the token that opens it.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    pub(crate) token: Token,
    pub(crate) record: Record,
}

impl Live {
    /// The session's limits by the rule of now, which may be stricter than when it was stored.
    pub(crate) fn limits(&self, rule: Expiry) -> Limits {
        self.record.limits().under(rule, self.began())
    }

    /// When the session began here.
    pub(crate) fn began(&self) -> Timestamp {
        Arrival::began(self.token.id(), self.record.entries())
    }
}

/// What a request's cookies led to.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) standing: Standing,
    /// It was the cookie of another system, from which the session has come.
    pub(crate) by_old_cookie: bool,
}

impl Found {
    pub(crate) const fn by_ticket(standing: Standing) -> Self {
        Self {
            standing,
            by_old_cookie: false,
        }
    }

    pub(crate) const fn by_old_cookie(live: Live) -> Self {
        Self {
            standing: Standing::Live(live),
            by_old_cookie: true,
        }
    }
}
