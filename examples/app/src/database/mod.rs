//! The database: users, the carts that they have left behind, and the audit log.

mod audit;
mod carts;
mod users;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};

pub(crate) use self::audit::AuditRow;
pub(crate) use self::carts::Cart;
pub(crate) use self::users::Credentials;

/// The tables, and the key of an event in the audit log. A user of the identity provider has neither an account name nor a
/// password.
const SCHEMA: [&str; 4] = [
    "CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, account TEXT UNIQUE, name TEXT NOT NULL, \
     password TEXT, identity TEXT UNIQUE, email TEXT, is_staff INTEGER NOT NULL DEFAULT 0, totp_secret BLOB, \
     totp_step INTEGER NOT NULL DEFAULT 0)",
    "CREATE TABLE IF NOT EXISTS carts (user INTEGER PRIMARY KEY, cart TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS audit (id INTEGER PRIMARY KEY, at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP, \
     what TEXT NOT NULL, session TEXT, origin TEXT, user TEXT, impersonator TEXT, reason TEXT, user_agent TEXT, \
     address TEXT)",
    "CREATE UNIQUE INDEX IF NOT EXISTS audit_events ON audit (what, session, IFNULL(origin, ''))",
];

/// The database, which counts the queries for records of users. Clones share it.
#[derive(Clone, Debug)]
pub struct Database {
    pool: SqlitePool,
    queries: Arc<AtomicU64>,
}

impl Database {
    /// Opens a file, or a database in memory.
    ///
    /// # Errors
    ///
    /// If it cannot be opened.
    pub async fn open(file: Option<&str>) -> Result<Self, sqlx::Error> {
        let options = match file {
            Some(file) => SqliteConnectOptions::new().filename(file),
            None => SqliteConnectOptions::new().in_memory(true),
        };
        // A database in memory belongs to its connection.
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None);
        let pool = pool.connect_with(options.create_if_missing(true)).await?;
        for statement in SCHEMA {
            sqlx::query(statement).execute(&pool).await?;
        }
        Ok(Self {
            pool,
            queries: Arc::default(),
        })
    }

    /// Lets all further queries fail.
    #[cfg(test)]
    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }

    /// Returns how many records of users were queried.
    #[must_use]
    pub fn queries(&self) -> u64 {
        self.queries.load(Ordering::Relaxed)
    }
}
