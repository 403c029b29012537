//! The properties of `tests/src/fuzz`, without the other tests: what is built with the instrumentation of a fuzzer
//! is what they need.

#[path = "../../tests/src/faulty_store.rs"]
mod faulty_store;
#[path = "../../tests/src/forward.rs"]
mod forward;
#[path = "../../tests/src/fuzz/mod.rs"]
pub mod fuzz;
