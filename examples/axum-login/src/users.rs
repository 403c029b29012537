//! The users, for axum-login. Nothing here is specific to Cloakroom.

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

    /// With real passwords, return their hash: changing the password then signs the user out everywhere else.
    fn session_auth_hash(&self) -> &[u8] {
        self.name.as_bytes()
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct Credentials {
    name: String,
    password: String,
}

/// For the example only: every user's password is `password`. A real app hashes passwords and compares in constant time.
#[derive(Clone, Debug)]
pub(crate) struct Users;

impl AuthnBackend for Users {
    type User = User;
    type Credentials = Credentials;
    type Error = Infallible;

    async fn authenticate(&self, given: Credentials) -> Result<Option<User>, Infallible> {
        let is_right = given.password == "password";
        Ok(is_right.then_some(User { name: given.name }))
    }

    async fn get_user(&self, name: &String) -> Result<Option<User>, Infallible> {
        Ok(Some(User { name: name.clone() }))
    }
}
