//! Concurrent and cancelled requests: no update is lost, no ended session comes back, and every
//! outcome is one that a sequential model allows.

mod cancellation;
mod edits;
mod histories;
mod layer_model;
mod servers;
mod sign_in;
mod sign_out;
