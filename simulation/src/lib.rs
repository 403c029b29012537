//! Seeded histories of several servers on a store with faults, and a checker of histories.
//!
//! One seed is one [`Scenario`](scenario::Scenario): the configuration of two to five servers, the requests of a few browsers, and
//! what goes wrong between the servers and the store. [`simulate`](simulate::simulate) runs it with real session layers in virtual
//! time, which gives a [`History`](history::History); and [`check`](check::check) returns what in it violates a promise. The checker
//! knows nothing of the simulation: the tests use it for histories on a real Redis as well.

pub mod app;
pub mod check;
pub mod client;
pub mod clock;
pub mod history;
pub mod rng;
pub mod scenario;
pub mod shorten;
pub mod simulate;
pub mod store;
pub mod trace;
