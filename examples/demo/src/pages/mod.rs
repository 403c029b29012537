//! What one sees: a file for each page or form, on top of a common [`layout`].

pub(crate) mod admin;
pub(crate) mod assets;
pub(crate) mod devices;
pub(crate) mod errors;
pub(crate) mod health;
pub(crate) mod home;
mod layout;
pub(crate) mod live;
pub(crate) mod notes;
pub(crate) mod safe;
pub(crate) mod sign_in;
pub(crate) mod sign_out;
mod ticket;
mod time;
