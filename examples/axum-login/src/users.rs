//! Who may sign in: what axum-login asks for, and nothing of Cloakroom's.

use std::convert::Infallible;

use axum_login::{AuthUser, AuthnBackend};
use serde::Deserialize;

#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) name: String,
}

impl AuthUser for User {
    type Id = String;

    fn id(&self) -> String {
        self.name.clone()
    }

    /// With real passwords, their hash: who changes it is signed out everywhere else.
    fn session_auth_hash(&self) -> &[u8] {
        self.name.as_bytes()
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct Credentials {
    name: String,
    password: String,
}

/// A toy: everybody's password is `coat`. A real app hashes passwords and compares in constant time.
#[derive(Clone, Debug)]
pub(crate) struct Users;

impl AuthnBackend for Users {
    type User = User;
    type Credentials = Credentials;
    type Error = Infallible;

    async fn authenticate(&self, given: Credentials) -> Result<Option<User>, Infallible> {
        let is_right = given.password == "coat";
        Ok(is_right.then_some(User { name: given.name }))
    }

    async fn get_user(&self, name: &String) -> Result<Option<User>, Infallible> {
        Ok(Some(User { name: name.clone() }))
    }
}
