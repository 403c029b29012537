//! The contract of a store, on the memory store and on Redis.

mod bad_records;
mod conformance;
mod formats;
mod model;
mod redis;
