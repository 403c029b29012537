//! The tasks of [`before`](super::before) with Cloakroom. `tests/everyday` runs the same checks on both.

pub mod flash;
pub mod guards;
pub mod impersonation;
pub mod oauth;
