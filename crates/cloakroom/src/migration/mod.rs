//! Sessions of the system that the app used before, and how they are migrated.
//!
//! [`legacy`] is the contract of the legacy store, [`config`] the configuration of a migration, and
//! [`legacy_cookie`] what a request carries of the legacy system. The steps of a migration are in
//! `load/migrate` and `commit/migrate`.

pub(crate) mod config;
pub(crate) mod legacy;
pub(crate) mod legacy_cookie;

pub use self::config::{Migration, MigrationKey};
pub use self::legacy::{LegacyEnded, LegacyId, LegacySession, LegacyStore};
pub(crate) use self::legacy_cookie::LegacyCookies;
