//! The configuration of a layer, shared by all its requests.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cloakroom_core::entries::Entry;
use cloakroom_core::index::STALE_AFTER;
use cloakroom_core::migration::MigrationMark;
use cloakroom_core::rotation::Rotation;
use cloakroom_core::{
    Authentication, Clock, Entries, EntryError, Expiry, Realm, Rng, SessionId, Store, StoreError,
    SystemClock, SystemRng, Timestamp, UserId, UserKey, codec,
};

use serde::de::DeserializeOwned;

use crate::budget::Budget;
use crate::caching::{CachePolicy, ClearSiteData};
use crate::cookie::{CookieConfig, TokenHeader};
use crate::device::DeviceTracking;
use crate::end_notifier::EndNotifier;
use crate::error::SessionError;
use crate::key_lock::KeyLocks;
use crate::migration::Migration;
use crate::navigation::Pages;
#[cfg(feature = "oauth")]
use crate::oauth::OAuthConfig;
use crate::revocation::RevokedBefore;
use crate::session_limit::{Evictions, SessionLimit};
use crate::store::DynStore;
use crate::telemetry::limited::{Failures, Once};

/// How long a tombstone is kept: longer than any request that was in flight when its session ended.
pub(crate) const TOMBSTONE_TTL: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) store: Arc<dyn DynStore>,
    pub(crate) cookie: CookieConfig,
    pub(crate) realm: Realm,
    pub(crate) token_header: Option<TokenHeader>,
    /// The path under which browsers see the app, if a reverse proxy removes it.
    pub(crate) path_prefix: Option<String>,
    /// Where pages lead to that need a signed-in user, or a recent sign-in: checked when the layer is built.
    pub(crate) pages: Pages,
    pub(crate) expiry: Expiry,
    /// The expiry of anonymous sessions, if it differs.
    pub(crate) anonymous_expiry: Option<Expiry>,
    /// The longest absolute timeout that a session may choose for itself.
    pub(crate) longest: Duration,
    pub(crate) rotation: Option<Rotation>,
    /// Migration from a legacy store.
    pub(crate) migration: Option<Arc<Migration>>,
    pub(crate) session_limit: Option<SessionLimit>,
    pub(crate) evictions: Arc<Evictions>,
    pub(crate) devices: Option<Arc<DeviceTracking>>,
    pub(crate) publishes_events: bool,
    #[cfg(feature = "oauth")]
    pub(crate) oauth: Option<Arc<OAuthConfig>>,
    pub(crate) budget: Duration,
    pub(crate) max_session_size: usize,
    pub(crate) error_policy: ErrorPolicy,
    pub(crate) cache_policy: CachePolicy,
    pub(crate) clear_site_data: Option<ClearSiteData>,
    pub(crate) conflict_policy: ConflictPolicy,
    pub(crate) mismatch_policy: MismatchPolicy,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rng: Arc<dyn Rng>,
    pub(crate) key_locks: Arc<KeyLocks>,
    pub(crate) once: Arc<Once>,
    pub(crate) failures: Arc<Failures>,
    /// Whether log events name users by their id, and not by the key of their sessions.
    pub(crate) logs_user_ids: bool,
    pub(crate) revoked_before: Arc<RevokedBefore>,
    pub(crate) end_notifier: Arc<EndNotifier>,
}

/// What happens to a session's unsaved edits when the response is an error: a 5xx, or a 408.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorPolicy {
    /// They are discarded, as a database transaction is rolled back; the default. What the handler
    /// awaited (a sign-in, an explicit save, the end of the session) stands.
    #[default]
    Discard,
    /// They are saved, as for any other response.
    Commit,
}

/// What happens when an edit would replace a value that another request changed in the meantime,
/// without having seen it. ([`Session::update`](crate::Session::update) sees it, and merges.)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConflictPolicy {
    /// The later edit wins, and an event names the entry; the default.
    #[default]
    LastWriteWins,
    /// Nothing is saved, and the response is a 409.
    Reject,
}

/// What happens when a stored value is not of the type that is requested, as after a deploy that has added a
/// required field to the type. In any case a warning is logged, once for each key and type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum MismatchPolicy {
    /// The call fails with [`SessionErrorKind::Entry`](crate::SessionErrorKind::Entry), until the entry is
    /// replaced or removed; the default.
    #[default]
    Reject,
    /// The entry counts as absent: reading returns `None`, taking it removes it, and an update starts without
    /// it and replaces it.
    TreatAsAbsent,
}

impl Context {
    /// 64 KiB: every request that uses its session moves the whole record, so a larger one costs
    /// more than the query that it spares.
    const MAX_RECORD_SIZE: usize = 64 * 1024;

    pub(crate) fn new(store: impl Store) -> Self {
        Self {
            store: Arc::new(store),
            cookie: CookieConfig::default(),
            realm: Realm::new(CookieConfig::DEFAULT_NAME),
            token_header: None,
            path_prefix: None,
            pages: Pages::default(),
            expiry: Expiry::default(),
            anonymous_expiry: None,
            rotation: None,
            migration: None,
            session_limit: None,
            evictions: Arc::default(),
            devices: None,
            #[cfg(feature = "oauth")]
            oauth: None,
            publishes_events: true,
            longest: Expiry::MAX,
            budget: Duration::from_secs(1),
            max_session_size: Self::MAX_RECORD_SIZE.min(codec::MAX_LEN),
            error_policy: ErrorPolicy::default(),
            cache_policy: CachePolicy::default(),
            clear_site_data: None,
            conflict_policy: ConflictPolicy::default(),
            mismatch_policy: MismatchPolicy::default(),
            clock: Arc::new(SystemClock),
            rng: Arc::new(SystemRng),
            key_locks: Arc::new(KeyLocks::new()),
            once: Arc::default(),
            failures: Arc::default(),
            logs_user_ids: false,
            revoked_before: Arc::default(),
            end_notifier: Arc::default(),
        }
    }

    /// Decodes an entry. One that is not a `T` is logged once, and is an error or counts as absent.
    pub(crate) fn decode<T: DeserializeOwned>(
        &self,
        entry: Option<&Entry>,
    ) -> Result<Option<T>, SessionError> {
        Ok(self.decode_entry(entry)?)
    }

    /// The same, in the closure of an update.
    pub(crate) fn decode_entry<T: DeserializeOwned>(
        &self,
        entry: Option<&Entry>,
    ) -> Result<Option<T>, EntryError> {
        let Some(entry) = entry else {
            return Ok(None);
        };
        entry.decode().or_else(|error| {
            let is_absent = self.mismatch_policy == MismatchPolicy::TreatAsAbsent;
            self.once.mismatch(&error, is_absent);
            if is_absent { Ok(None) } else { Err(error) }
        })
    }

    /// The layer's expiry for a session with these entries.
    pub(crate) fn rule(&self, entries: &Entries) -> Expiry {
        match self.anonymous_expiry {
            Some(anonymous) if !entries.contains(Authentication::KEY) => anonymous,
            _ => self.expiry,
        }
    }

    /// How the token of a session with these entries rotates. A migrated session keeps the token that is
    /// derived from its legacy id, so that legacy cookies still lead to it, until it is renewed.
    pub(crate) fn rotation(&self, entries: &Entries) -> Option<Rotation> {
        self.rotation
            .filter(|_| !entries.contains(MigrationMark::KEY))
    }

    /// Whether no session can be created under an id any more, because the id is too old. The ids of
    /// migrated sessions are as old as the migration.
    pub(crate) fn is_old(&self, id: SessionId) -> bool {
        if let Some(migration) = &self.migration
            && migration.may_begin(id)
        {
            return false;
        }
        self.clock.now().since(id.created_at()) >= STALE_AFTER
    }

    /// Whether cookies are read and set.
    pub(crate) fn uses_cookies(&self) -> bool {
        !self
            .token_header
            .as_ref()
            .is_some_and(TokenHeader::is_header_only)
    }

    /// Sessions that were created before this time are revoked.
    pub(crate) async fn revoked_before(&self, budget: &Budget) -> Result<Timestamp, StoreError> {
        self.revoked_before
            .get(&self.store, &self.clock, self.budget, budget)
            .await
    }

    /// The same, if it is known without waiting.
    pub(crate) fn revoked_before_now(&self) -> Option<Timestamp> {
        self.revoked_before
            .get_now(&self.store, &self.clock, self.budget)
    }

    /// The key of a user's sessions in the store's index.
    pub(crate) fn user_key(&self, user: &UserId) -> UserKey {
        UserKey::new(&self.realm, user)
    }

    /// The key of the sessions in which others impersonate a user.
    pub(crate) fn impersonation_key(&self, user: &UserId) -> UserKey {
        UserKey::of_impersonations(&self.realm, user)
    }

    /// How log events name a user.
    pub(crate) fn logged<'a>(&'a self, user: &'a UserId) -> LoggedUser<'a> {
        LoggedUser {
            context: self,
            user,
        }
    }

    /// The longest time that a session can live under one id.
    pub(crate) fn longest_life(&self) -> Duration {
        let anonymous = self.anonymous_expiry.unwrap_or(self.expiry);
        self.longest
            .max(self.expiry.absolute_timeout())
            .max(anonymous.absolute_timeout())
    }
}

/// Formats a user for the log: as the key of the user's sessions, which is part of the name of a key in
/// Redis, or as the user's id.
#[derive(Clone, Copy)]
pub(crate) struct LoggedUser<'a> {
    context: &'a Context,
    user: &'a UserId,
}

impl fmt::Display for LoggedUser<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.context.logs_user_ids {
            self.user.fmt(f)
        } else {
            self.context.user_key(self.user).fmt(f)
        }
    }
}
