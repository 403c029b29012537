//! Health checks: the state of a server, and warnings about what endangers sessions.
//!
//! `info` reads the reply to `INFO`, `warning` and `report` are what the app gets, and `parse` makes a
//! report of a reply.

mod info;
mod parse;
mod report;
mod warning;

#[cfg(feature = "near-cache")]
pub(crate) use self::info::Info;
pub use self::report::{Health, Role, ServerKind, ServerMode};
pub use self::warning::Warning;
