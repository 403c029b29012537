//! The ticket's way to the browser and back.
//!
//! [`config`] says what the cookie is like, [`seal`] signs or encrypts it, [`headers`] reads it
//! from a request's headers and writes it into an answer's; [`token_header`] is the other way, for
//! clients that are no browsers.

pub(crate) mod config;
pub(crate) mod headers;
pub(crate) mod seal;
pub(crate) mod token_header;

pub use self::config::{CookieConfig, CookieLifetime};
#[cfg(feature = "seal")]
pub use self::seal::SealKey;
pub use self::token_header::TokenHeader;
pub use cookie::SameSite;
