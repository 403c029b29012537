//! Token rotation: the secret of a session changes at intervals, so that the reuse of a stolen cookie is
//! detected.
//!
//! ```text
//! presented        record                        result
//! s0 (current)     the interval is over          a nonce is stored: s1 = HMAC(s0, nonce)
//! s0 (current)     s1 is offered                 valid; the response sets s1
//! s1 (next)        s1 is offered                 valid; s1 becomes current, and s0 previous
//! s0 (previous)    within the grace period       valid; the response sets s1
//! s0 (retired)     after the grace period        reuse: two parties hold the cookie
//! anything else                                  not a token of this session
//! ```
//!
//! Everybody who holds `s0` derives the same `s1`, so concurrent requests agree on it. `s0` is retired only
//! after `s1` was presented, so a lost response does no harm. A secret that never belonged to the session
//! does not count as reuse, because session ids are public, and anybody with the id could send one.
//!
//! A session can have further current secrets, its *alternatives*: those of sign-ins of its user that were
//! handled at the same time, each with a cookie of its own. An alternative is judged like the current secret,
//! and has a next one of its own. Once a next secret was presented, all others are superseded: they stay valid
//! for the grace period, and are retired after it.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::entries::Entries;
use crate::record::Record;
use crate::rng::{Rng, RngError};
use crate::token::{Digest, Realm, Token};

/// The number of retired secrets whose reuse is detected.
const MAX_RETIRED: usize = 4;

/// The number of secrets that can be valid beside the current one.
const MAX_ALTERNATIVES: usize = 4;

/// How often the secret of a session is replaced.
///
/// ```
/// use std::time::Duration;
/// use cloakroom_core::rotation::Rotation;
///
/// let rotation = Rotation::every(Duration::from_secs(15 * 60));
/// assert_eq!(rotation.grace_period(), Duration::from_secs(60));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    every: Duration,
    grace: Duration,
}

impl Rotation {
    /// Replaces a secret when a request presents it and it is older than `every`. The grace period is one
    /// minute; change it with [`grace`](Self::grace).
    #[must_use]
    pub const fn every(every: Duration) -> Self {
        Self {
            every,
            grace: Duration::from_secs(60),
        }
    }

    /// Sets how long the previous secret stays valid after the new one was presented first. The default is
    /// one minute. `SessionLayer` refuses less than [`Limits::CLOCK_TOLERANCE`], five seconds: with servers
    /// whose clocks differ, a request that is not late would count as reuse.
    ///
    /// [`Limits::CLOCK_TOLERANCE`]: crate::Limits::CLOCK_TOLERANCE
    #[must_use]
    pub const fn grace(self, grace: Duration) -> Self {
        Self { grace, ..self }
    }

    /// Returns the age at which a secret is replaced.
    #[must_use]
    pub const fn interval(&self) -> Duration {
        self.every
    }

    /// Returns how long the previous secret stays valid.
    #[must_use]
    pub const fn grace_period(&self) -> Duration {
        self.grace
    }
}

/// The role of a presented secret in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretStatus {
    /// The current secret, or an alternative to it.
    Current,
    /// The offered next secret.
    Next,
    /// A secret that was replaced, within its grace period.
    Previous,
    /// A retired secret: another party holds its successor.
    Retired,
    /// Not a secret of this session.
    Wrong,
}

/// The secrets of a session other than the current one. They are stored among its entries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Secrets {
    /// When the current secret became current; `None` for the first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Next>,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Before>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    retired: Vec<Digest>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    alternatives: Vec<Alternative>,
}

/// A secret that is as good as the current one, or was until another one took its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Alternative {
    digest: Digest,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<Next>,
    /// When its grace period ends, if it is superseded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<u64>,
}

impl Alternative {
    const fn new(digest: Digest) -> Self {
        Self {
            digest,
            next: None,
            until: None,
        }
    }

    fn is_retired(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| now.as_millis() >= until)
    }

    fn has_next(&self, digest: &Digest) -> bool {
        self.next
            .as_ref()
            .is_some_and(|next| next.digest == *digest)
    }

    /// Returns the role of the secret with this digest, if it is this one or its next one.
    fn status(&self, digest: &Digest, now: Timestamp) -> Option<SecretStatus> {
        let is_next = self.has_next(digest);
        if self.digest != *digest && !is_next {
            return None;
        }
        Some(match (self.is_retired(now), is_next, self.until) {
            (true, ..) => SecretStatus::Retired,
            (false, true, _) => SecretStatus::Next,
            (false, false, Some(_)) => SecretStatus::Previous,
            (false, false, None) => SecretStatus::Current,
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Next {
    nonce: Nonce,
    digest: Digest,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Before {
    nonce: Nonce,
    digest: Digest,
    until: u64,
}

/// The nonce from which, together with a secret, the next secret is derived. Useless without the secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Nonce(String);

impl Nonce {
    fn draw(rng: &(impl Rng + ?Sized)) -> Result<Self, RngError> {
        let mut bytes = [0; 16];
        rng.fill(&mut bytes)?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes)))
    }

    fn bytes(&self) -> Option<[u8; 16]> {
        URL_SAFE_NO_PAD.decode(&self.0).ok()?.try_into().ok()
    }
}

impl Secrets {
    /// The reserved key under which they are stored among the entries.
    pub const KEY: &'static str = "$rotation";

    /// Reads the secrets from a session's entries. Empty if there are none, or if they cannot be read.
    #[must_use]
    pub fn of(entries: &Entries) -> Self {
        let secrets = entries.get(Self::KEY).ok().flatten();
        secrets.unwrap_or_default()
    }

    /// Returns the secrets with a further one, as good as the current one; `None` if there are too many.
    #[must_use]
    pub fn with_alternative(record: &Record, digest: Digest, now: Timestamp) -> Option<Self> {
        let mut secrets = Self::of(record.entries());
        secrets.retire(now);
        if secrets.alternatives.len() >= MAX_ALTERNATIVES {
            return None;
        }
        secrets.alternatives.push(Alternative::new(digest));
        Some(secrets)
    }

    /// Returns whether a secret was added to a session since these entries of it were read.
    #[must_use]
    pub fn have_gained(before: &Entries, after: &Entries) -> bool {
        if !Self::are_rotating(after) {
            return false;
        }
        let (before, after) = (Self::of(before), Self::of(after));
        let known = |one: &Alternative| {
            let mut alternatives = before.alternatives.iter();
            one.until.is_some() || alternatives.any(|other| other.digest == one.digest)
        };
        !after.alternatives.iter().all(known)
    }

    /// Moves the alternatives whose grace period is over to the retired secrets.
    fn retire(&mut self, now: Timestamp) {
        for alternative in self.alternatives.extract_if(.., |one| one.is_retired(now)) {
            self.retired.push(alternative.digest);
            self.retired
                .extend(alternative.next.map(|next| next.digest));
        }
        let surplus = self.retired.len().saturating_sub(MAX_RETIRED);
        self.retired.drain(..surplus);
    }

    /// Returns whether a session with these entries has, or had, a secret other than the current one.
    #[must_use]
    pub fn are_rotating(entries: &Entries) -> bool {
        entries.contains(Self::KEY)
    }

    /// Returns the role of the secret with this digest in a session.
    #[must_use]
    pub fn status(record: &Record, digest: &Digest, now: Timestamp) -> SecretStatus {
        if record.digest() == digest {
            return SecretStatus::Current;
        }
        if !Self::are_rotating(record.entries()) {
            return SecretStatus::Wrong;
        }
        let secrets = Self::of(record.entries());
        let is_next = |next: &Next| next.digest == *digest;
        if secrets.next.as_ref().is_some_and(is_next) {
            return SecretStatus::Next;
        }
        let mut alternatives = secrets.alternatives.iter();
        if let Some(status) = alternatives.find_map(|one| one.status(digest, now)) {
            return status;
        }
        match &secrets.before {
            Some(before) if before.digest == *digest => {
                if now.as_millis() < before.until {
                    SecretStatus::Previous
                } else {
                    SecretStatus::Retired
                }
            }
            _ if secrets.retired.contains(digest) => SecretStatus::Retired,
            _ => SecretStatus::Wrong,
        }
    }

    /// Returns the token that the response should set for a request that presented `token`, if any.
    #[must_use]
    pub fn successor(record: &Record, token: &Token, realm: &Realm) -> Option<Token> {
        if !Self::are_rotating(record.entries()) {
            return None;
        }
        let secrets = Self::of(record.entries());
        let digest = realm.digest(token);
        let nonce = match (secrets.next_of(record, &digest), &secrets.before) {
            (Some(next), _) => &next.nonce,
            (None, Some(before)) if before.digest == digest => &before.nonce,
            _ => return None,
        };
        Some(token.rotated(&nonce.bytes()?))
    }

    /// Returns the next secret that was offered to the holder of the current secret or alternative with this
    /// digest.
    fn next_of(&self, record: &Record, digest: &Digest) -> Option<&Next> {
        if record.digest() == digest {
            return self.next.as_ref();
        }
        let mut alternatives = self.alternatives.iter();
        alternatives
            .find(|one| one.digest == *digest)?
            .next
            .as_ref()
    }

    /// Returns whether the session's secrets change when `token` is presented now.
    #[must_use]
    pub fn are_due(
        record: &Record,
        token: &Token,
        realm: &Realm,
        now: Timestamp,
        rotation: Rotation,
    ) -> bool {
        let (digest, secrets) = (realm.digest(token), Self::of(record.entries()));
        match Self::status(record, &digest, now) {
            SecretStatus::Next => true,
            SecretStatus::Current => {
                let since = secrets
                    .since
                    .map_or(token.id().created_at(), Timestamp::from_millis);
                secrets.next_of(record, &digest).is_none() && now.since(since) >= rotation.every
            }
            // A superseded alternative derives no token from the nonce of another secret: it needs one of
            // its own, so that its holder does not lose the session with the grace period.
            SecretStatus::Previous => {
                let mut alternatives = secrets.alternatives.iter();
                alternatives.any(|one| one.digest == digest && one.next.is_none())
            }
            SecretStatus::Retired | SecretStatus::Wrong => false,
        }
    }

    /// Returns the session's digest and secrets after `token` was presented; `None` if they do not change.
    ///
    /// # Errors
    ///
    /// If the random number generator fails.
    #[allow(clippy::missing_panics_doc, reason = "a new nonce is valid base64url")]
    pub fn advanced(
        record: &Record,
        token: &Token,
        realm: &Realm,
        now: Timestamp,
        rotation: Rotation,
        rng: &(impl Rng + ?Sized),
    ) -> Result<Option<(Digest, Self)>, RngError> {
        if !Self::are_due(record, token, realm, now, rotation) {
            return Ok(None);
        }
        let mut secrets = Self::of(record.entries());
        let digest = realm.digest(token);
        if Self::status(record, &digest, now) == SecretStatus::Next {
            let current = secrets.promote(*record.digest(), &digest, now, rotation);
            return Ok(Some((current, secrets)));
        }
        let nonce = Nonce::draw(rng)?;
        let token = token.rotated(&nonce.bytes().expect("a new nonce is valid base64url"));
        let next = Next {
            nonce,
            digest: realm.digest(&token),
        };
        let mut alternatives = secrets.alternatives.iter_mut();
        match alternatives.find(|one| one.digest == digest) {
            Some(alternative) => alternative.next = Some(next),
            None => secrets.next = Some(next),
        }
        Ok(Some((*record.digest(), secrets)))
    }

    /// Makes the next secret with this digest the current one: the one from which it was derived is the
    /// previous one then, and all others are superseded. Returns its digest.
    fn promote(
        &mut self,
        current: Digest,
        digest: &Digest,
        now: Timestamp,
        rotation: Rotation,
    ) -> Digest {
        let until = now.plus(rotation.grace).as_millis();
        let mut parent = Alternative {
            next: self.next.take(),
            ..Alternative::new(current)
        };
        let index = self
            .alternatives
            .iter()
            .position(|one| one.has_next(digest));
        if let Some(index) = index {
            parent = std::mem::replace(&mut self.alternatives[index], parent);
        }
        for other in &mut self.alternatives {
            other.until.get_or_insert(until);
        }
        if let Some(before) = self.before.take() {
            self.retired.push(before.digest);
        }
        self.retire(now);
        self.since = Some(now.as_millis());
        let next = parent.next.expect("one secret has this next one");
        self.before = Some(Before {
            nonce: next.nonce,
            digest: parent.digest,
            until,
        });
        next.digest
    }

    /// Stores the secrets in `entries`.
    #[allow(
        clippy::missing_panics_doc,
        reason = "text and numbers are always JSON"
    )]
    pub fn put_into(&self, entries: &mut Entries) {
        entries
            .set(Self::KEY, self)
            .expect("text and numbers are always JSON");
    }
}
