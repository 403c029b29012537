//! A store of any kind, and the servers of one app on it: for tests that run on every store.

use std::time::Duration;

use cloakroom::{
    CookieConfig, MemoryStore, SessionEvent, SessionId, SessionLayer, SessionLayerBuilder,
    Sessions, Store, Subscription, UserId,
};
use cloakroom_core::{EventBus, ManualClock, Realm, StoreError, UserIndex, UserKey};
use cloakroom_redis::RedisStore;

use crate::app::app;
use crate::browser::Browser;
use crate::generous;
use crate::redis::RedisServer;
use crate::topology::Cluster;

/// How long a subscription may take to be established.
const PATIENCE: Duration = Duration::from_secs(10);

/// A store, and the clock of all servers on it.
#[derive(Debug)]
pub struct Backend {
    kind: Kind,
    /// The clock of all servers.
    pub clock: ManualClock,
}

#[derive(Debug)]
enum Kind {
    Memory(MemoryStore),
    Redis(RedisServer),
    Cluster(Cluster),
}

impl Backend {
    /// A memory store.
    #[must_use]
    pub fn memory() -> Self {
        let clock = ManualClock::default();
        let store = MemoryStore::with_clock(clock.clone());
        Self {
            kind: Kind::Memory(store),
            clock,
        }
    }

    /// A Redis of its own.
    #[must_use]
    pub fn redis() -> Self {
        Self {
            kind: Kind::Redis(RedisServer::start()),
            clock: ManualClock::default(),
        }
    }

    /// A Redis Cluster of its own.
    #[must_use]
    pub fn cluster() -> Self {
        Self {
            kind: Kind::Cluster(Cluster::start()),
            clock: ManualClock::default(),
        }
    }

    /// The Redis server.
    ///
    /// # Panics
    ///
    /// When the store is another one.
    #[must_use]
    pub fn server(&mut self) -> &mut RedisServer {
        match &mut self.kind {
            Kind::Redis(server) => server,
            other => panic!("{other:?} is not a single server"),
        }
    }

    /// Another server of the app, with a connection of its own and the default layer.
    ///
    /// # Panics
    ///
    /// When the defaults are not valid.
    pub async fn layer(&self) -> SessionLayer {
        let builder = self.builder().await;
        builder.build().expect("the defaults are valid")
    }

    /// Another server of the app, with a connection of its own, to be configured.
    pub async fn builder(&self) -> SessionLayerBuilder {
        let builder = match &self.kind {
            Kind::Memory(store) => SessionLayer::builder(store.clone()),
            Kind::Redis(server) => SessionLayer::builder(connect(&server.url()).await),
            Kind::Cluster(cluster) => SessionLayer::builder(connect(&cluster.url()).await),
        };
        builder.with_clock(self.clock.clone())
    }

    /// A browser without cookies on another server of the app.
    pub async fn browser(&self) -> Browser {
        Browser::new(app(self.layer().await))
    }

    /// The `Sessions` handle of a background job.
    pub async fn sessions(&self) -> Sessions {
        self.layer().await.sessions()
    }

    /// Subscribes to events, and waits until the subscription is established.
    ///
    /// # Panics
    ///
    /// When it is not.
    pub async fn listen(&self, layer: &SessionLayer) -> Subscription {
        let mut events = layer.sessions().events().expect("there is a bus");
        if !matches!(self.kind, Kind::Memory(_)) {
            let first = tokio::time::timeout(PATIENCE, events.next()).await;
            assert_eq!(
                first.expect("it is established"),
                Some(SessionEvent::Missed)
            );
        }
        events
    }

    /// Publishes an event, as anybody could who may publish on the channel.
    ///
    /// # Panics
    ///
    /// When it cannot be published.
    pub async fn publish(&self, event: &SessionEvent) {
        let published = match &self.kind {
            Kind::Memory(store) => EventBus::publish(store, event).await,
            Kind::Redis(server) => connect(&server.url()).await.publish(event).await,
            Kind::Cluster(cluster) => connect(&cluster.url()).await.publish(event).await,
        };
        published.expect("it is published");
    }

    /// The session ids in the index of a user: the first page.
    ///
    /// # Panics
    ///
    /// When the index cannot be read.
    pub async fn entered(&self, user: impl Into<UserId>) -> Vec<SessionId> {
        let key = UserKey::new(&Realm::new(CookieConfig::DEFAULT_NAME), &user.into());
        let entered = match &self.kind {
            Kind::Memory(store) => entered(store, &key).await,
            Kind::Redis(server) => entered(&connect(&server.url()).await, &key).await,
            Kind::Cluster(cluster) => entered(&connect(&cluster.url()).await, &key).await,
        };
        entered.expect("the index responds")
    }
}

async fn connect(url: &str) -> RedisStore {
    let store = generous::connect(url, "cloakroom").await;
    store.expect("the server is running")
}

async fn entered(store: &impl Store, key: &UserKey) -> Result<Vec<SessionId>, StoreError> {
    let index = store.index().expect("the store keeps an index");
    index.list(key, None).await
}

/// Runs each of the tests on a memory store and on Redis.
#[macro_export]
macro_rules! on_every_store {
    ($($test:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$test(tests::backend::Backend::memory()).await;
            })*
        }

        mod redis {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$test(tests::backend::Backend::redis()).await;
            })*
        }
    };
}

/// Runs each of the tests in memory, on Redis and on a Cluster, with what the type sets up for each.
#[macro_export]
macro_rules! on_every_backend {
    ($setup:ty: $($test:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$test(<$setup>::memory()).await;
            })*
        }

        mod redis {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$test(<$setup>::redis()).await;
            })*
        }

        mod cluster {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$test(<$setup>::cluster()).await;
            })*
        }
    };
}
