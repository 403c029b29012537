//! The Lua scripts one by one, on a real server: what the first comment of each promises, at every boundary of its
//! conditions. `scripts/mutants lua` runs the tests of a script with each of its mutants, so the module of a script has
//! its name. End-to-end tests are in `tests/tests`.

mod cache;
mod limit;
mod redis;
mod server;
