//! Where sessions are kept: in memory, or in Redis.

use cloakroom::core::StoreError;
use cloakroom::{MemoryStore, SessionLayer};
use cloakroom_redis::{ConnectError, Health, RedisStore};
use url::Url;

/// Where sessions are kept.
#[derive(Clone)]
pub(crate) enum Storage {
    Memory(MemoryStore),
    Redis { store: RedisStore, address: String },
}

impl Storage {
    /// Connects to the Redis at `url`; without one, memory will do.
    pub(crate) async fn open(url: Option<&str>) -> Result<Self, ConnectError> {
        let Some(url) = url else {
            return Ok(Self::Memory(MemoryStore::new()));
        };
        Ok(Self::Redis {
            store: RedisStore::connect(url).await?,
            address: without_credentials(url),
        })
    }

    /// The layer that keeps its sessions here.
    pub(crate) fn sessions(&self) -> SessionLayer {
        match self {
            Self::Memory(store) => SessionLayer::new(store.clone()),
            Self::Redis { store, .. } => SessionLayer::new(store.clone()),
        }
    }

    /// How the server is; `None` where there is none.
    pub(crate) async fn check(&self) -> Result<Option<Health>, StoreError> {
        match self {
            Self::Memory(_) => Ok(None),
            Self::Redis { store, .. } => store.check().await.map(Some),
        }
    }

    /// What it is called, for people.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Memory(_) => "memory",
            Self::Redis { address, .. } => address,
        }
    }

    /// What becomes of the sessions, for who starts the app.
    pub(crate) fn in_words(&self) -> String {
        match self {
            Self::Memory(_) => "Sessions are kept in memory, until this stops.".to_owned(),
            Self::Redis { address, .. } => format!("Sessions are kept in {address}."),
        }
    }
}

/// The URL without user, password and parameters: it is shown on a page.
fn without_credentials(url: &str) -> String {
    let Ok(url) = Url::parse(url) else {
        return "Redis".to_owned();
    };
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}"));
    let path = url.path().trim_end_matches('/');
    format!(
        "{}://{host}{}{path}",
        url.scheme(),
        port.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::without_credentials;

    #[test]
    fn an_address_is_shown_without_credentials() {
        let shown = |url| without_credentials(url);
        assert_eq!(shown("redis://127.0.0.1"), "redis://127.0.0.1");
        assert_eq!(shown("redis://me:secret@host:1/2?a=b"), "redis://host:1/2");
        assert_eq!(
            shown("redis+unix:///run/redis.sock"),
            "redis+unix:///run/redis.sock"
        );
        assert_eq!(shown("secret"), "Redis");
    }
}
