//! The mark of a renewed session: which session it continues.
//!
//! While a renewal is in progress, the old session and the new one are both in their user's index, and nothing
//! else tells that they belong together: the tombstone, which names the successor, is written at the end.

use crate::entries::Entries;
use crate::id::SessionId;

/// The session that a renewed session continues. It is stored among the entries of the new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RenewalMark(SessionId);

impl RenewalMark {
    /// The reserved key under which it is stored.
    pub const KEY: &'static str = "$renewed_from";

    /// Creates the mark of a session that continues this one.
    #[must_use]
    pub const fn new(from: SessionId) -> Self {
        Self(from)
    }

    /// Returns the session that is continued.
    #[must_use]
    pub const fn from(&self) -> SessionId {
        self.0
    }

    /// Reads the mark from a session's entries. `None` if there is none, or if it cannot be read.
    #[must_use]
    pub fn of(entries: &Entries) -> Option<Self> {
        entries.get(Self::KEY).ok().flatten().map(Self)
    }

    /// Stores the mark in `entries`.
    #[allow(clippy::missing_panics_doc, reason = "text is always JSON")]
    pub fn put_into(&self, entries: &mut Entries) {
        entries
            .set(Self::KEY, &self.0)
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
        RenewalMark::new(from).put_into(&mut entries);
        assert_eq!(
            RenewalMark::of(&entries).map(|mark| mark.from()),
            Some(from)
        );
        assert!(crate::entries::is_reserved(RenewalMark::KEY));
    }
}
