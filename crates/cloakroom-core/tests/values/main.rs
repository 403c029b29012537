//! What goes into an entry comes out of it, or is refused: a property over serde's data model, and the common
//! types of other crates.

mod data;
mod others;
mod refused;

#[path = "../support/mod.rs"]
mod support;
