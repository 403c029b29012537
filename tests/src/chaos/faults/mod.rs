//! The faults. Each starts its own servers, causes a fault under load, and returns the outcome.
//!
//! They need a multi-threaded runtime: a fault blocks its thread while the load continues.

mod app;
mod network;
mod quiet;
mod server;
mod topology;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::task::block_in_place;
use tokio::time::sleep;

use super::{Load, Loss, Outcome};
pub use app::stopped_and_continued;
pub use network::{
    accepted_without_replies, address_changes, commands_delayed_and_duplicated, commands_lost,
    half_open, replies_lost, replies_truncated, slow,
};
pub use quiet::{
    cluster_quiet_then_silent, one_request_per_idle_period, quiet_then_silent,
    sentinel_quiet_then_silent,
};
pub use server::{
    clients_killed, cluster_mode_behind_plain_url, frozen, keys_deleted, killed_and_empty,
    killed_with_data, loading, memory_full, read_only, scripts_flushed, scripts_forbidden,
};
pub use topology::{
    cluster_node_silent, cluster_primary_killed, cluster_slots_migrated, sentinel_failover,
    sentinel_failover_frozen,
};

/// How long a fault lasts, where the test controls that.
const FAULT_DURATION: Duration = Duration::from_millis(1500);

type Running = Pin<Box<dyn Future<Output = Outcome>>>;

/// Passes the names of all faults, in the order of the table, to another macro.
#[macro_export]
macro_rules! every_fault {
    ($callback:ident) => {
        $callback! {
            killed_with_data,
            killed_and_empty,
            frozen,
            clients_killed,
            scripts_flushed,
            scripts_forbidden,
            keys_deleted,
            memory_full,
            read_only,
            loading,
            cluster_mode_behind_plain_url,
            stopped_and_continued,
            slow,
            replies_truncated,
            half_open,
            commands_lost,
            replies_lost,
            accepted_without_replies,
            quiet_then_silent,
            one_request_per_idle_period,
            commands_delayed_and_duplicated,
            address_changes,
            sentinel_quiet_then_silent,
            sentinel_failover,
            sentinel_failover_frozen,
            cluster_quiet_then_silent,
            cluster_node_silent,
            cluster_primary_killed,
            cluster_slots_migrated,
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
