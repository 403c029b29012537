//! The contract of a store, on every store of this project.

mod bad_records;
mod conformance;
mod model;
mod redis;
