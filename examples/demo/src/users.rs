//! The accounts, and the hashes of their passwords.

use std::sync::Arc;
use std::thread;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{Error, PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;
use tokio::task::{JoinError, spawn_blocking};

/// Names and passwords. They are shown on the page: this is a demo.
pub(crate) const ACCOUNTS: [(&str, &str); 4] = [
    ("Ada", "ada-password"),
    ("Bela", "bela-password"),
    ("Cleo", "cleo-password"),
    (ADMIN, "mona-password"),
];

/// The administrator, who may see and end the sessions of all users.
pub(crate) const ADMIN: &str = "Mona";

/// The accounts. Clones share them.
#[derive(Clone)]
pub(crate) struct Users {
    accounts: Arc<[Account]>,
    /// Verified when there is no account of the name, so that the response takes as long.
    decoy: Arc<str>,
    /// Limits how many passwords are hashed at once: each takes 19 MiB and a core.
    hashing: Arc<Semaphore>,
}

struct Account {
    name: &'static str,
    hash: Arc<str>,
}

impl Users {
    /// Hashes the passwords.
    pub(crate) async fn hash() -> Result<Self, Error> {
        let (accounts, decoy) = finished(spawn_blocking(hash_all).await)?;
        let cores = thread::available_parallelism().map_or(1, Into::into);
        Ok(Self {
            accounts,
            decoy,
            hashing: Arc::new(Semaphore::new(cores)),
        })
    }

    /// Returns the name of the account as it is spelled here, if the password is right.
    pub(crate) async fn check(&self, name: &str, password: String) -> Option<&'static str> {
        let same_name = |account: &&Account| account.name.eq_ignore_ascii_case(name.trim());
        let account = self.accounts.iter().find(same_name);
        let hash = account.map_or(&self.decoy, |account| &account.hash);

        let _permit = self.hashing.acquire().await.ok()?;
        let hash = Arc::clone(hash);
        // On a blocking thread, since it takes tens of milliseconds.
        let right = finished(spawn_blocking(move || verify(&password, &hash)).await);
        Some(account.filter(|_| right)?.name)
    }
}

fn hash_all() -> Result<(Arc<[Account]>, Arc<str>), Error> {
    let accounts = ACCOUNTS.iter().map(|&(name, password)| {
        let hash = hash(password)?;
        Ok(Account { name, hash })
    });
    let accounts = accounts.collect::<Result<_, Error>>()?;
    Ok((accounts, hash("nobody's")?))
}

fn hash(password: &str) -> Result<Arc<str>, Error> {
    let hash = Argon2::default().hash_password(password.as_bytes())?;
    Ok(hash.to_string().into())
}

fn verify(password: &str, hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| {
        let verified = Argon2::default().verify_password(password.as_bytes(), &hash);
        verified.is_ok()
    })
}

fn finished<T>(task: Result<T, JoinError>) -> T {
    task.expect("hashing does not panic, and is never cancelled")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_is_accepted() {
        let users = Users::hash().await.unwrap();
        let check = async |name, password: &str| users.check(name, password.to_owned()).await;
        assert_eq!(check("Ada", "ada-password").await, Some("Ada"));
        assert_eq!(check(" ada ", "ada-password").await, Some("Ada"));
        assert_eq!(check("Ada", "bela-password").await, None);
        assert_eq!(check("Ada", "").await, None);
        assert_eq!(check("Nobody", "nobody's").await, None);
    }
}
