//! What a store keeps: a [`Record`] of a live session, a [`Tombstone`] of an ended one.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use crate::clock::Timestamp;
use crate::entries::Entries;
use crate::expiry::Limits;
use crate::id::{Revision, SessionId};
use crate::token::Digest;

/// A live session, as a store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    revision: Revision,
    seen: Timestamp,
    limits: Limits,
    digest: Digest,
    entries: Entries,
}

impl Record {
    /// Creates a record from its parts.
    #[must_use]
    pub const fn new(
        revision: Revision,
        seen: Timestamp,
        limits: Limits,
        digest: Digest,
        entries: Entries,
    ) -> Self {
        Self {
            revision,
            seen,
            limits,
            digest,
            entries,
        }
    }

    /// Returns the revision of the commit that wrote the record.
    #[must_use]
    pub const fn revision(&self) -> Revision {
        self.revision
    }

    /// Returns when the session was last used. Uses are recorded at intervals, see
    /// [`Limits::touch_due`].
    #[must_use]
    pub const fn last_seen(&self) -> Timestamp {
        self.seen
    }

    /// Returns the session's idle timeout and deadline.
    #[must_use]
    pub const fn limits(&self) -> Limits {
        self.limits
    }

    /// Returns the digest of the session's secret.
    #[must_use]
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Returns the record with the whole digest, if `presented` equals that of the record. A record of
    /// [format 2](crate::codec::RecordFormat::V2) has only a part of it, and can be written in format 1 only with all.
    #[must_use]
    pub fn with_whole_digest(mut self, presented: &Digest) -> Self {
        if self.digest.is_short() && self.digest == *presented {
            self.digest = *presented;
        }
        self
    }

    /// Returns the session's data.
    #[must_use]
    pub const fn entries(&self) -> &Entries {
        &self.entries
    }

    /// Returns the record with last-seen moved to `seen`, unless it is [later already](Self::seen_at).
    #[must_use]
    pub fn touched(mut self, seen: Timestamp) -> Self {
        self.seen = self.seen_at(seen);
        self
    }

    /// Returns last-seen after a use at `now`: `now`, unless it is later already, as it may be if the clocks
    /// of servers differ. If it is later by more than [`Limits::CLOCK_TOLERANCE`], it comes from a clock that
    /// was wrong, and the result is `now`.
    #[must_use]
    pub fn seen_at(&self, now: Timestamp) -> Timestamp {
        if self.seen.since(now) > Limits::CLOCK_TOLERANCE {
            return now;
        }
        self.seen.max(now)
    }
}

/// What replaces the record of an ended session for about a minute.
///
/// It distinguishes a stale cookie from an unknown one, and makes a delayed `create` of the same id fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tombstone {
    digest: Option<Digest>,
    at: Timestamp,
    reason: EndReason,
    successor: Option<SessionId>,
    /// Digests of the secrets that were valid, if there was more than one.
    secrets: Vec<Digest>,
}

impl Tombstone {
    /// The largest number of digests in a tombstone.
    pub const MAX_SECRETS: usize = 16;

    /// Creates a tombstone. `digest` is that of the session's secret, if it is known.
    #[must_use]
    pub const fn new(digest: Option<Digest>, at: Timestamp, reason: EndReason) -> Self {
        Self {
            digest,
            at,
            reason,
            successor: None,
            secrets: Vec::new(),
        }
    }

    /// Creates the tombstone of a session that was renewed: its data continues in the session `successor`.
    /// The reason is [`EndReason::Renewed`].
    #[must_use]
    pub const fn renewed(digest: Option<Digest>, at: Timestamp, successor: SessionId) -> Self {
        Self {
            digest,
            at,
            reason: EndReason::Renewed,
            successor: Some(successor),
            secrets: Vec::new(),
        }
    }

    /// Creates the tombstone of a renewed session that had several valid secrets, with the digests of the first
    /// [`MAX_SECRETS`](Self::MAX_SECRETS) of them.
    #[must_use]
    pub fn renewed_with_secrets(
        mut secrets: Vec<Digest>,
        at: Timestamp,
        successor: SessionId,
    ) -> Self {
        secrets.truncate(Self::MAX_SECRETS);
        Self {
            secrets,
            ..Self::renewed(None, at, successor)
        }
    }

    /// Adds the digests of the secrets that were valid, the first [`MAX_SECRETS`](Self::MAX_SECRETS) of them, to the tombstone of a
    /// session that had several. They do not decide who learns that the session has ended: anyone does who presents its id.
    #[must_use]
    pub fn with_secrets(mut self, mut secrets: Vec<Digest>) -> Self {
        secrets.truncate(Self::MAX_SECRETS);
        self.secrets = secrets;
        self
    }

    /// Returns the digest of the session's secret, if it was known, and the only one.
    #[must_use]
    pub const fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// Returns the digests of the secrets of a session that had several. Empty for all others, and if they are unknown.
    #[must_use]
    pub fn secrets(&self) -> &[Digest] {
        &self.secrets
    }

    /// Returns whether this is known to be the digest of a secret that was valid when the session ended. A
    /// client that presents another one may know no more than the id, which is public.
    #[must_use]
    pub fn is_secret(&self, digest: &Digest) -> bool {
        self.digest.as_ref() == Some(digest) || self.secrets.contains(digest)
    }

    /// Returns the tombstone as a client may see it that knows only the id: it says that the session has ended,
    /// and why, but not where its data continues.
    #[must_use]
    pub fn without_successor(self) -> Self {
        Self::new(self.digest, self.at, self.reason)
    }

    /// Returns when the session ended.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        self.at
    }

    /// Returns why the session ended.
    #[must_use]
    pub const fn reason(&self) -> EndReason {
        self.reason
    }

    /// Returns the session in which the data of a renewed session continues. `None` for every other reason,
    /// and for a tombstone of release 0.1.0, which did not store it.
    #[must_use]
    pub const fn successor(&self) -> Option<SessionId> {
        self.successor
    }
}

/// Declares [`EndReason`] from one list, so that no reason can be missing in one of its parts.
macro_rules! end_reasons {
    ($($(#[$doc:meta])* $reason:ident = $word:literal,)*) => {
        /// Why a session ended.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum EndReason {
            $($(#[$doc])* $reason,)*
        }

        impl EndReason {
            /// Every reason.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$reason),*];

            /// Returns the reason's name in lower case, as it is stored, published and logged.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$reason => $word,)*
                }
            }
        }
    };
}

end_reasons! {
    /// The app destroyed it.
    Destroyed = "destroyed",
    /// Its user signed out.
    SignedOut = "signed_out",
    /// Its user ended it from another session.
    RevokedByUser = "revoked_by_user",
    /// An administrator or a job ended it.
    RevokedByAdmin = "revoked_by_admin",
    /// Its user has changed the password in another session.
    PasswordChanged = "password_changed",
    /// Its user was impersonating someone whose sessions were all revoked.
    ImpersonationRevoked = "impersonation_revoked",
    /// Its user signed in elsewhere and had reached the maximum number of sessions.
    LimitExceeded = "limit_exceeded",
    /// It expired.
    Expired = "expired",
    /// A retired secret was presented: two parties hold the cookie.
    TokenReused = "token_reused",
    /// It was renewed: its data continues in a new session.
    Renewed = "renewed",
    /// It was created by a renewal that could not be completed.
    Abandoned = "abandoned",
    /// It was migrated from a legacy store, and ended there.
    EndedInLegacyStore = "ended_in_legacy_store",
    /// A reason that a newer version of this crate wrote.
    Other = "other",
}

impl EndReason {
    /// Reads a stored or published reason. One that this release does not know is
    /// [`Other`](Self::Other): that the session has ended is certain.
    pub(crate) fn from_stored(word: &str) -> Self {
        word.parse().unwrap_or(Self::Other)
    }
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for EndReason {
    type Err = ParseEndReasonError;

    /// Parses a reason's name, as [`as_str`](Self::as_str) returns it.
    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let mut all = Self::ALL.iter().copied();
        all.find(|reason| reason.as_str() == word)
            .ok_or(ParseEndReasonError)
    }
}

/// The text is not the name of an [`EndReason`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParseEndReasonError;

impl fmt::Display for ParseEndReasonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not the name of a reason why sessions end")
    }
}

impl Error for ParseEndReasonError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_seen_goes_back_only_if_it_was_far_ahead() {
        let at = Timestamp::from_millis;
        let seen = Limits::CLOCK_TOLERANCE.as_secs() * 1_000 + 1_000;
        let limits = Limits::begin(crate::Expiry::default(), at(seen));
        let record = Record::new(
            Revision::from_bits(1),
            at(seen),
            limits,
            Digest::from_bytes([7; 32]),
            Entries::new(),
        );
        assert_eq!(record.seen_at(at(seen + 5)), at(seen + 5));
        assert_eq!(record.seen_at(at(seen - 5)), at(seen));
        assert_eq!(record.seen_at(at(1_000)), at(seen));
        assert_eq!(record.seen_at(at(999)), at(999));
        assert_eq!(record.touched(at(999)).last_seen(), at(999));
    }

    #[test]
    fn every_reason_has_a_name_of_its_own_and_round_trips() {
        for &reason in EndReason::ALL {
            assert_eq!(reason.to_string().parse(), Ok(reason));
            assert_eq!(EndReason::from_stored(reason.as_str()), reason);
        }
    }

    #[test]
    fn an_unknown_name_is_an_error_and_a_stored_one_is_other() {
        for word in ["", "Destroyed", "destroye", "destroyed ", "eaten"] {
            assert_eq!(word.parse::<EndReason>(), Err(ParseEndReasonError));
            assert_eq!(EndReason::from_stored(word), EndReason::Other);
        }
    }
}
