//! What must hold for any bytes that come from outside. `scripts/fuzz` lets a fuzzer look for bytes for
//! which it does not; `tests/fuzz.rs` tries some of its own. Both begin from `fuzz/seeds`.

mod cookie_header;
mod record;
pub mod seeds;

use std::str;

use cloakroom_core::Token;

pub use self::cookie_header::cookie_header;
pub use self::record::record;

/// A token is read if it is the text of one, byte for byte, and nothing else is.
///
/// # Panics
///
/// When that does not hold.
pub fn token(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    if let Some(token) = Token::parse(text) {
        assert_eq!(token.encode(), text, "one token, one text");
    }
}
