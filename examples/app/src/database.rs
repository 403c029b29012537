//! The users, in SQLite.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};

use crate::User;
use crate::passwords;

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
        let table = "CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, account TEXT NOT NULL UNIQUE, \
                     name TEXT NOT NULL, password TEXT NOT NULL)";
        sqlx::query(table).execute(&pool).await?;
        Ok(Self {
            pool,
            queries: Arc::default(),
        })
    }

    /// Adds a user, unless there is one who signs in with this name.
    ///
    /// # Errors
    ///
    /// If the query fails, or the password cannot be hashed.
    pub async fn add_user(
        &self,
        name: &str,
        password: &str,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let hash = passwords::hash(password.to_owned()).await?;
        let insert =
            "INSERT INTO users (account, name, password) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";
        let insert = sqlx::query(insert)
            .bind(name.to_lowercase())
            .bind(name)
            .bind(hash);
        insert.execute(&self.pool).await?;
        Ok(())
    }

    /// Returns the record of a user, and counts the query.
    ///
    /// # Errors
    ///
    /// If the query fails.
    pub async fn user(&self, id: i64) -> Result<Option<User>, sqlx::Error> {
        self.queries.fetch_add(1, Ordering::Relaxed);
        let query = sqlx::query_as("SELECT id, name FROM users WHERE id = ?").bind(id);
        let row: Option<(i64, String)> = query.fetch_optional(&self.pool).await?;
        Ok(row.map(|(id, name)| User { id, name }))
    }

    /// Returns how many records of users were queried.
    #[must_use]
    pub fn queries(&self) -> u64 {
        self.queries.load(Ordering::Relaxed)
    }

    /// Returns the id and the password hash of the user who signs in with this name.
    pub(crate) async fn credentials(
        &self,
        account: &str,
    ) -> Result<Option<(i64, String)>, sqlx::Error> {
        let query = sqlx::query_as("SELECT id, password FROM users WHERE account = ?");
        let query = query.bind(account.trim().to_lowercase());
        query.fetch_optional(&self.pool).await
    }

    /// Changes the name that is shown.
    pub(crate) async fn rename(&self, id: i64, name: &str) -> Result<(), sqlx::Error> {
        let update = sqlx::query("UPDATE users SET name = ? WHERE id = ?");
        update.bind(name).bind(id).execute(&self.pool).await?;
        Ok(())
    }
}
