//! A file for each page or form, and the [`layout`] that they share.

pub(crate) mod admin;
pub(crate) mod assets;
pub(crate) mod devices;
mod ended;
pub(crate) mod errors;
pub(crate) mod health;
pub(crate) mod home;
mod layout;
pub(crate) mod live;
pub(crate) mod notes;
pub(crate) mod security;
mod session_panel;
pub(crate) mod sign_in;
pub(crate) mod sign_out;
mod time;
