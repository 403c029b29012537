//! The sessions of users, from the outside: listed, counted and ended, with or without a request.
//!
//! [`sessions`] and [`revoke`] are what handlers, administrators and jobs use; [`info`] is what they see of one
//! session; [`password`] ends the others when the password has changed; [`pages`] reads the index of a user;
//! [`revoke_impersonations`] ends the sessions in which others act as a user; [`revoke_everyone`] ends all sessions
//! of the store.

mod info;
mod pages;
mod password;
mod revoke;
mod revoke_everyone;
mod revoke_impersonations;
mod sessions;

pub use self::info::{SessionInfo, SessionPage};
pub use self::sessions::{RevokedBy, Sessions};
