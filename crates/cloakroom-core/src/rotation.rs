//! A secret that changes in place, so that a stolen cookie gives itself away.
//!
//! ```text
//! presented        the record                        what happens
//! s0 (current)     it is time                        a nonce is stored: s1 = HMAC(s0, nonce)
//! s0 (current)     a next secret is offered          s0 is good; the answer hands out s1
//! s1 (next)        it is offered                     s1 becomes current, s0 the one before
//! s0 (before)      within the grace                  s0 is good; the answer hands out s1
//! s0 (retired)     after it                          two parties hold the cookie: theft
//! anything else                                      no session
//! ```
//!
//! All that hold `s0` arrive at the same `s1`, so parallel requests agree. `s0` retires only after
//! `s1` was presented: an answer that was lost costs nothing. A secret that was never this session's
//! is never theft, since ids are public.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::entries::Entries;
use crate::entropy::{Entropy, EntropyError};
use crate::record::Record;
use crate::token::{Digest, Realm, Token};

/// So many retired secrets are remembered.
const REMEMBERED: usize = 4;

/// How often a secret changes.
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
    /// A secret is replaced when a request presents it and it is older than this.
    #[must_use]
    pub const fn every(every: Duration) -> Self {
        Self {
            every,
            grace: Duration::from_secs(60),
        }
    }

    /// For how long the secret before is still good, once the new one was presented: a minute unless
    /// told otherwise.
    #[must_use]
    pub const fn grace(self, grace: Duration) -> Self {
        Self { grace, ..self }
    }

    /// How old a secret becomes.
    #[must_use]
    pub const fn interval(&self) -> Duration {
        self.every
    }

    /// For how long the one before is still good.
    #[must_use]
    pub const fn grace_period(&self) -> Duration {
        self.grace
    }
}

/// What a presented secret is to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presented {
    /// The session's secret.
    Current,
    /// The one that is offered to take its place.
    Next,
    /// The one before, within its grace.
    Before,
    /// One that has retired: somebody else holds its successor.
    Retired,
    /// None of this session's.
    Wrong,
}

/// The secrets of a session beside its present one, as they stand among its entries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Secrets {
    /// Since when the present one is.
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

/// What leads from a secret to the next: of no use without the secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Nonce(String);

impl Nonce {
    fn draw(entropy: &(impl Entropy + ?Sized)) -> Result<Self, EntropyError> {
        let mut bytes = [0; 16];
        entropy.fill(&mut bytes)?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes)))
    }

    fn bytes(&self) -> Option<[u8; 16]> {
        URL_SAFE_NO_PAD.decode(&self.0).ok()?.try_into().ok()
    }
}

impl Secrets {
    /// Where they stand among the entries.
    pub const KEY: &'static str = "$rotation";

    /// Those of a session with these entries. What cannot be read is none.
    #[must_use]
    pub fn of(entries: &Entries) -> Self {
        let secrets = entries.get(Self::KEY).ok().flatten();
        secrets.unwrap_or_default()
    }

    /// Whether a session with these entries has ever had another secret, or is offered one.
    #[must_use]
    pub fn are_several(entries: &Entries) -> bool {
        entries.contains(Self::KEY)
    }

    /// What the secret of this digest is to a session.
    #[must_use]
    pub fn judge(record: &Record, digest: &Digest, now: Timestamp) -> Presented {
        if record.digest() == digest {
            return Presented::Current;
        }
        if !Self::are_several(record.entries()) {
            return Presented::Wrong;
        }
        let secrets = Self::of(record.entries());
        let is_next = |next: &Next| next.digest == *digest;
        if secrets.next.as_ref().is_some_and(is_next) {
            return Presented::Next;
        }
        match &secrets.before {
            Some(before) if before.digest == *digest => match now.as_millis() < before.until {
                true => Presented::Before,
                false => Presented::Retired,
            },
            _ if secrets.retired.contains(digest) => Presented::Retired,
            _ => Presented::Wrong,
        }
    }

    /// The token that whoever presented `token` should hold instead, if there is one.
    #[must_use]
    pub fn newer(record: &Record, token: &Token, realm: &Realm) -> Option<Token> {
        if !Self::are_several(record.entries()) {
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

    /// Whether the session's secrets should change now, since `token` was presented.
    #[must_use]
    pub fn are_due(
        record: &Record,
        token: &Token,
        realm: &Realm,
        now: Timestamp,
        rotation: Rotation,
    ) -> bool {
        match Self::judge(record, &realm.digest(token), now) {
            Presented::Next => true,
            Presented::Current => {
                let secrets = Self::of(record.entries());
                let since = secrets
                    .since
                    .map_or(token.id().created_at(), Timestamp::from_millis);
                secrets.next.is_none() && now.since(since) >= rotation.every
            }
            Presented::Before | Presented::Retired | Presented::Wrong => false,
        }
    }

    /// The session's digest and secrets after `token` was presented; `None` if they stay as they are.
    ///
    /// # Errors
    ///
    /// When the random number generator fails.
    #[allow(
        clippy::missing_panics_doc,
        reason = "what was just written can be read"
    )]
    pub fn advanced(
        record: &Record,
        token: &Token,
        realm: &Realm,
        now: Timestamp,
        rotation: Rotation,
        entropy: &(impl Entropy + ?Sized),
    ) -> Result<Option<(Digest, Self)>, EntropyError> {
        if !Self::are_due(record, token, realm, now, rotation) {
            return Ok(None);
        }
        let mut secrets = Self::of(record.entries());
        let Some(next) = secrets.next.take() else {
            let nonce = Nonce::draw(entropy)?;
            let token = token.rotated(&nonce.bytes().expect("it was just written"));
            let digest = realm.digest(&token);
            secrets.next = Some(Next { nonce, digest });
            return Ok(Some((*record.digest(), secrets)));
        };
        if let Some(before) = secrets.before.take() {
            secrets.retired.push(before.digest);
        }
        let surplus = secrets.retired.len().saturating_sub(REMEMBERED);
        secrets.retired.drain(..surplus);
        secrets.since = Some(now.as_millis());
        secrets.before = Some(Before {
            nonce: next.nonce,
            digest: *record.digest(),
            until: now.plus(rotation.grace).as_millis(),
        });
        Ok(Some((next.digest, secrets)))
    }

    /// Writes them among the entries.
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
