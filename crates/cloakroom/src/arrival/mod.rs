//! Sessions that move in from another system, which the app used before.
//!
//! [`predecessor`] is what this crate must know of that system, [`config`] how sessions move,
//! [`presented`] what a request carries of it. [`entrance`] begins the session that takes an old one's
//! place; [`companion`] looks after an old one that lives on beside.

pub(crate) mod companion;
mod config;
pub(crate) mod entrance;
mod predecessor;
mod presented;

pub use self::config::{Arrivals, MigrationKey};
pub use self::predecessor::{OldEnded, OldId, OldSession, Predecessor};
pub(crate) use self::presented::{Former, Presented};
