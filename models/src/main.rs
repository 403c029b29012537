//! Models of Cloakroom's protocols. A model checker explores all states that their actors can reach, with lost
//! replies, commands that arrive late and crashes at every step, and checks a property in each.
//!
//! `cargo test -p models` checks small configurations, and that every property is violated when the line of the
//! protocol that keeps it is removed. `cargo run --release -p models` prints the same as a table, and with `--long`
//! also checks larger configurations. `docs/proofs.md` explains the models.

mod check;
mod failover;
mod index;
mod migration;
mod near_cache;
mod renewal;
mod revocation;
mod rotation;
mod writers;

fn main() {}
