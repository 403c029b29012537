//! The ticket's way to the browser and back.
//!
//! [`config`] says what the cookie is like, [`seal`] signs or encrypts it, [`transport`] reads it
//! from a request's headers and writes it into an answer's.

pub(crate) mod config;
pub(crate) mod seal;
pub(crate) mod transport;

pub use self::config::{CookieConfig, CookieLifetime};
#[cfg(feature = "seal")]
pub use self::seal::SealKey;
pub use cookie::SameSite;
