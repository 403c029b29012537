//! The secrets of a session: which of them authenticate, and how they change.

use serde::{Deserialize, Serialize};

use super::config::Rotation;
use super::parts::{Alternative, Before, Next, Nonce, SecretStatus};
use crate::clock::Timestamp;
use crate::entries::Entries;
use crate::record::{Record, Tombstone};
use crate::rng::{Rng, RngError};
use crate::token::{Digest, Realm, Token};

/// The number of retired secrets whose reuse is detected.
const MAX_RETIRED: usize = 4;

/// The number of secrets that can be valid beside the current one.
const MAX_ALTERNATIVES: usize = 4;

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
        secrets.retire(|one| one.is_retired(now) && one.next.is_none());
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

    /// Moves these alternatives, whose grace period is over, to the retired secrets.
    fn retire(&mut self, is_retired: impl Fn(&Alternative) -> bool) {
        for alternative in self.alternatives.extract_if(.., |one| is_retired(one)) {
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

    /// Returns the digests of all secrets that authenticate at `now`, the current one first: at most eleven.
    #[must_use]
    pub fn valid(record: &Record, now: Timestamp) -> Vec<Digest> {
        let secrets = Self::of(record.entries());
        let mut valid = vec![*record.digest()];
        valid.extend(secrets.next.map(|next| next.digest));
        for alternative in secrets.alternatives {
            valid.push(alternative.digest);
            valid.extend(alternative.next.map(|next| next.digest));
        }
        valid.extend(secrets.before.map(|before| before.digest));
        valid.retain(|digest| Self::status(record, digest, now).is_valid());
        valid
    }

    /// Returns a tombstone of which the secret is unknown with that of the record that it replaces, if there is only one. A store
    /// calls it in [`Store::end`](crate::Store::end), so that the owner of the session can learn why it has ended.
    #[must_use]
    pub fn complete(tombstone: &Tombstone, record: &Record) -> Tombstone {
        let is_complete = tombstone.digest().is_some()
            || tombstone.successor().is_some()
            || !tombstone.secrets().is_empty();
        if is_complete || Self::are_rotating(record.entries()) {
            return tombstone.clone();
        }
        Tombstone::new(Some(*record.digest()), tombstone.at(), tombstone.reason())
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
                secrets.next_of(record, &digest).is_none()
                    && now.since(since) >= rotation.interval()
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
        let until = now.plus(rotation.grace_period()).as_millis();
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
        self.retire(|one| one.is_retired(now));
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
