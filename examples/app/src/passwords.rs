//! Hashes of passwords.

use std::sync::Arc;
use std::thread;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{Error, PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// A hash of no password. It is verified if there is no user, so that the response takes as long.
const DECOY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5J3Mgc2FsdA$\
                     NDI0MjQyNDI0MjQyNDI0MjQyNDI0MjQyNDI0MjQyNDI";

/// Verifies passwords, as many at once as there are cores: each takes 19 MiB.
#[derive(Clone, Debug)]
pub(crate) struct Passwords(Arc<Semaphore>);

impl Passwords {
    pub(crate) fn new() -> Self {
        let cores = thread::available_parallelism().map_or(1, Into::into);
        Self(Arc::new(Semaphore::new(cores)))
    }

    /// Returns whether the password is right; without a hash never, after the same time.
    pub(crate) async fn verify(&self, password: String, hash: Option<String>) -> bool {
        let Ok(_permit) = self.0.acquire().await else {
            return false;
        };
        let has_user = hash.is_some();
        let hash = hash.unwrap_or_else(|| DECOY.to_owned());
        // On a blocking thread, since it takes tens of milliseconds.
        let is_right = spawn_blocking(move || {
            PasswordHash::new(&hash).is_ok_and(|hash| {
                let verified = Argon2::default().verify_password(password.as_bytes(), &hash);
                verified.is_ok()
            })
        });
        is_right.await.unwrap_or(false) && has_user
    }
}

/// Hashes a password.
pub(crate) async fn hash(password: String) -> Result<String, Error> {
    let hash = spawn_blocking(move || {
        let hash = Argon2::default().hash_password(password.as_bytes())?;
        Ok(hash.to_string())
    });
    hash.await
        .expect("hashing does not panic, and is never cancelled")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_of_a_user_is_accepted() {
        let passwords = Passwords::new();
        let right = hash("right".to_owned()).await.unwrap();
        let verify = async |password: &str, hash| passwords.verify(password.to_owned(), hash).await;
        assert!(verify("right", Some(right.clone())).await);
        assert!(!verify("wrong", Some(right)).await);
        assert!(!verify("right", None).await);
        assert!(PasswordHash::new(DECOY).is_ok(), "it is verified");
    }
}
