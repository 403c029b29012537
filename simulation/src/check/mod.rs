//! The checker: what in a history violates a promise.
//!
//! It works as Elle does for lists: each request that edits appends an element of its own, so a read shows which edits it
//! has seen and in which order. What is not known counts in favour of the servers: a request without a response may have
//! happened or not, and a former cookie that somebody has presented may have ended its session.

mod ends;
mod index;
mod lineage;
mod lists;
mod sign_outs;
mod takes;
mod tokens;
mod updates;
mod users;

use std::fmt;

use self::lineage::Lineage;
use crate::history::{History, Request};

/// A violated promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// An acknowledged edit is missing from then on.
    Lost,
    /// An acknowledged edit is missing from a read, and not from a later one: the read was older than it may be.
    Stale,
    /// Two reads do not show the same order of edits.
    Reordered,
    /// An edit was applied twice.
    Duplicated,
    /// Two requests have taken the same element of a mailbox.
    TakenTwice,
    /// Of the two edits of a request, a read shows one.
    Torn,
    /// The edit of a request that was refused was stored.
    Refused,
    /// A session that has ended is used, or its data is.
    Resurrected,
    /// A session that nobody has ended is not found.
    SignedOut,
    /// Somebody sees the session or the data of another user.
    WrongUser,
    /// A token that was replaced is valid after its grace period.
    LateToken,
    /// A live session is missing from the sessions of its user.
    Unlisted,
    /// A user has more sessions than the limit allows.
    TooMany,
}

/// Where a history violates a promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anomaly {
    /// The promise.
    pub kind: Kind,
    /// The numbers of the requests that show it.
    pub requests: Vec<u32>,
}

impl Anomaly {
    fn new(kind: Kind, requests: &[&Request]) -> Self {
        let requests = requests.iter().map(|request| request.number).collect();
        Self { kind, requests }
    }
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}:", self.kind)?;
        for request in &self.requests {
            write!(f, " #{request}")?;
        }
        Ok(())
    }
}

/// Returns all violations in a history, at most one for each kind and request.
#[must_use]
pub fn check(history: &History) -> Vec<Anomaly> {
    let lineage = Lineage::of(history);
    let mut found = Vec::new();
    lists::check(history, &mut found);
    updates::check(history, &lineage, &mut found);
    takes::check(history, &lineage, &mut found);
    ends::check(history, &lineage, &mut found);
    sign_outs::check(history, &lineage, &mut found);
    users::check(history, &mut found);
    tokens::check(history, &mut found);
    index::check(history, &lineage, &mut found);
    found
}
