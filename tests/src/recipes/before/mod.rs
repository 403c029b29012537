//! Everyday tasks on tower-sessions, as one writes them without helpers: the counterparts of [`after`](super::after).

pub mod flash;
pub mod guards;
pub mod impersonation;
pub mod oauth;
