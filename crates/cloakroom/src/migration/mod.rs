//! Sessions that move in from another system, which the app used before.
//!
//! [`legacy`] is the contract of that system's store, [`config`] how sessions migrate,
//! [`legacy_cookie`] what a request carries of it.

pub(crate) mod config;
pub(crate) mod legacy;
pub(crate) mod legacy_cookie;

pub use self::config::{Arrivals, MigrationKey};
pub use self::legacy::{OldEnded, OldId, OldSession, Predecessor};
pub(crate) use self::legacy_cookie::{Former, Presented};
