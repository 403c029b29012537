//! What a session does for its app.

mod beside;
mod errors;
mod lifecycle;
mod now;
mod secrets;
mod values;
