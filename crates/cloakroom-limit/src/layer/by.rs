//! What requests are counted by.

use std::fmt;
use std::sync::Arc;

use cloakroom::{ClientAddress, LazySession};
use http::HeaderName;
use http::request::Parts;

use crate::network::network;

/// A function of the app that returns the key of a request.
type KeyOf = Arc<dyn Fn(&Parts) -> Option<String> + Send + Sync>;

/// What requests are counted by: the client's address, the user, the session, a header, or what a function of
/// the app returns. With [`or`](Self::or), requests that lack the one are counted by another.
///
/// Requests that have none of it are counted together, under one key: otherwise clients could avoid the limit
/// by leaving it out.
///
/// ```
/// use std::net::SocketAddr;
/// use axum::extract::ConnectInfo;
/// use cloakroom::ClientAddress;
/// use cloakroom_limit::By;
///
/// let address = ClientAddress::new(|extensions| {
///     extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip())
/// });
/// // By user if one is signed in, otherwise by address.
/// let by = By::user().or(By::address(address));
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct By(Vec<Source>);

#[derive(Clone)]
enum Source {
    Address(ClientAddress),
    User,
    Session,
    Header(HeaderName),
    Request(KeyOf),
    Everyone,
}

impl By {
    /// Counts by the client's address: IPv4 addresses one by one, IPv6 addresses by their first 64 bits,
    /// which is what one customer has at least.
    pub fn address(address: ClientAddress) -> Self {
        Self(vec![Source::Address(address)])
    }

    /// Counts by the user who is signed in. It loads the session, so the layer must be inside of the session
    /// layer; a session that cannot be loaded has no user.
    pub fn user() -> Self {
        Self(vec![Source::User])
    }

    /// Counts by session. Only a live session counts, since clients can make up cookies; it is loaded, so the
    /// layer must be inside of the session layer.
    pub fn session() -> Self {
        Self(vec![Source::Session])
    }

    /// Counts by the value of a header, such as an API key. Check the key before, or count requests by address
    /// as well: clients can make up values.
    pub fn header(name: HeaderName) -> Self {
        Self(vec![Source::Header(name)])
    }

    /// Counts by what `key` returns.
    pub fn request(key: impl Fn(&Parts) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(vec![Source::Request(Arc::new(key))])
    }

    /// Counts all requests together.
    pub fn everyone() -> Self {
        Self(vec![Source::Everyone])
    }

    /// Counts requests without this key by another.
    pub fn or(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Returns the kind of the key, and the key.
    pub(super) async fn key(&self, parts: &Parts) -> (&'static str, Vec<u8>) {
        for source in &self.0 {
            let key = match source {
                Source::Address(address) => address
                    .of(&parts.headers, &parts.extensions)
                    .map(|address| ("address", network(address))),
                Source::User => user(parts).await.map(|user| ("user", user)),
                Source::Session => session(parts).await.map(|id| ("session", id)),
                Source::Header(name) => {
                    let value = parts.headers.get(name);
                    value.map(|value| {
                        (
                            "header",
                            [name.as_str().as_bytes(), value.as_bytes()].join(&b':'),
                        )
                    })
                }
                Source::Request(key) => key(parts).map(|key| ("request", key.into_bytes())),
                Source::Everyone => Some(("everyone", Vec::new())),
            };
            if let Some(key) = key {
                return key;
            }
        }
        ("none", Vec::new())
    }
}

async fn user(parts: &Parts) -> Option<Vec<u8>> {
    let session = parts.extensions.get::<LazySession>()?.load().await.ok()?;
    session.user().map(|user| user.as_bytes().to_vec())
}

async fn session(parts: &Parts) -> Option<Vec<u8>> {
    let session = parts.extensions.get::<LazySession>()?.load().await.ok()?;
    session.id().map(|id| id.to_string().into_bytes())
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::User => f.write_str("User"),
            Self::Session => f.write_str("Session"),
            Self::Header(name) => write!(f, "Header({name})"),
            Self::Request(_) => f.write_str("Request(..)"),
            Self::Everyone => f.write_str("Everyone"),
        }
    }
}
