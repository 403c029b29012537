//! `SessionManagerLayer` on a Cloakroom store.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cloakroom_core::store::{Created, Loaded, Updated};
use cloakroom_core::{
    Clock, EndReason, Entries, Expiry, Limits, Record, Revision, Rng, Store, StoreError,
    SystemClock, SystemRng, Timestamp, Tombstone, codec,
};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::ts;
use crate::diff::{Data, Difference};
use crate::identity::Identity;
use ts::session::{Id, Record as TheirRecord};
use ts::session_store::{Error, Result};

/// Makes a Cloakroom [`Store`] a `tower_sessions::SessionStore`, for an app that keeps
/// `SessionManagerLayer`. See the [crate documentation](crate) for what changes.
///
/// ```
/// use cloakroom_core::MemoryStore;
/// use cloakroom_tower_sessions::v0_15::TowerSessionsStore;
///
/// let store = TowerSessionsStore::new(MemoryStore::new());
/// // let layer = tower_sessions::SessionManagerLayer::new(store);
/// ```
pub struct TowerSessionsStore<S> {
    store: Arc<S>,
    realm: Arc<str>,
    clock: Arc<dyn Clock>,
}

/// How many new ids are tried when a session is created.
const ATTEMPTS: usize = 3;

/// How often a save is retried because another request saved first.
const MAX_RETRIES: usize = 1000;

/// How long a tombstone is kept: longer than a slow request takes.
const TOMBSTONE_TTL: Duration = Duration::from_secs(60);

/// The key under which a loaded record carries its data and revision at the time of the load. A save gets
/// nothing but the record, and two requests of one session may have loaded different ones.
const LOADED: &str = "$cloakroom.loaded";

impl<S: Store> TowerSessionsStore<S> {
    /// Uses this store, with its key prefix.
    pub fn new(store: S) -> Self {
        Self {
            store: Arc::new(store),
            realm: "tower-sessions".into(),
            clock: Arc::new(SystemClock),
        }
    }

    /// Sets the realm, which is hashed together with each id: with different realms, the ids of two apps or
    /// environments on the same store are invalid for each other. The default is `tower-sessions`.
    #[must_use]
    pub fn with_realm(mut self, realm: impl Into<Arc<str>>) -> Self {
        self.realm = realm.into();
        self
    }

    /// Sets the clock, for tests.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    fn identity(&self, id: Id) -> Identity {
        Identity::of(&self.realm, id.0.to_le_bytes())
    }

    /// Returns the live record of an id, if its digest matches.
    async fn find(&self, identity: &Identity) -> Result<Option<Record>> {
        match self.store.load(identity.key()).await.map_err(store_error)? {
            Loaded::Record(record) if record.digest() == &identity.digest() => {
                let is_expired = record
                    .limits()
                    .is_expired(self.clock.now(), record.last_seen());
                Ok((!is_expired).then_some(record))
            }
            Loaded::Record(_) | Loaded::Tombstone(_) | Loaded::Nothing => Ok(None),
        }
    }

    /// Creates a record with this data that expires at `until`, and its TTL; `None` if that is in the past.
    fn new_record(
        &self,
        identity: &Identity,
        data: &Data,
        until: OffsetDateTime,
    ) -> Result<Option<(Record, Duration)>> {
        let entries = entries(data)?;
        if codec::encoded_len(&entries) > codec::MAX_LEN {
            return Err(Error::Encode(String::from(
                "the session is too large to be stored",
            )));
        }
        let now = self.clock.now();
        let remaining = timestamp(until).since(now).min(Expiry::MAX);
        let limits = Limits::from_parts(remaining, now.plus(remaining), true);
        let Some(ttl) = limits.ttl(now) else {
            return Ok(None);
        };
        let revision = Revision::draw(&SystemRng).map_err(backend_error)?;
        let record = Record::new(revision, now, limits, identity.digest(), entries);
        Ok(Some((record, ttl)))
    }

    async fn end(&self, identity: &Identity, reason: EndReason) -> Result<()> {
        let tombstone = Tombstone::new(Some(identity.digest()), self.clock.now(), reason);
        let end = self
            .store
            .end(identity.key(), None, &tombstone, TOMBSTONE_TTL);
        end.await.map_err(store_error).map(|_| ())
    }
}

#[async_trait]
impl<S: Store> ts::SessionStore for TowerSessionsStore<S> {
    /// Always uses a new id: after `flush`, the record still has the id of the ended session.
    async fn create(&self, record: &mut TheirRecord) -> Result<()> {
        record.data.remove(LOADED);
        for _ in 0..ATTEMPTS {
            record.id = draw_id()?;
            let identity = self.identity(record.id);
            let Some((ours, ttl)) = self.new_record(&identity, &record.data, record.expiry_date)?
            else {
                return Ok(());
            };
            let create = self.store.create(identity.key(), &ours, ttl);
            if create.await.map_err(store_error)? == Created::Created {
                put_loaded(&mut record.data, ours.revision());
                return Ok(());
            }
        }
        Err(Error::Backend(String::from("no unused id was found")))
    }

    /// Applies the changes since the load to the stored data. A session that was ended in the meantime stays
    /// ended, which is not an error.
    async fn save(&self, record: &TheirRecord) -> Result<()> {
        let identity = self.identity(record.id);
        let mut data = record.data.clone();
        let loaded = take_loaded(&mut data);
        let difference = Difference::between(loaded.as_ref().map(|(_, base)| base), &data);
        let mut base = match loaded {
            Some(loaded) => loaded,
            None => match self.find(&identity).await? {
                Some(there) => (there.revision(), data_of(there.entries())?),
                None => return Ok(()),
            },
        };
        for _ in 0..MAX_RETRIES {
            let (revision, mut merged) = base;
            difference.apply(&mut merged);
            let Some((ours, ttl)) = self.new_record(&identity, &merged, record.expiry_date)? else {
                return self.end(&identity, EndReason::Expired).await;
            };
            let update = self.store.update(identity.key(), revision, &ours, ttl);
            match update.await.map_err(store_error)? {
                Updated::Conflict(there) => base = (there.revision(), data_of(there.entries())?),
                Updated::Updated | Updated::Ended(_) | Updated::Missing => return Ok(()),
            }
        }
        Err(Error::Backend(String::from(
            "too many concurrent requests save this session",
        )))
    }

    async fn load(&self, id: &Id) -> Result<Option<TheirRecord>> {
        let Some(record) = self.find(&self.identity(*id)).await? else {
            return Ok(None);
        };
        let mut data = data_of(record.entries())?;
        put_loaded(&mut data, record.revision());
        Ok(Some(TheirRecord {
            id: *id,
            data,
            expiry_date: date(record.limits().deadline()),
        }))
    }

    async fn delete(&self, id: &Id) -> Result<()> {
        self.end(&self.identity(*id), EndReason::Destroyed).await
    }
}

impl<S> Clone for TowerSessionsStore<S> {
    fn clone(&self) -> Self {
        Self {
            store: Arc::clone(&self.store),
            realm: Arc::clone(&self.realm),
            clock: Arc::clone(&self.clock),
        }
    }
}

impl<S: Store> fmt::Debug for TowerSessionsStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TowerSessionsStore")
            .field("store", &self.store)
            .field("realm", &self.realm)
            .finish_non_exhaustive()
    }
}

/// Adds to a record's data a copy of itself and its revision.
fn put_loaded(data: &mut Data, revision: Revision) {
    let base: serde_json::Map<String, Value> = data
        .iter()
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let loaded = json!({ "revision": revision.to_bits(), "base": base });
    data.insert(LOADED.to_owned(), loaded);
}

/// Removes what [`put_loaded`] added, and returns it; `None` if the app has cleared the record since.
fn take_loaded(data: &mut Data) -> Option<(Revision, Data)> {
    let mut loaded = data.remove(LOADED)?;
    let revision = loaded.get("revision")?.as_u64()?;
    let Value::Object(base) = loaded.get_mut("base")?.take() else {
        return None;
    };
    Some((Revision::from_bits(revision), base.into_iter().collect()))
}

fn draw_id() -> Result<Id> {
    let mut bytes = [0; 16];
    SystemRng.fill(&mut bytes).map_err(backend_error)?;
    Ok(Id(i128::from_le_bytes(bytes)))
}

fn entries(data: &Data) -> Result<Entries> {
    let mut entries = Entries::new();
    for (key, value) in data {
        entries
            .set(key, value)
            .map_err(|error| Error::Encode(error.to_string()))?;
    }
    Ok(entries)
}

fn data_of(entries: &Entries) -> Result<Data> {
    let decode = |key: &str| match entries.get(key) {
        Ok(value) => Ok((key.to_owned(), value.unwrap_or_default())),
        Err(error) => Err(Error::Decode(error.to_string())),
    };
    entries.keys().map(decode).collect()
}

fn timestamp(date: OffsetDateTime) -> Timestamp {
    let millis = date.unix_timestamp_nanos() / 1_000_000;
    Timestamp::from_millis(u64::try_from(millis).unwrap_or(0))
}

fn date(time: Timestamp) -> OffsetDateTime {
    let nanos = i128::from(time.as_millis()) * 1_000_000;
    OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn backend_error(error: impl fmt::Display) -> Error {
    Error::Backend(error.to_string())
}

/// Converts a store error. The error of tower-sessions keeps only a text, so the cause is logged here.
fn store_error(error: StoreError) -> Error {
    tracing::debug!(
        error = &error as &dyn std::error::Error,
        "store command failed"
    );
    Error::Backend(error.to_string())
}
