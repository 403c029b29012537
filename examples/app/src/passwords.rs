//! Hashes of passwords.

use std::sync::Arc;
use std::thread;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{Error, PasswordHasher, PasswordVerifier};
#[cfg(test)]
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// A hash of no password. It is verified if there is no user, so that the response takes as long.
const DECOY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5J3Mgc2FsdA$\
                     NDI0MjQyNDI0MjQyNDI0MjQyNDI0MjQyNDI0MjQyNDI";

/// Hashes and verifies passwords, as many at once as there are cores: each takes 19 MiB. Further requests wait without this
/// memory. The guard of sign-ins and the limit of registrations bound how many one client can send.
#[derive(Clone, Debug)]
pub(crate) struct Passwords(Arc<Semaphore>);

impl Passwords {
    pub(crate) fn new() -> Self {
        let cores = thread::available_parallelism().map_or(1, Into::into);
        Self(Arc::new(Semaphore::new(cores)))
    }

    /// Returns whether the password is right; without a hash never, after the same time.
    pub(crate) async fn verify(&self, password: String, hash: Option<String>) -> bool {
        let has_user = hash.is_some();
        let hash = hash.unwrap_or_else(|| DECOY.to_owned());
        let verify = move || {
            PasswordHash::new(&hash).is_ok_and(|hash| {
                let verified = Argon2::default().verify_password(password.as_bytes(), &hash);
                verified.is_ok()
            })
        };
        self.run(verify).await && has_user
    }

    /// Hashes a password.
    pub(crate) async fn hash(&self, password: String) -> Result<String, Error> {
        let hash = move || {
            let hash = Argon2::default().hash_password(password.as_bytes())?;
            Ok(hash.to_string())
        };
        self.run(hash).await
    }

    /// Lets all others wait.
    #[cfg(test)]
    pub(crate) async fn occupy(&self) -> OwnedSemaphorePermit {
        let all = u32::try_from(self.0.available_permits()).unwrap();
        Arc::clone(&self.0).acquire_many_owned(all).await.unwrap()
    }

    /// Runs `work` on a blocking thread, since it takes tens of milliseconds. It keeps its permit also if the request is
    /// cancelled, which does not stop it.
    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let permit = Arc::clone(&self.0).acquire_owned().await;
        let permit = permit.expect("the semaphore is never closed");
        let work = spawn_blocking(move || {
            let result = work();
            drop(permit);
            result
        });
        work.await
            .expect("hashing does not panic, and is never cancelled")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn only_the_right_password_of_a_user_is_accepted() {
        let passwords = Passwords::new();
        let right = passwords.hash("right".to_owned()).await.unwrap();
        let verify = async |password: &str, hash| passwords.verify(password.to_owned(), hash).await;
        assert!(verify("right", Some(right.clone())).await);
        assert!(!verify("wrong", Some(right)).await);
        assert!(!verify("right", None).await);
        assert!(PasswordHash::new(DECOY).is_ok(), "it is verified");
    }

    #[tokio::test]
    async fn hashing_and_verifying_wait_for_a_permit() {
        let passwords = Passwords(Arc::new(Semaphore::new(1)));
        let password = "password".to_owned();
        let permit = passwords.0.acquire().await.unwrap();
        let mut hash = Box::pin(passwords.hash(password.clone()));
        let mut verify = Box::pin(passwords.verify(password.clone(), None));
        assert!((&mut hash).now_or_never().is_none());
        assert!((&mut verify).now_or_never().is_none());
        drop(permit);
        // It belongs to the first of those who wait.
        assert_eq!(passwords.0.available_permits(), 0);
        assert!(hash.await.is_ok());
        assert_eq!(passwords.0.available_permits(), 0);
        assert!(!verify.await);
        assert_eq!(passwords.0.available_permits(), 1);
    }

    #[tokio::test]
    async fn cancelled_work_keeps_its_permit_until_it_is_done() {
        let passwords = Passwords(Arc::new(Semaphore::new(1)));
        let (finish, finished) = mpsc::channel::<()>();
        let mut work = Box::pin(passwords.run(move || finished.recv()));
        assert!((&mut work).now_or_never().is_none());
        drop(work);
        assert_eq!(passwords.0.available_permits(), 0);
        finish.send(()).unwrap();
        drop(passwords.0.acquire().await.unwrap());
    }
}
