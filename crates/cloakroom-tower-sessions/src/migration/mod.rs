//! Migrates live sessions of tower-sessions from its Redis store.
//!
//! ```no_run
//! use cloakroom::{Migration, CookieConfig, MigrationKey, SessionLayer};
//! use cloakroom_redis::RedisStore;
//! use cloakroom_tower_sessions::migration::TowerSessionsRedis;
//!
//! # async fn start() -> Result<(), Box<dyn std::error::Error>> {
//! let store = RedisStore::connect("redis://127.0.0.1", "shop").await?;
//! let key = MigrationKey::new(std::env::var("MIGRATION_KEY")?, 1_795_478_400)?;
//!
//! // While the old version is running. Once it is gone, `Migration::cutover`.
//! let migration = Migration::side_by_side(TowerSessionsRedis::new(&store), key);
//! let sessions = SessionLayer::builder(store).with_migration(migration).build()?;
//! # Ok(())
//! # }
//! ```
//!
//! The guide `docs/migration.md` in the repository describes a migration step by step.

mod cookie;
mod id;
mod record;

use std::time::Duration;

use cloakroom::{
    CookieConfig, Expiry, LegacyEnded, LegacyId, LegacySession, LegacyStore, SameSite,
};
use cloakroom_core::{StoreError, StoreErrorKind};
use cloakroom_redis::{RawKeys, RedisStore};

use self::cookie::Protection;

pub use ::cookie::Key;

/// The legacy store: sessions of tower-sessions 0.14 in `tower-sessions-redis-store`.
///
/// Set the same options here that the old version sets on `SessionManagerLayer`.
#[derive(Clone, Debug)]
#[must_use]
pub struct TowerSessionsRedis {
    keys: RawKeys,
    cookie: CookieConfig,
    protection: Protection,
    idle: Option<Duration>,
}

impl TowerSessionsRedis {
    /// Reads the legacy sessions from the server and database of this store. tower-sessions keeps each under
    /// its id, without a prefix. If they are in another Redis, pass a [`RedisStore`] that is connected to it: with
    /// `connect_lazy`, if its user may send only what reading legacy sessions needs.
    pub fn new(store: &RedisStore) -> Self {
        Self {
            keys: store.raw_keys(),
            cookie: CookieConfig::new("id").with_same_site(SameSite::Strict),
            protection: Protection::Plain,
            idle: None,
        }
    }

    /// Sets the cookie of the old version: its `with_name`, `with_path`, `with_domain` and `with_secure`. The
    /// default is `id`, `Secure`, `SameSite=Strict`, `Path=/`. Name, path and domain must be the same, or
    /// browsers do not remove the legacy cookie.
    pub fn with_cookie(mut self, cookie: CookieConfig) -> Self {
        self.cookie = cookie;
        self
    }

    /// Verifies the legacy cookie, which the old version signs using `with_signed(key)`. Unsigned cookies are
    /// ignored.
    pub fn signed(mut self, key: Key) -> Self {
        self.protection = Protection::Signed(key);
        self
    }

    /// Decrypts the legacy cookie, which the old version encrypts using `with_private(key)`.
    pub fn private(mut self, key: Key) -> Self {
        self.protection = Protection::Private(key);
        self
    }

    /// Sets the idle timeout of legacy sessions, for an old version with
    /// `with_expiry(Expiry::OnInactivity(…))`. With `Expiry::OnSessionEnd`, and by default, tower-sessions uses
    /// two weeks. While both versions run, using a migrated session extends the TTL of the legacy session to
    /// this time; the migrated session itself has the layer's timeouts.
    ///
    /// By default, as for `Expiry::AtDateTime`, both sessions end at the time in the legacy record.
    ///
    /// The value is capped to what a session can have, one second to 400 days: with zero, reading a legacy session
    /// would remove it.
    pub fn with_inactivity(mut self, idle: Duration) -> Self {
        self.idle = Some(idle.clamp(Expiry::MIN, Expiry::MAX));
        self
    }
}

impl LegacyStore for TowerSessionsRedis {
    fn cookie(&self) -> &CookieConfig {
        &self.cookie
    }

    fn open(&self, value: &str) -> Option<LegacyId> {
        let id = self.protection.open(self.cookie.name(), value)?;
        id::parse(&id).map(LegacyId::new)
    }

    async fn read(&self, id: &LegacyId) -> Result<Option<LegacySession>, StoreError> {
        let key = key_of(id)?;
        let value = match self.idle {
            Some(idle) => self.keys.get_and_expire(&key, idle).await?,
            None => self.keys.read(&key).await?,
        };
        let Some(value) = value else {
            return Ok(None);
        };
        let record = record::decode(&value)?;
        let session = LegacySession::new(record.entries);
        Ok(Some(match self.idle {
            Some(_) => session,
            None => session.until(record.expires.into()),
        }))
    }

    async fn end(&self, id: &LegacyId) -> Result<LegacyEnded, StoreError> {
        let was_there = self.keys.remove(&key_of(id)?).await?;
        Ok(if was_there {
            LegacyEnded::Ended
        } else {
            LegacyEnded::Missing
        })
    }
}

/// Returns the Redis key of a legacy session.
fn key_of(id: &LegacyId) -> Result<String, StoreError> {
    id::encode(id.as_bytes()).ok_or_else(|| StoreError::new(StoreErrorKind::Refused))
}
