//! The configuration of a migration.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cloakroom_core::migration::{MigrationKey as Key, MigrationMark};
use cloakroom_core::{
    Authentication, Entries, Expiry, Realm, SessionId, StoreError, StoreErrorKind, Timestamp,
    Token, UserId,
};

use super::legacy::{DynLegacyStore, LegacyEnded, LegacyId, LegacySession, LegacyStore};
use crate::budget::Budget;
use crate::cookie::CookieConfig;
use crate::error::{ConfigError, ConfigErrorKind};

/// Migrates sessions from the system that the app used before, for
/// [`SessionLayerBuilder::with_migration`](crate::SessionLayerBuilder::with_migration).
/// `docs/migration.md` in the repository is a step-by-step guide.
///
/// A request with a legacy cookie, and without a live session of this layer, gets a new session with the
/// data of the legacy one. The token of the new session is derived from the legacy id and the
/// [`MigrationKey`], so all requests, on all servers, get the same session.
#[derive(Clone)]
#[must_use]
pub struct Migration {
    store: Arc<dyn DynLegacyStore>,
    key: MigrationKey,
    phase: Phase,
    user: Option<Arc<FindUser>>,
}

type FindUser = dyn Fn(&Entries) -> Option<UserId> + Send + Sync;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Old and new versions of the app run side by side.
    SideBySide,
    /// No old version runs any more.
    Cutover,
}

impl Migration {
    /// First phase: old and new versions of the app run side by side. The legacy session and its cookie
    /// are kept, and a migrated session ends together with its legacy session: signing out on either side
    /// ends both. Each request that uses a migrated session therefore reads its legacy session as well.
    pub fn side_by_side(legacy_store: impl LegacyStore, key: MigrationKey) -> Self {
        Self::new(legacy_store, key, Phase::SideBySide)
    }

    /// Second phase: no old version of the app runs any more. The remaining sessions are migrated when they
    /// are next used; legacy sessions and cookies are removed.
    pub fn cutover(legacy_store: impl LegacyStore, key: MigrationKey) -> Self {
        Self::new(legacy_store, key, Phase::Cutover)
    }

    fn new(legacy_store: impl LegacyStore, key: MigrationKey, phase: Phase) -> Self {
        Self {
            store: Arc::new(legacy_store),
            key,
            phase,
            user: None,
        }
    }

    /// Sets how to find the signed-in user in the entries of a legacy session. Migrated sessions are then
    /// sessions of that user: [`Session::user`](crate::Session::user) returns it, and
    /// [`Sessions`](crate::Sessions) lists them. The time of the sign-in is unknown, so
    /// [`require_recent_sign_in`](crate::Session::require_recent_sign_in) requires a new one. If the user
    /// of the legacy session changes later, or signs out, the migrated session ends.
    ///
    /// ```
    /// use cloakroom::{Entries, UserId};
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
        if cookie.has_had_name(self.cookie().name()) {
            return Err(ConfigError::new(
                ConfigErrorKind::Migration,
                "legacy sessions and new ones cannot share one cookie: give the layer's cookie another \
                 name, with `with_cookie`",
            ));
        }
        let since = self.key.0.since();
        if since.since(now) > DAY || now.since(since) >= Expiry::MAX {
            return Err(ConfigError::new(
                ConfigErrorKind::Migration,
                "the start of the migration must be a time in seconds since 1970, less than 400 days \
                 ago",
            ));
        }
        Ok(())
    }

    /// The legacy cookie.
    pub(crate) fn cookie(&self) -> &CookieConfig {
        self.store.cookie()
    }

    /// The legacy id in the value of a cookie.
    pub(crate) fn parse(&self, value: &[u8]) -> Option<LegacyId> {
        self.store.open(std::str::from_utf8(value).ok()?)
    }

    pub(crate) async fn read(
        &self,
        id: &LegacyId,
        budget: &Budget,
    ) -> Result<Option<LegacySession>, StoreError> {
        budget.read(self.store.read(id)).await
    }

    pub(crate) async fn end(
        &self,
        id: &LegacyId,
        budget: &Budget,
    ) -> Result<LegacyEnded, StoreError> {
        let ended = budget.write(self.store.end(id)).await;
        ended.map_err(|error| match error.kind() {
            // Of a session of ours this would say that it has ended, but that has not been tried yet.
            StoreErrorKind::NotReplicated => {
                StoreError::with_source(StoreErrorKind::OutcomeUnknown, error)
            }
            _ => error,
        })
    }

    /// Whether this is the second phase.
    pub(crate) fn is_cutover(&self) -> bool {
        self.phase == Phase::Cutover
    }

    /// The token of the session to which a legacy session is migrated.
    pub(crate) fn token(&self, realm: &Realm, old: &LegacyId) -> Token {
        self.key.0.token(realm, old.as_bytes())
    }

    /// Whether a session may still be created by migration under an id, however old the id is.
    pub(crate) fn may_begin(&self, id: SessionId) -> bool {
        self.key.0.may_have_derived(id)
    }

    /// The mark that a session migrated now keeps. It links the legacy session, in the second phase too: a create
    /// that arrives after the session was ended on both sides must not bring it back.
    pub(crate) fn mark(&self, id: SessionId, old: &LegacyId, now: Timestamp) -> MigrationMark {
        MigrationMark::at(now).with_legacy_id(self.key.0.seal(id, old.as_bytes()))
    }

    /// The legacy session that a migrated session is linked with, if it is still linked.
    pub(crate) fn linked_id(
        &self,
        realm: &Realm,
        id: SessionId,
        entries: &Entries,
    ) -> Option<LegacyId> {
        let mark = MigrationMark::of(entries)?;
        self.key.0.open(realm, id, mark.from()?).map(LegacyId::new)
    }

    /// The legacy session from which a session was migrated, linked or not. It may have ended.
    pub(crate) fn legacy_id(
        &self,
        realm: &Realm,
        id: SessionId,
        entries: &Entries,
    ) -> Option<LegacyId> {
        let mark = MigrationMark::of(entries)?;
        let sealed = mark.legacy_id()?;
        self.key.0.open(realm, id, sealed).map(LegacyId::new)
    }

    /// The user of a legacy session, if the app has said how to find it.
    pub(crate) fn user(&self, entries: &Entries) -> Option<UserId> {
        self.user.as_ref()?(entries)
    }

    /// Whether both have the same user; `true` if the app has not said how to find it.
    pub(crate) fn have_same_user(&self, old: &Entries, new: &Entries) -> bool {
        let Some(find) = &self.user else {
            return true;
        };
        let here = Authentication::of(new);
        find(old).as_ref() == here.as_ref().map(Authentication::user)
    }
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl fmt::Debug for Migration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Migration")
            .field("store", &self.store)
            .field("key", &self.key)
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}

/// The key from which the tokens of migrated sessions are derived: a secret, and the time at which the
/// migration began. Both must be the same on every server and in both phases.
///
/// ```
/// use cloakroom::MigrationKey;
///
/// // From the environment: `openssl rand -base64 32`, and `date +%s` on the day of the migration.
/// let key = MigrationKey::new(b"at least 32 bytes, for instance from openssl", 1_795_478_400)?;
/// # Ok::<(), cloakroom::ConfigError>(())
/// ```
///
/// `Debug` does not show the secret.
#[derive(Clone, Debug)]
pub struct MigrationKey(Key);

impl MigrationKey {
    /// Creates a key from a secret of at least 32 bytes, and the start of the migration in seconds since
    /// 1970. The ids of migrated sessions contain that time as their own, and no session is migrated 400
    /// days after it.
    ///
    /// # Errors
    ///
    /// Fails if the secret is shorter than 32 bytes.
    pub fn new(secret: impl AsRef<[u8]>, began: u64) -> Result<Self, ConfigError> {
        let since = Timestamp::from_millis(began.saturating_mul(1000));
        let key = Key::new(secret, since).ok_or_else(|| {
            ConfigError::new(
                ConfigErrorKind::Migration,
                "a migration key needs a secret of at least 32 bytes: `openssl rand -base64 32`",
            )
        })?;
        Ok(Self(key))
    }
}
