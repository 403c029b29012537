//! Properties that must hold for any input from outside. `scripts/fuzz` runs a fuzzer on them, and the
//! test module `sessions::fuzz_targets` repeats what it has found, and tries random inputs. Both start from `fuzz/seeds`.

mod client_address;
mod cookie_header;
mod event;
mod local_path;
mod record;
pub mod seeds;

use std::str;

use cloakroom_core::Token;

pub use self::client_address::client_address;
pub use self::cookie_header::cookie_header;
pub use self::event::event;
pub use self::local_path::local_path;
pub use self::record::record;

/// A token is parsed if and only if it is the encoding of a token, byte for byte.
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
