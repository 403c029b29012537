//! The sessions of users, from the outside: listed, counted and ended, with or without a request.
//!
//! [`sessions`] is what handlers, administrators and jobs use; [`info`] is what they see of one session;
//! [`end_everything`] ends all sessions of the store.

mod end_everything;
mod info;
mod sessions;

pub use self::info::SessionInfo;
pub use self::sessions::{EndedBy, Sessions};
