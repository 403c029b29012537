//! The session cookie.
//!
//! [`config`] is its configuration, [`seal`] signs or encrypts it, [`headers`] reads it from the headers of a
//! request and writes it into those of a response. [`tokens`] are those that a request presents, [`former`] are
//! cookies that were configured earlier. [`withheld`] finds requests whose browser may not have sent its cookie,
//! [`refused`] those whose browser does not accept one. [`token_header`] is the alternative for clients that are not browsers.

pub(crate) mod config;
mod former;
pub(crate) mod headers;
pub(crate) mod refused;
pub(crate) mod seal;
pub(crate) mod token_header;
pub(crate) mod tokens;
pub(crate) mod withheld;

pub use self::config::{CookieConfig, CookieLifetime};
#[cfg(feature = "sealed-cookies")]
pub use self::seal::CookieKey;
pub use self::token_header::TokenHeader;
pub use self::withheld::EditsDiscarded;
pub use cookie::SameSite;
