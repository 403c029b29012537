//! What a store keeps: of a live session a [`Record`], of an ended one a [`Tombstone`].

use std::fmt;

use crate::clock::Timestamp;
use crate::entries::Entries;
use crate::expiry::Limits;
use crate::id::Revision;
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
    /// A record of these parts.
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

    /// The stamp of the commit that wrote the record.
    #[must_use]
    pub const fn revision(&self) -> Revision {
        self.revision
    }

    /// When the session was last used, as far as that was written down.
    #[must_use]
    pub const fn seen(&self) -> Timestamp {
        self.seen
    }

    /// The limits of the session's life.
    #[must_use]
    pub const fn limits(&self) -> Limits {
        self.limits
    }

    /// The digest of the session's secret.
    #[must_use]
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The session's data.
    #[must_use]
    pub const fn entries(&self) -> &Entries {
        &self.entries
    }

    /// The record as it is after a touch at `seen`.
    #[must_use]
    pub fn touched(mut self, seen: Timestamp) -> Self {
        self.seen = self.seen.max(seen);
        self
    }
}

/// What is left in the place of an ended session for about a minute. It tells a stale cookie from
/// an unknown one, and lets a delayed `create` of the same id fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tombstone {
    digest: Option<Digest>,
    at: Timestamp,
    reason: EndReason,
}

impl Tombstone {
    /// A tombstone; `digest` is that of the session's secret, where it is known.
    #[must_use]
    pub const fn new(digest: Option<Digest>, at: Timestamp, reason: EndReason) -> Self {
        Self { digest, at, reason }
    }

    /// The digest of the session's secret, where it was known.
    #[must_use]
    pub const fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// When the session ended.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        self.at
    }

    /// Why the session ended.
    #[must_use]
    pub const fn reason(&self) -> EndReason {
        self.reason
    }
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EndReason {
    /// The app destroyed it.
    Destroyed,
    /// Its user signed out of it.
    SignedOut,
    /// Its user ended it from another session.
    ByUser,
    /// An administrator, or a job, ended it.
    ByAdmin,
    /// Its user signed in elsewhere, and had as many sessions as allowed.
    OverLimit,
    /// Its time was over.
    Expired,
    /// A retired secret was presented: two parties hold the cookie.
    Stolen,
    /// It was renewed: another session carries on.
    Renewed,
    /// A renewal could not be completed, and gave up its new session.
    Abandoned,
    /// It had moved in from another system, and ended there.
    AtOrigin,
    /// A reason that a newer version of this crate wrote.
    Other,
}

impl EndReason {
    const ALL: [Self; 10] = [
        Self::Destroyed,
        Self::SignedOut,
        Self::ByUser,
        Self::ByAdmin,
        Self::OverLimit,
        Self::Expired,
        Self::Stolen,
        Self::Renewed,
        Self::Abandoned,
        Self::AtOrigin,
    ];

    /// The word for it, in lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Destroyed => "destroyed",
            Self::SignedOut => "signed_out",
            Self::ByUser => "by_user",
            Self::ByAdmin => "by_admin",
            Self::OverLimit => "over_limit",
            Self::Expired => "expired",
            Self::Stolen => "stolen",
            Self::Renewed => "renewed",
            Self::Abandoned => "abandoned",
            Self::AtOrigin => "at_origin",
            Self::Other => "other",
        }
    }

    pub(crate) fn parse(word: &str) -> Self {
        Self::ALL
            .into_iter()
            .find(|reason| reason.as_str() == word)
            .unwrap_or(Self::Other)
    }
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
