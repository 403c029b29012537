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
//! does not count as reuse, because anybody who knows a session's id, which is public, could send one.

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
    /// The current secret.
    Current,
    /// The offered next secret.
    Next,
    /// The previous secret, within its grace period.
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
        let nonce = match (&secrets.next, &secrets.before) {
            (Some(next), _) if *record.digest() == digest => &next.nonce,
            (_, Some(before)) if before.digest == digest => &before.nonce,
            _ => return None,
        };
        Some(token.rotated(&nonce.bytes()?))
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
        match Self::status(record, &realm.digest(token), now) {
            SecretStatus::Next => true,
            SecretStatus::Current => {
                let secrets = Self::of(record.entries());
                let since = secrets
                    .since
                    .map_or(token.id().created_at(), Timestamp::from_millis);
                secrets.next.is_none() && now.since(since) >= rotation.every
            }
            SecretStatus::Previous | SecretStatus::Retired | SecretStatus::Wrong => false,
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
        let Some(next) = secrets.next.take() else {
            let nonce = Nonce::draw(rng)?;
            let token = token.rotated(&nonce.bytes().expect("a new nonce is valid base64url"));
            let digest = realm.digest(&token);
            secrets.next = Some(Next { nonce, digest });
            return Ok(Some((*record.digest(), secrets)));
        };
        if let Some(before) = secrets.before.take() {
            secrets.retired.push(before.digest);
        }
        let surplus = secrets.retired.len().saturating_sub(MAX_RETIRED);
        secrets.retired.drain(..surplus);
        secrets.since = Some(now.as_millis());
        secrets.before = Some(Before {
            nonce: next.nonce,
            digest: *record.digest(),
            until: now.plus(rotation.grace).as_millis(),
        });
        Ok(Some((next.digest, secrets)))
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
