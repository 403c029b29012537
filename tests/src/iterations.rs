//! How many iterations randomized tests run: few by default, many in long runs.

use std::env;

/// The environment variable that selects the long runs.
pub const VARIABLE: &str = "CLOAKROOM_LONG";

/// The number of iterations: `short` by default, `long` with `CLOAKROOM_LONG=1` in the environment.
///
/// # Panics
///
/// When the variable is neither empty nor `0` nor `1`: a typing error must not make a long run short.
#[must_use]
pub fn times<N>(short: N, long: N) -> N {
    match env::var(VARIABLE).as_deref() {
        Err(env::VarError::NotPresent) | Ok("" | "0") => short,
        Ok("1") => long,
        other => panic!("{VARIABLE} is 0 or 1, not {other:?}"),
    }
}
