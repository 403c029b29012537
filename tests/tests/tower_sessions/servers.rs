//! A real Redis, and its contents.

use cloakroom_redis::RedisStore;
use tests::generous;
use tests::redis::RedisServer;
use tests::resp::Reply;

pub(crate) struct Redis(pub(crate) RedisServer);

impl Redis {
    pub(crate) fn start() -> Self {
        Self(RedisServer::start())
    }

    pub(crate) fn url(&self) -> String {
        self.0.url()
    }

    pub(crate) async fn store(&self) -> RedisStore {
        generous::connect(&self.url(), "cloakroom")
            .await
            .expect("Redis is running")
    }

    /// Whether any key or value contains a text.
    pub(crate) fn holds(&self, text: &str) -> bool {
        let keys = self.0.keys_with_ttl();
        assert!(!keys.is_empty());
        keys.iter().any(|(key, _)| {
            let Reply::Bytes(value) = self.0.command(&["GET", key]) else {
                panic!("{key} is no string");
            };
            key.contains(text) || String::from_utf8_lossy(&value).contains(text)
        })
    }
}
