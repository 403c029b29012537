//! Users with very many sessions, on a Redis that is a millisecond away in each direction.
//!
//! What one request does is limited, whatever their number; other users do not notice it.

mod index;
mod limit;
mod lists;

use std::time::Duration;

use cloakroom::{SessionId, SessionLayer, SessionLayerBuilder, SessionLimit};
use cloakroom_redis::RedisStore;
use tests::app::app;
use tests::browser::Browser;
use tests::large_user::{Contents, IndexFormat, index_key, seed};
use tests::redis::RedisServer;
use tests::topology::DelayedPort;

/// The default time that a request may wait for the store is one second. A debug build on a busy machine gets more: the
/// tests count commands as well.
const STORE_TIMEOUT: Duration = Duration::from_secs(10);

const LATENCY: Duration = Duration::from_millis(1);

/// A server with the sessions of the user "ada", and a port in front of it that is far away.
struct Far {
    server: RedisServer,
    port: DelayedPort,
    /// The ids of her sessions, the oldest first.
    ids: Vec<SessionId>,
}

impl Far {
    fn with_sessions(count: usize) -> Self {
        Self::with(count, Contents::Sessions, IndexFormat::Current)
    }

    fn with(count: usize, contents: Contents, format: IndexFormat) -> Self {
        let server = RedisServer::start();
        let ids = seed(&server, "ada", count, contents, format);
        let port = DelayedPort::start(server.port(), LATENCY);
        Self { server, port, ids }
    }

    async fn store(&self) -> RedisStore {
        let url = format!("redis://127.0.0.1:{}", self.port.port());
        let store = RedisStore::builder(url, "cloakroom")
            .with_command_timeout(STORE_TIMEOUT)
            .with_connect_timeout(STORE_TIMEOUT);
        store.connect().await.expect("the server is running")
    }

    async fn builder(&self) -> SessionLayerBuilder {
        SessionLayer::builder(self.store().await).with_store_timeout(STORE_TIMEOUT)
    }

    async fn layer(&self) -> SessionLayer {
        self.builder().await.build().expect("it is valid")
    }

    async fn limited(&self, limit: SessionLimit) -> SessionLayer {
        let builder = self.builder().await.with_session_limit(limit);
        builder.build().expect("the store keeps an index")
    }

    async fn browser(&self, limit: SessionLimit) -> Browser {
        Browser::new(app(self.limited(limit).await))
    }

    /// How many ids are in her index.
    fn indexed(&self) -> i64 {
        self.server.command(&["ZCARD", &index_key("ada")]).number()
    }

    /// How many ids that count towards the limit are in her index.
    fn counted(&self) -> i64 {
        self.server
            .command(&["ZCOUNT", &index_key("ada"), "0", "+inf"])
            .number()
    }
}
