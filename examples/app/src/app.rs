//! What handlers use.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRef;
use cloakroom_cache::{Cached, SessionUser};
use cloakroom_limit::{DeviceKey, LoginGuard, RateLimitLayer, RateLimiter};
use serde::{Deserialize, Serialize};

use crate::database::Database;
use crate::limits;
use crate::outbox::Outbox;
use crate::passwords::Passwords;
use crate::routes::oauth::Provider;
use crate::storage::Storage;

/// The record of a user, without the hash of the password and the secret of the second factor: what is cached can be read
/// in Redis.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct User {
    /// The id, with which users sign in.
    pub id: i64,
    /// The name that is shown.
    pub name: String,
    /// The confirmed address.
    pub email: Option<String>,
    /// Whether the user may see the admin page, and act as others.
    pub is_staff: bool,
    /// Whether the user has a password here. Users of the identity provider have none.
    pub has_password: bool,
    /// Whether a sign-in needs a code.
    pub has_second_factor: bool,
}

impl SessionUser for User {
    type Id = i64;
}

/// How the app is deployed. All servers have the same.
#[derive(Clone, Debug)]
pub struct Config {
    /// The address in browsers: `http://localhost:3000`.
    pub url: String,
    /// The issuer of the identity provider: `http://127.0.0.1:3001`.
    pub provider: String,
    /// A secret of the deployment, from which keys are derived: at least 32 bytes.
    pub secret: String,
    /// How long a sign-in counts as recent.
    pub recent_sign_in: Duration,
    /// Whether mail is printed to stdout.
    pub prints_mail: bool,
}

/// The state of the handlers.
#[derive(Clone, Debug)]
pub struct App {
    pub(crate) database: Database,
    pub(crate) users: Cached<i64, User>,
    pub(crate) guard: LoginGuard,
    pub(crate) email_codes: RateLimiter,
    pub(crate) registrations: RateLimitLayer,
    pub(crate) passwords: Passwords,
    pub(crate) outbox: Outbox,
    pub(crate) provider: Provider,
    pub(crate) config: Arc<Config>,
}

/// For `CurrentUser`.
impl FromRef<App> for Cached<i64, User> {
    fn from_ref(app: &App) -> Self {
        app.users.clone()
    }
}

/// For the routes of the identity provider.
impl FromRef<App> for Provider {
    fn from_ref(app: &App) -> Self {
        app.provider.clone()
    }
}

impl App {
    /// Creates the cache of the users, the guard of their passwords, and the client of the identity provider.
    ///
    /// # Errors
    ///
    /// If an option is out of bounds, or an address is not a URL.
    pub fn new(
        config: Config,
        database: Database,
        storage: &Storage,
    ) -> Result<Self, Box<dyn Error>> {
        let loader = database.clone();
        let users = Cached::builder(&storage.cache(), "user")
            .with_fresh_for(Duration::from_secs(5 * 60))
            .with_stale_for(Duration::from_secs(60))
            .build(move |id| {
                let database = loader.clone();
                async move { database.user(id).await }
            })?;
        let key = DeviceKey::derived_from(&config.secret)?;
        Ok(Self {
            database,
            users,
            guard: LoginGuard::builder(&storage.limits(), [key]).build()?,
            email_codes: limits::email_codes(&storage.limits())?,
            registrations: limits::registrations(&storage.limits())?,
            passwords: Passwords::new(),
            outbox: Outbox::new(config.prints_mail),
            provider: Provider::new(&config.provider, &config.url, config.recent_sign_in)?,
            config: Arc::new(config),
        })
    }

    /// Adds a user, unless there is one with this account name. Returns the id of the new user.
    ///
    /// # Errors
    ///
    /// If a query fails, or the password cannot be hashed.
    pub async fn add_user(
        &self,
        name: &str,
        password: &str,
        is_staff: bool,
    ) -> Result<Option<i64>, Box<dyn Error + Send + Sync>> {
        // Before the password is hashed, which is expensive.
        if self.database.credentials(name).await?.is_some() {
            return Ok(None);
        }
        let hash = self.passwords.hash(password.to_owned()).await?;
        Ok(self.database.add_user(name, &hash, is_staff).await?)
    }

    /// Returns the letters that the app has sent.
    #[must_use]
    pub const fn outbox(&self) -> &Outbox {
        &self.outbox
    }
}
