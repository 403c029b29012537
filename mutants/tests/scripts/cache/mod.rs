//! The scripts of `cloakroom-cache`.

mod fill;
mod forget_all;
mod read;
mod write;
