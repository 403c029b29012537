//! The users.

use std::sync::atomic::Ordering;

use super::Database;
use crate::app::User;

/// What a sign-in is checked against.
#[derive(Debug)]
pub(crate) struct Credentials {
    pub(crate) id: i64,
    /// The hash; `None` for a user of the identity provider.
    pub(crate) password: Option<String>,
}

impl Database {
    /// Adds a user with this hash of a password, unless there is one with this account name. Returns the id of the new user.
    pub(crate) async fn add_user(
        &self,
        name: &str,
        hash: &str,
        is_staff: bool,
    ) -> Result<Option<i64>, sqlx::Error> {
        let insert = "INSERT INTO users (account, name, password, is_staff) VALUES (?, ?, ?, ?) \
                      ON CONFLICT DO NOTHING RETURNING id";
        let insert = sqlx::query_scalar(insert)
            .bind(name.to_lowercase())
            .bind(name)
            .bind(hash)
            .bind(is_staff);
        insert.fetch_optional(&self.pool).await
    }

    /// Returns the record of a user, and counts the query.
    ///
    /// # Errors
    ///
    /// If the query fails.
    pub async fn user(&self, id: i64) -> Result<Option<User>, sqlx::Error> {
        self.queries.fetch_add(1, Ordering::Relaxed);
        let query = "SELECT id, name, email, is_staff, password IS NOT NULL, totp_secret IS NOT NULL \
                     FROM users WHERE id = ?";
        let row: Option<(i64, String, Option<String>, bool, bool, bool)> = sqlx::query_as(query)
            .bind(id)
            .fetch_optional(&self.pool)
            .await?;
        Ok(row.map(
            |(id, name, email, is_staff, has_password, has_second_factor)| User {
                id,
                name,
                email,
                is_staff,
                has_password,
                has_second_factor,
            },
        ))
    }

    /// Returns ids and names of the first hundred users.
    pub(crate) async fn all_users(&self) -> Result<Vec<(i64, String)>, sqlx::Error> {
        let query = sqlx::query_as("SELECT id, name FROM users ORDER BY id LIMIT 100");
        query.fetch_all(&self.pool).await
    }

    /// Returns what the sign-in of an account is checked against.
    pub(crate) async fn credentials(
        &self,
        account: &str,
    ) -> Result<Option<Credentials>, sqlx::Error> {
        let query = "SELECT id, password FROM users WHERE account = ?";
        let query = sqlx::query_as(query).bind(account.trim().to_lowercase());
        let row: Option<(i64, Option<String>)> = query.fetch_optional(&self.pool).await?;
        Ok(row.map(|(id, password)| Credentials { id, password }))
    }

    /// Returns the hash of a user's password; `None` for a user of the identity provider.
    pub(crate) async fn password(&self, id: i64) -> Result<Option<String>, sqlx::Error> {
        let query = sqlx::query_scalar("SELECT password FROM users WHERE id = ?").bind(id);
        let hash: Option<Option<String>> = query.fetch_optional(&self.pool).await?;
        Ok(hash.flatten())
    }

    /// Returns the account name of a user; `None` for a user of the identity provider.
    pub(crate) async fn account(&self, id: i64) -> Result<Option<String>, sqlx::Error> {
        let query = sqlx::query_scalar("SELECT account FROM users WHERE id = ?").bind(id);
        let account: Option<Option<String>> = query.fetch_optional(&self.pool).await?;
        Ok(account.flatten())
    }

    /// Returns the id of the user with this identity at the provider, who is added if there is none.
    pub(crate) async fn user_of_identity(
        &self,
        identity: &str,
        name: &str,
    ) -> Result<i64, sqlx::Error> {
        let insert = "INSERT INTO users (name, identity) VALUES (?, ?) \
                      ON CONFLICT (identity) DO UPDATE SET identity = identity RETURNING id";
        let insert = sqlx::query_scalar(insert).bind(name).bind(identity);
        insert.fetch_one(&self.pool).await
    }

    /// Changes the name that is shown.
    pub(crate) async fn rename(&self, id: i64, name: &str) -> Result<(), sqlx::Error> {
        let update = sqlx::query("UPDATE users SET name = ? WHERE id = ?");
        update.bind(name).bind(id).execute(&self.pool).await?;
        Ok(())
    }

    /// Stores a confirmed address.
    pub(crate) async fn set_email(&self, id: i64, email: &str) -> Result<(), sqlx::Error> {
        let update = sqlx::query("UPDATE users SET email = ? WHERE id = ?");
        update.bind(email).bind(id).execute(&self.pool).await?;
        Ok(())
    }

    /// Stores the hash of a new password.
    pub(crate) async fn set_password(&self, id: i64, hash: &str) -> Result<(), sqlx::Error> {
        let update = sqlx::query("UPDATE users SET password = ? WHERE id = ?");
        update.bind(hash).bind(id).execute(&self.pool).await?;
        Ok(())
    }

    /// Stores the secret of the second factor.
    pub(crate) async fn set_totp_secret(&self, id: i64, secret: &[u8]) -> Result<(), sqlx::Error> {
        let update = sqlx::query("UPDATE users SET totp_secret = ? WHERE id = ?");
        update.bind(secret).bind(id).execute(&self.pool).await?;
        Ok(())
    }

    /// Returns the secret of a user's second factor.
    pub(crate) async fn totp_secret(&self, id: i64) -> Result<Option<Vec<u8>>, sqlx::Error> {
        let query = sqlx::query_scalar("SELECT totp_secret FROM users WHERE id = ?").bind(id);
        let secret: Option<Option<Vec<u8>>> = query.fetch_optional(&self.pool).await?;
        Ok(secret.flatten())
    }

    /// Records that the code of a step was used. Returns whether it is newer than all that were: each works once.
    pub(crate) async fn use_totp_step(&self, id: i64, step: i64) -> Result<bool, sqlx::Error> {
        let update =
            sqlx::query("UPDATE users SET totp_step = ?1 WHERE id = ?2 AND totp_step < ?1");
        let updated = update.bind(step).bind(id).execute(&self.pool).await?;
        Ok(updated.rows_affected() == 1)
    }
}
