//! An app with users in SQLite. The record of the signed-in user is cached: its pages ask the database almost never.

pub mod database;
mod pages;
mod passwords;

use std::error::Error;
use std::time::Duration;

use axum::Router;
use axum::extract::FromRef;
use axum::routing::{get, post};
use cloakroom::{MemoryStore, SessionLayer, SessionLayerBuilder};
use cloakroom_cache::{CacheBackend, Cached, SessionUser};
use cloakroom_limit::{DeviceKey, Limits, LoginGuard};
use cloakroom_redis::{ConnectError, RedisStore};
use serde::{Deserialize, Serialize};
use tower_http::csrf::CsrfLayer;

use crate::database::Database;
use crate::passwords::Passwords;

/// The record of a user, without the hash of the password: what is cached can be read in Redis.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct User {
    /// The id, with which users sign in.
    pub id: i64,
    /// The name that is shown.
    pub name: String,
}

impl SessionUser for User {
    type Id = i64;
}

/// Where sessions, counters and cached records are.
#[derive(Debug)]
pub enum Storage {
    /// For development.
    Memory(MemoryStore, Limits, CacheBackend),
    /// For several servers.
    Redis(RedisStore),
}

impl Storage {
    /// Keeps everything in memory.
    #[must_use]
    pub fn memory() -> Self {
        Self::Memory(
            MemoryStore::new(),
            Limits::in_memory(),
            CacheBackend::in_memory(),
        )
    }

    /// Keeps everything in one Redis.
    ///
    /// # Errors
    ///
    /// If it cannot be reached.
    pub async fn redis(url: &str) -> Result<Self, ConnectError> {
        Ok(Self::Redis(RedisStore::connect(url, "app-example").await?))
    }

    fn sessions(&self) -> SessionLayerBuilder {
        match self {
            Self::Memory(store, ..) => SessionLayer::builder(store.clone()),
            Self::Redis(store) => SessionLayer::builder(store.clone()),
        }
    }

    fn limits(&self) -> Limits {
        match self {
            Self::Memory(_, limits, _) => limits.clone(),
            Self::Redis(store) => Limits::new(store),
        }
    }

    fn cache(&self) -> CacheBackend {
        match self {
            Self::Memory(.., cache) => cache.clone(),
            Self::Redis(store) => CacheBackend::new(store),
        }
    }
}

/// What handlers use.
#[derive(Clone, Debug)]
pub struct App {
    database: Database,
    users: Cached<i64, User>,
    guard: LoginGuard,
    passwords: Passwords,
}

/// For `CurrentUser`.
impl FromRef<App> for Cached<i64, User> {
    fn from_ref(app: &App) -> Self {
        app.users.clone()
    }
}

impl App {
    /// Creates the cache of the users, and the guard of their passwords.
    ///
    /// # Errors
    ///
    /// If an option is out of bounds.
    pub fn new(database: Database, storage: &Storage) -> Result<Self, Box<dyn Error>> {
        let loader = database.clone();
        let users = Cached::builder(&storage.cache(), "user")
            .with_fresh_for(Duration::from_secs(5 * 60))
            .with_stale_for(Duration::from_secs(60))
            .build(move |id| {
                let database = loader.clone();
                async move { database.user(id).await }
            })?;
        // A real app reads this secret from its configuration.
        let key = DeviceKey::derived_from("the secret of the device cookies of the example")?;
        Ok(Self {
            database,
            users,
            guard: LoginGuard::builder(&storage.limits(), [key]).build()?,
            passwords: Passwords::new(),
        })
    }
}

/// Returns the app's routes, inside of the session layer.
///
/// # Panics
///
/// Never: the options of the layer are valid.
pub fn router(app: App, storage: &Storage) -> Router {
    let sessions = storage.sessions().build().expect("the options are valid");
    Router::new()
        .route("/", get(pages::home))
        .route("/sign-in", post(pages::sign_in))
        .route("/sign-out", post(pages::sign_out))
        .route("/name", post(pages::rename))
        .route("/numbers", get(pages::numbers))
        .layer(sessions)
        .layer(CsrfLayer::new())
        .with_state(app)
}
