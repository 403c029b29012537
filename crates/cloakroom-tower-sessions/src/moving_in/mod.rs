//! Live sessions of tower-sessions with its Redis store move in.
//!
//! ```no_run
//! use cloakroom::{Arrivals, CookieConfig, MigrationKey, SessionLayer};
//! use cloakroom_redis::RedisStore;
//! use cloakroom_tower_sessions::moving_in::TowerSessions;
//!
//! # async fn start() -> Result<(), Box<dyn std::error::Error>> {
//! let store = RedisStore::connect("redis://127.0.0.1").await?;
//! let key = MigrationKey::new(std::env::var("MIGRATION_KEY")?, 1_795_478_400)?;
//!
//! // First, beside the old version; once that is gone, `Arrivals::after`.
//! let arrivals = Arrivals::beside(TowerSessions::in_redis(&store), key);
//! let sessions = SessionLayer::new(store).with_arrivals(arrivals)?;
//! # Ok(())
//! # }
//! ```
//!
//! `docs/migration.md` in the repository leads through a move.

mod id;
mod old_cookie;
mod record;

use std::time::Duration;

use cloakroom::{CookieConfig, OldEnded, OldId, OldSession, Predecessor, SameSite};
use cloakroom_core::{StoreError, StoreErrorKind};
use cloakroom_redis::{ForeignKeys, RedisStore};
pub use cookie::Key;

use self::old_cookie::Seal;

/// The sessions of tower-sessions 0.14 with `tower-sessions-redis-store`.
///
/// Set here what the old version sets with `SessionManagerLayer`.
#[derive(Clone, Debug)]
#[must_use]
pub struct TowerSessions {
    keys: ForeignKeys,
    cookie: CookieConfig,
    seal: Seal,
    idle: Option<Duration>,
}

impl TowerSessions {
    /// The old sessions in the Redis of this store: the same server and database, in which
    /// tower-sessions keeps each under its bare id. If they lie elsewhere, make another
    /// [`RedisStore`] for there.
    pub fn in_redis(store: &RedisStore) -> Self {
        Self {
            keys: store.foreign_keys(),
            cookie: CookieConfig::named("id").with_same_site(SameSite::Strict),
            seal: Seal::Plain,
            idle: None,
        }
    }

    /// The old cookie, as the old version sets it: `with_name`, `with_path`, `with_domain`,
    /// `with_secure`. Default: `id`, `Secure`, `SameSite=Strict`, `Path=/`. Name, path and domain
    /// count: with others, browsers would not remove it.
    pub fn with_cookie(mut self, cookie: CookieConfig) -> Self {
        self.cookie = cookie;
        self
    }

    /// The old version signs its cookie: `with_signed(key)`. Unsigned ones are nothing then.
    pub fn signed(mut self, key: Key) -> Self {
        self.seal = Seal::Signed(key);
        self
    }

    /// The old version encrypts its cookie: `with_private(key)`.
    pub fn private(mut self, key: Key) -> Self {
        self.seal = Seal::Private(key);
        self
    }

    /// Old sessions live on by being used: `with_expiry(Expiry::OnInactivity(…))`; for
    /// `Expiry::OnSessionEnd`, and where nothing was set, that is two weeks. While both versions run,
    /// use of a moved session keeps the old one alive for this long, and it lives on here by the
    /// layer's rule.
    ///
    /// Without this, as for `Expiry::AtDateTime`, every session ends when its old record says, on
    /// both sides.
    pub fn with_inactivity(mut self, idle: Duration) -> Self {
        self.idle = Some(idle);
        self
    }
}

impl Predecessor for TowerSessions {
    fn cookie(&self) -> &CookieConfig {
        &self.cookie
    }

    fn open(&self, value: &str) -> Option<OldId> {
        let id = self.seal.open(self.cookie.name(), value)?;
        id::parse(&id).map(OldId::new)
    }

    async fn read(&self, id: &OldId) -> Result<Option<OldSession>, StoreError> {
        let key = key_of(id)?;
        let value = match self.idle {
            Some(idle) => self.keys.read_and_keep(&key, idle).await?,
            None => self.keys.read(&key).await?,
        };
        let Some(value) = value else {
            return Ok(None);
        };
        let record = record::decode(&value)?;
        let session = OldSession::new(record.entries);
        Ok(Some(match self.idle {
            Some(_) => session,
            None => session.until(record.expires.into()),
        }))
    }

    async fn end(&self, id: &OldId) -> Result<OldEnded, StoreError> {
        match self.keys.remove(&key_of(id)?).await? {
            true => Ok(OldEnded::Ended),
            false => Ok(OldEnded::Missing),
        }
    }
}

/// Under what an old session stands.
fn key_of(id: &OldId) -> Result<String, StoreError> {
    id::encode(id.as_bytes()).ok_or_else(|| StoreError::new(StoreErrorKind::Refused))
}
