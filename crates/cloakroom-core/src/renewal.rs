//! The mark of a renewed session: which session it continues, and how it was renewed.
//!
//! While a renewal is in progress, the old session and the new one are both in their user's index, and nothing
//! else tells that they belong together: the tombstone, which names the successor, is written at the end.

use serde::{Deserialize, Serialize};

use crate::entries::Entries;
use crate::id::SessionId;

/// The session that a renewed session continues, and whether its user has signed in with the renewal. It is
/// stored among the entries of the new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RenewalMark {
    from: SessionId,
    is_sign_in: bool,
}

/// The stored form of a mark.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Stored {
    Renewal(SessionId),
    SignIn { signed_in_from: SessionId },
}

impl RenewalMark {
    /// The reserved key under which it is stored.
    pub const KEY: &'static str = "$renewed_from";

    /// Creates the mark of a session that continues this one.
    #[must_use]
    pub const fn new(from: SessionId) -> Self {
        Self {
            from,
            is_sign_in: false,
        }
    }

    /// Creates the mark of a session that a sign-in has created, and that continues this one.
    #[must_use]
    pub const fn sign_in(from: SessionId) -> Self {
        Self {
            from,
            is_sign_in: true,
        }
    }

    /// Returns the session that is continued.
    #[must_use]
    pub const fn from(&self) -> SessionId {
        self.from
    }

    /// Returns whether a sign-in has created the session. If it was renewed again later, as after a second
    /// factor, it is another session, with a mark of its own.
    #[must_use]
    pub const fn is_sign_in(&self) -> bool {
        self.is_sign_in
    }

    /// Reads the mark from a session's entries. `None` if there is none, or if it cannot be read.
    #[must_use]
    pub fn of(entries: &Entries) -> Option<Self> {
        let stored: Option<Stored> = entries.get(Self::KEY).ok().flatten();
        stored.map(|stored| match stored {
            Stored::Renewal(from) => Self::new(from),
            Stored::SignIn { signed_in_from } => Self::sign_in(signed_in_from),
        })
    }

    /// Stores the mark in `entries`.
    #[allow(clippy::missing_panics_doc, reason = "text is always JSON")]
    pub fn put_into(&self, entries: &mut Entries) {
        let stored = if self.is_sign_in {
            Stored::SignIn {
                signed_in_from: self.from,
            }
        } else {
            Stored::Renewal(self.from)
        };
        entries
            .set(Self::KEY, &stored)
            .expect("text is always JSON");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_round_trips_and_its_key_is_reserved() {
        let from = "0191e0c4-8f2a-7c3e-9b1d-2f6a7e5c4d3b".parse().unwrap();
        let mut entries = Entries::new();
        assert_eq!(RenewalMark::of(&entries), None);
        for mark in [RenewalMark::new(from), RenewalMark::sign_in(from)] {
            mark.put_into(&mut entries);
            assert_eq!(RenewalMark::of(&entries), Some(mark));
            assert_eq!(mark.from(), from);
            assert_eq!(mark.is_sign_in(), mark == RenewalMark::sign_in(from));
        }
        assert!(crate::entries::is_reserved(RenewalMark::KEY));
    }

    #[test]
    fn a_mark_that_is_only_an_id_is_that_of_a_renewal() {
        let mut entries = Entries::new();
        let text = "0191e0c4-8f2a-7c3e-9b1d-2f6a7e5c4d3b";
        entries.set(RenewalMark::KEY, &text).unwrap();
        let mark = RenewalMark::of(&entries).unwrap();
        assert_eq!(
            (mark.from().to_string(), mark.is_sign_in()),
            (text.to_owned(), false)
        );
    }
}
