//! The sessions of users, from the outside: listed, counted and ended, with or without a request.
//!
//! [`limit`] says how many a user may have; [`handle`] is what handlers, administrators and jobs
//! hold; [`info`] what they see of a session; [`everything`] ends all there is.

mod everything;
mod handle;
mod info;
mod limit;

pub use self::handle::{EndedBy, Sessions};
pub use self::info::SessionInfo;
pub use self::limit::SessionLimit;
