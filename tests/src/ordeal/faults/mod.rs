//! The faults. Each starts its own servers, lets it go wrong under load, and tells what came of it.
//!
//! They need a runtime of several threads: a fault waits for processes, and the load goes on.

mod network;
mod server;
mod topology;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

// Does what keeps a thread waiting, and lets the others go on.
use tokio::task::block_in_place as aside;
use tokio::time::sleep;

use super::{Loss, Ordeal, Outcome};
pub use network::{
    answers_cut_in_the_middle, commands_that_arrive_late_and_twice, half_open, slow,
    the_address_moves,
};
pub use server::{
    a_script_unknown, clients_killed, frozen, keys_deleted, killed_and_empty, killed_with_data,
    loading, memory_full, read_only,
};
pub use topology::{
    a_cluster_primary_lost, sentinel_failover, sentinel_failover_frozen, slots_move,
};

/// How long a fault lasts, where that is for us to say.
const WHILE: Duration = Duration::from_millis(1500);

type Running = Pin<Box<dyn Future<Output = Outcome>>>;

/// Hands the names of all faults, in the order of the table, to another macro.
#[macro_export]
macro_rules! every_fault {
    ($list:ident) => {
        $list! {
            killed_with_data,
            killed_and_empty,
            frozen,
            clients_killed,
            a_script_unknown,
            keys_deleted,
            memory_full,
            read_only,
            loading,
            slow,
            answers_cut_in_the_middle,
            half_open,
            commands_that_arrive_late_and_twice,
            the_address_moves,
            sentinel_failover,
            sentinel_failover_frozen,
            a_cluster_primary_lost,
            slots_move,
        }
    };
}

macro_rules! boxed {
    ($($fault:ident),* $(,)?) => { vec![$(|| Box::pin($fault())),*] };
}

/// All faults, in the order of the table.
#[must_use]
pub fn all() -> Vec<fn() -> Running> {
    every_fault!(boxed)
}
