//! What one sees: a file for each page or form, on top of a common [`layout`].

pub(crate) mod assets;
pub(crate) mod errors;
pub(crate) mod health;
pub(crate) mod home;
mod layout;
pub(crate) mod notes;
pub(crate) mod sign_in;
pub(crate) mod sign_out;
mod ticket;
