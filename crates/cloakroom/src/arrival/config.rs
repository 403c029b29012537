//! How sessions move in.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cloakroom_core::arrival::{Arrival, MigrationKey as Key};
use cloakroom_core::{
    Authentication, Entries, Expiry, Realm, SessionId, StoreError, Timestamp, Token, UserId,
};

use super::predecessor::{AnyPredecessor, OldEnded, OldId, OldSession, Predecessor};
use crate::budget::Budget;
use crate::cookie::CookieConfig;
use crate::error::{ConfigError, ConfigErrorKind};

/// Lets sessions of the system that the app used before move in, for
/// [`SessionLayer::with_arrivals`](crate::SessionLayer::with_arrivals). `docs/migration.md` in the
/// repository leads through a move.
///
/// A request with an old cookie, and none of ours that opens a session, is answered with a session
/// that holds what the old one held. Its token follows from the old id and the [`MigrationKey`], so
/// all requests, on all servers, arrive at the same session.
#[derive(Clone)]
#[must_use]
pub struct Arrivals {
    predecessor: Arc<dyn AnyPredecessor>,
    key: MigrationKey,
    phase: Phase,
    user: Option<Arc<FindUser>>,
}

type FindUser = dyn Fn(&Entries) -> Option<UserId> + Send + Sync;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Old and new versions of the app run side by side.
    Beside,
    /// The old one is gone.
    After,
}

impl Arrivals {
    /// The first phase: old and new versions of the app run side by side. Old session and old cookie
    /// stay, and a moved session lives as long as its old one does: a log-out on either side ends
    /// both. To see that costs one command on the old store for each request that uses a moved
    /// session.
    pub fn beside(predecessor: impl Predecessor, key: MigrationKey) -> Self {
        Self::new(predecessor, key, Phase::Beside)
    }

    /// The second phase: no old version runs any more. What is left moves when it is next used; old
    /// session and old cookie go.
    pub fn after(predecessor: impl Predecessor, key: MigrationKey) -> Self {
        Self::new(predecessor, key, Phase::After)
    }

    fn new(predecessor: impl Predecessor, key: MigrationKey, phase: Phase) -> Self {
        Self {
            predecessor: Arc::new(predecessor),
            key,
            phase,
            user: None,
        }
    }

    /// How to find in an old session's entries who is signed in. Moved sessions are then entered for
    /// that user: [`Session::user`](crate::Session::user) knows it, and
    /// [`Sessions`](crate::Sessions) finds them. When the password was given is not known, so
    /// [`require_fresh`](crate::Session::require_fresh) asks for it. If somebody else, or nobody, is
    /// signed in to the old session later, the moved one ends.
    ///
    /// ```
    /// use cloakroom::UserId;
    /// use cloakroom::core::Entries;
    ///
    /// fn user_of(entries: &Entries) -> Option<UserId> {
    ///     let id: Option<u64> = entries.get("user_id").ok()?;
    ///     Some(id?.into())
    /// }
    /// ```
    pub fn with_user(
        mut self,
        find: impl Fn(&Entries) -> Option<UserId> + Send + Sync + 'static,
    ) -> Self {
        self.user = Some(Arc::new(find));
        self
    }

    pub(crate) fn validate(
        &self,
        cookie: &CookieConfig,
        now: Timestamp,
    ) -> Result<(), ConfigError> {
        self.cookie().validate()?;
        let refuse = |message: &str| Err(ConfigError::new(ConfigErrorKind::Arrivals, message));
        if self.cookie().name() == cookie.name() {
            return refuse(
                "old and new sessions cannot share one cookie: give the layer's another name, \
                 before `with_arrivals`",
            );
        }
        let since = self.key.0.since();
        if since.since(now) > DAY || now.since(since) >= Expiry::LONGEST {
            return refuse(
                "the moment when the move began must be a time in seconds since 1970, and lie \
                 less than 400 days back",
            );
        }
        Ok(())
    }

    /// The old cookie.
    pub(crate) fn cookie(&self) -> &CookieConfig {
        self.predecessor.cookie()
    }

    pub(super) fn open(&self, value: &[u8]) -> Option<OldId> {
        self.predecessor.open(std::str::from_utf8(value).ok()?)
    }

    pub(super) async fn read(
        &self,
        id: &OldId,
        budget: &Budget,
    ) -> Result<Option<OldSession>, StoreError> {
        budget.read(self.predecessor.read(id)).await
    }

    pub(crate) async fn end(&self, id: &OldId, budget: &Budget) -> Result<OldEnded, StoreError> {
        budget.write(self.predecessor.end(id)).await
    }

    pub(crate) fn is_last_phase(&self) -> bool {
        self.phase == Phase::After
    }

    /// The token of the session that takes the place of an old one.
    pub(crate) fn token(&self, realm: &Realm, old: &OldId) -> Token {
        self.key.0.token(realm, old.as_bytes())
    }

    /// Whether a session may yet begin under an id, or begin again, however old the id is.
    pub(crate) fn may_begin(&self, id: SessionId) -> bool {
        self.key.0.may_have_made(id)
    }

    /// What a session that moves in now is to remember of it. In the last phase nobody looks after the
    /// old one.
    pub(super) fn mark(&self, id: SessionId, old: &OldId, now: Timestamp) -> Arrival {
        let arrival = Arrival::at(now);
        match self.phase {
            Phase::Beside => arrival.beside(self.key.0.seal(id, old.as_bytes())),
            Phase::After => arrival,
        }
    }

    /// The old session of one that has moved in, if it lives on beside.
    pub(crate) fn origin(&self, realm: &Realm, id: SessionId, entries: &Entries) -> Option<OldId> {
        let arrival = Arrival::of(entries)?;
        self.key.0.open(realm, id, arrival.from()?).map(OldId::new)
    }

    /// Who is signed in to an old session, if that is to be known.
    pub(super) fn user(&self, entries: &Entries) -> Option<UserId> {
        self.user.as_ref()?(entries)
    }

    /// Whether the same user is signed in to both, or that is not to be known.
    pub(super) fn agree_on_user(&self, old: &Entries, new: &Entries) -> bool {
        let Some(find) = &self.user else {
            return true;
        };
        let here = Authentication::of(new);
        find(old).as_ref() == here.as_ref().map(Authentication::user)
    }
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl fmt::Debug for Arrivals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arrivals")
            .field("predecessor", &self.predecessor)
            .field("key", &self.key)
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}

/// What all servers make the tokens of moved sessions with: a secret, and the moment when the move
/// began. Both are the same on every server, and stay the same through both phases.
///
/// ```
/// use cloakroom::MigrationKey;
///
/// // From the environment: `openssl rand -base64 32`, and `date +%s` on the day of the move.
/// let key = MigrationKey::new(b"at least 32 bytes, for instance from openssl", 1_795_478_400)?;
/// # Ok::<(), cloakroom::ConfigError>(())
/// ```
///
/// `Debug` does not show the secret.
#[derive(Clone, Debug)]
pub struct MigrationKey(Key);

impl MigrationKey {
    /// A key from a secret of at least 32 bytes, and the moment when the move began, in seconds since
    /// 1970. The ids of moved sessions show that moment as theirs, and none moves in once it lies 400
    /// days back.
    ///
    /// # Errors
    ///
    /// When the secret is shorter.
    pub fn new(secret: impl AsRef<[u8]>, began: u64) -> Result<Self, ConfigError> {
        let since = Timestamp::from_millis(began.saturating_mul(1000));
        let key = Key::new(secret, since).ok_or_else(|| {
            ConfigError::new(
                ConfigErrorKind::Arrivals,
                "a migration key needs a secret of at least 32 bytes: `openssl rand -base64 32`",
            )
        })?;
        Ok(Self(key))
    }
}
