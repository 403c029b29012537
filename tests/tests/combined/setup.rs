//! Servers of one app with any combination of features: the only place that constructs stores and layers.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cloakroom::{
    CookieConfig, CookieKey, DeviceTracking, MemoryStore, Migration, MigrationKey, Rotation,
    SessionLayer, SessionLimit, Store, TokenHeader, minutes,
};
use cloakroom_core::{ManualClock, codec, store::Loaded};
use cloakroom_redis::{NearCache, RedisStore};
use cloakroom_tower_sessions::migration::TowerSessionsRedis;
use tests::generous;
use tests::redis::RedisServer;
use tests::resp::Reply;
use tests::stale_cache::StaleCache;
use tests::topology::Replicated;
use tests::wait::within;

/// For tests that are not about time, on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// How old a secret becomes, where secrets rotate.
pub(crate) const EVERY: Duration = minutes(15);

/// Where the sessions of all servers are.
#[derive(Debug)]
pub(crate) enum Storage {
    Memory(MemoryStore),
    Redis(RedisServer),
    Replicated(Replicated),
}

/// A cache in front of the store of each server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Near {
    #[default]
    Off,
    /// The near cache of the Redis store.
    Cache,
    /// One whose invalidations arrive when the test says so.
    Stale,
}

/// The phase of a migration from tower-sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Phase {
    #[default]
    Off,
    SideBySide,
    Cutover,
}

/// How the cookie is sealed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Seal {
    #[default]
    Off,
    Signed,
    Encrypted,
}

/// What the layers are configured with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Features {
    pub(crate) near: Near,
    pub(crate) rotation: bool,
    pub(crate) devices: bool,
    pub(crate) limit: Option<SessionLimit>,
    pub(crate) phase: Phase,
    pub(crate) header: bool,
    pub(crate) seal: Seal,
    pub(crate) cookie: Option<CookieConfig>,
    pub(crate) realm: Option<&'static str>,
}

/// Two servers of one app.
pub(crate) struct Servers {
    pub(crate) layers: [SessionLayer; 2],
    pub(crate) clock: ManualClock,
    invalidate: Vec<Box<dyn Fn() + Send + Sync>>,
}

impl Storage {
    pub(crate) fn memory(clock: &ManualClock) -> Self {
        Self::Memory(MemoryStore::with_clock(clock.clone()))
    }

    pub(crate) fn redis() -> Self {
        Self::Redis(RedisServer::start())
    }

    pub(crate) fn replicated() -> Self {
        Self::Replicated(Replicated::start(1))
    }

    /// The Redis server that is written to.
    pub(crate) fn server(&self) -> Option<&RedisServer> {
        match self {
            Self::Memory(_) => None,
            Self::Redis(server) => Some(server),
            Self::Replicated(servers) => Some(servers.primary()),
        }
    }

    /// Connects a server to Redis.
    pub(crate) async fn connect(&self) -> RedisStore {
        let server = self.server().expect("the storage is Redis");
        let mut builder = generous::redis(server.url(), "cloakroom");
        if matches!(self, Self::Replicated(_)) {
            builder = builder.with_replica_acks(1, PATIENCE / 2);
        }
        builder.connect().await.expect("Redis runs")
    }

    /// The stored live sessions, as text. Every handler writes an entry `cart` or `mark-…`, by which a
    /// session is recognized, in any format.
    pub(crate) async fn live(&self) -> Vec<String> {
        let values = match self {
            Self::Memory(store) => in_memory(store).await,
            Self::Redis(_) | Self::Replicated(_) => in_redis(self.server().expect("it is Redis")),
        };
        let ours = |text: &String| text.contains("cart") || text.contains("mark-");
        values.into_iter().filter(ours).collect()
    }

    /// How many live sessions are of this user, and how many of others or of nobody.
    pub(crate) async fn count(&self, user: &str) -> (usize, usize) {
        let live = self.live().await;
        // A text of JSON, or of the MessagePack that tower-sessions writes: a byte before it that is not
        // UTF-8. The name alone could be in a digest.
        let (json, message_pack) = (format!("\"{user}\""), format!("\u{fffd}{user}"));
        let is_of_user = |text: &&String| text.contains(&json) || text.contains(&message_pack);
        let of_user = live.iter().filter(is_of_user).count();
        (of_user, live.len() - of_user)
    }
}

async fn in_memory(store: &MemoryStore) -> Vec<String> {
    let admin = store.admin().expect("it has store-wide operations");
    let mut values = Vec::new();
    for id in tests::records::all_ids(&admin).await {
        if let Ok(Loaded::Record(record)) = store.load(id).await {
            values.push(codec::encode(&record));
        }
    }
    values
}

fn in_redis(server: &RedisServer) -> Vec<String> {
    let keys = server.command(&["KEYS", "*"]).list();
    let values = keys.into_iter().filter_map(|key| {
        // The index of a user is not a string.
        match server.command(&["GET", &key.text()]) {
            Reply::Bytes(value) => Some(String::from_utf8_lossy(&value).into_owned()),
            _ => None,
        }
    });
    values.collect()
}

/// Starts two servers on one storage.
pub(crate) async fn servers(
    storage: &Storage,
    clock: &ManualClock,
    features: &Features,
) -> Servers {
    let mut invalidate: Vec<Box<dyn Fn() + Send + Sync>> = Vec::new();
    let mut layers = Vec::new();
    for _ in 0..2 {
        let layer = match storage {
            Storage::Memory(store) => cached(store.clone(), clock, features, None, &mut invalidate),
            Storage::Redis(_) | Storage::Replicated(_) => {
                let store = storage.connect().await;
                let migration = migration(&store, features.phase);
                if features.near == Near::Cache {
                    let near = NearCache::new(store);
                    within("coherent", PATIENCE, async || near.stats().coherent).await;
                    layer(near, clock, features, migration)
                } else {
                    cached(store, clock, features, migration, &mut invalidate)
                }
            }
        };
        layers.push(layer);
    }
    let layers = layers.try_into().expect("there are two");
    Servers {
        layers,
        clock: clock.clone(),
        invalidate,
    }
}

/// A layer on a store, behind a stale cache if there is to be one.
fn cached<S: Store + Clone>(
    store: S,
    clock: &ManualClock,
    features: &Features,
    migration: Option<Migration>,
    invalidate: &mut Vec<Box<dyn Fn() + Send + Sync>>,
) -> SessionLayer {
    if features.near != Near::Stale {
        return layer(store, clock, features, migration);
    }
    let cache = StaleCache::new(store);
    let handle = cache.clone();
    invalidate.push(Box::new(move || handle.invalidate()));
    layer(cache, clock, features, migration)
}

/// A layer on a store. Every test of this binary gets its layers from here.
pub(crate) fn layer(
    store: impl Store,
    clock: &ManualClock,
    features: &Features,
    migration: Option<Migration>,
) -> SessionLayer {
    let mut layer = generous::layer_builder(store)
        .with_clock(clock.clone())
        .with_cookie(cookie(features));
    if let Some(realm) = features.realm {
        layer = layer.with_realm(realm);
    }
    if features.rotation {
        layer = layer.with_rotation(Rotation::every(EVERY));
    }
    if features.devices {
        layer = layer.with_device_tracking(DeviceTracking::new());
    }
    if let Some(limit) = features.limit {
        layer = layer.with_session_limit(limit);
    }
    if features.header {
        layer = layer.with_token_header(TokenHeader::named(HEADER));
    }
    if let Some(migration) = migration {
        layer = layer.with_migration(migration);
    }
    layer.build().expect("the configuration is valid")
}

/// The header that carries the token of clients without cookies.
pub(crate) const HEADER: &str = "x-session";

/// The header that asks for a first token.
pub(crate) const EMPTY: &str = "";

fn cookie(features: &Features) -> CookieConfig {
    let cookie = features.cookie.clone().unwrap_or_default();
    let key =
        || CookieKey::derived_from(b"a secret of at least thirty-two bytes").expect("it is long");
    match features.seal {
        Seal::Off => cookie,
        Seal::Signed => cookie.signed([key()]),
        Seal::Encrypted => cookie.encrypted([key()]),
    }
}

fn migration(store: &RedisStore, phase: Phase) -> Option<Migration> {
    let legacy = TowerSessionsRedis::new(store);
    match phase {
        Phase::Off => None,
        Phase::SideBySide => Some(Migration::side_by_side(legacy, migration_key())),
        Phase::Cutover => Some(Migration::cutover(legacy, migration_key())),
    }
}

fn migration_key() -> MigrationKey {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let day = 24 * 60 * 60;
    let began = now.expect("it is later than 1970").as_secs() / day * day - 20 * day;
    MigrationKey::new(b"a secret of at least 32 bytes, for tests", began).expect("it is long")
}

impl Servers {
    /// Delivers the invalidations that were held back. Those of a real near cache need a moment.
    pub(crate) async fn settle(&self, features: &Features) {
        self.invalidate.iter().for_each(|invalidate| invalidate());
        if features.near == Near::Cache {
            tokio::time::sleep(Duration::from_millis(1200)).await;
        }
    }
}

impl fmt::Debug for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Servers").finish_non_exhaustive()
    }
}

/// Two servers with these features, and their storage.
pub(crate) async fn shop(memory: bool, features: &Features) -> (Arc<Storage>, Servers) {
    let clock = ManualClock::default();
    let storage = if memory {
        Storage::memory(&clock)
    } else {
        Storage::redis()
    };
    let servers = servers(&storage, &clock, features).await;
    (Arc::new(storage), servers)
}

/// Runs each of the tests on a memory store and on Redis.
macro_rules! on_both {
    ($($test:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$test(true).await;
            })*
        }

        mod redis {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$test(false).await;
            })*
        }
    };
}
pub(crate) use on_both;
