//! The sessions of users, from the outside: listed, counted and ended, with or without a request.
//!
//! [`sessions`] is what handlers, administrators and jobs use; [`info`] is what they see of one session;
//! [`revoke_everyone`] ends all sessions of the store.

mod info;
mod revoke_everyone;
mod sessions;

pub use self::info::SessionInfo;
pub use self::sessions::{RevokedBy, Sessions};
