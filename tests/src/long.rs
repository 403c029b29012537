//! How hard the tests look: short by default, and long when asked to.

use std::env;

/// The environment variable that asks for the long runs.
pub const VARIABLE: &str = "CLOAKROOM_LONG";

/// How often a test tries something: `short` by default, and `long` if the environment asks for long
/// runs with `CLOAKROOM_LONG=1`.
///
/// # Panics
///
/// When the variable is neither empty nor `0` nor `1`: a long run must not turn short by a slip.
#[must_use]
pub fn times<N>(short: N, long: N) -> N {
    match env::var(VARIABLE).as_deref() {
        Err(env::VarError::NotPresent) | Ok("" | "0") => short,
        Ok("1") => long,
        other => panic!("{VARIABLE} is 0 or 1, not {other:?}"),
    }
}
