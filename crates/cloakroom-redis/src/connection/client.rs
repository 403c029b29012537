//! fred's client, configured so that every command fails or succeeds in bounded time.

use std::sync::Arc;
use std::time::Duration;

use fred::clients::{Client, WithOptions};
use fred::interfaces::{ClientLike, MetricsInterface};
use fred::types::RespVersion;
use fred::types::config::{
    ConnectionConfig, Options, PerformanceConfig, ReconnectPolicy, Server, ServerConfig, TcpConfig,
    UnresponsiveConfig,
};
use socket2::TcpKeepalive;
use tokio::time::Instant;

use super::timeouts::Timeouts;
use crate::address::Address;

/// The maximum number of commands in flight; one more is rejected at once.
///
/// fred's own bound is twice as high and is never reached. At its bound, fred 10.1 forgets to count a
/// rejected command out (`interfaces::send_to_router` counts up, `ClientInner::send_command` handles a
/// full queue with `Ok`), and from then on flushes native commands only in groups of 200. And when a
/// connection is lost while the queue is full, there is no room for the order to reconnect, which ends
/// fred's task.
const MAX_IN_FLIGHT: usize = 10_000;

/// A client with the options for one command: it is sent once, with a timeout.
pub(crate) type CommandClient = Arc<WithOptions<Client>>;

/// A client that is not connected yet.
pub(super) fn new_client(address: Address, timeouts: Timeouts) -> Client {
    let Address { mut config, .. } = address;
    // fred's task has to go on after a failed first attempt; `Connection::open` decides when to give up.
    config.fail_fast = false;
    let performance = PerformanceConfig {
        default_command_timeout: timeouts.command,
        ..PerformanceConfig::default()
    };
    let connection = ConnectionConfig {
        connection_timeout: timeouts.connect,
        internal_command_timeout: timeouts.connect,
        max_command_attempts: 1,
        // Following a redirection takes a second attempt, which fred would also use to resend commands
        // of unknown outcome. `command::Executor` resends those that were redirected.
        max_redirections: 0,
        max_command_buffer_len: 2 * MAX_IN_FLIGHT,
        unresponsive: UnresponsiveConfig {
            max_timeout: Some(Duration::from_secs(1).max(timeouts.reply().saturating_mul(4))),
            interval: Duration::from_millis(250),
        },
        tcp: tcp_config(timeouts),
        // fred would give the error of one command to all commands in flight, and reconnect each time.
        // The watchdog reconnects instead, at most once a second.
        reconnect_errors: Vec::new(),
        ..ConnectionConfig::default()
    };
    let policy = reconnect_policy();
    Client::new(config, Some(performance), Some(connection), Some(policy))
}

fn tcp_config(timeouts: Timeouts) -> TcpConfig {
    TcpConfig {
        nodelay: Some(true),
        keepalive: timeouts
            .tcp_keepalive
            .map(|idle| TcpKeepalive::new().with_time(idle)),
        #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
        user_timeout: timeouts.tcp_user,
        ..TcpConfig::default()
    }
}

/// A further client for the same server, not connected yet, for a connection on which the server pushes
/// messages (RESP3). It buffers up to `messages` of them. With `server`, it connects only to that node
/// of a cluster.
pub(super) fn new_push_client(client: &Client, server: Option<Server>, messages: usize) -> Client {
    let mut config = client.client_config();
    if let Some(server) = server {
        config.server = ServerConfig::Centralized { server };
    }
    config.version = RespVersion::RESP3;
    config.fail_fast = false;
    let performance = PerformanceConfig {
        broadcast_channel_capacity: messages,
        ..client.perf_config()
    };
    let connection = ConnectionConfig {
        max_command_buffer_len: 0,
        ..client.connection_config().clone()
    };
    let policy = client.client_reconnect_policy();
    let policy = policy.unwrap_or_else(reconnect_policy);
    Client::new(config, Some(performance), Some(connection), Some(policy))
}

/// The maximum number of commands in flight on a client: at most half of its own bound.
pub(super) fn max_in_flight(client: &Client) -> usize {
    match client.connection_config().max_command_buffer_len {
        0 => MAX_IN_FLIGHT,
        bound => MAX_IN_FLIGHT.min(bound / 2).max(1),
    }
}

/// The number of commands that wait in the client's queue.
pub(super) fn queue_len(client: &Client) -> usize {
    client.command_queue_len()
}

fn reconnect_policy() -> ReconnectPolicy {
    let mut policy = ReconnectPolicy::new_exponential(0, 50, 1000, 2);
    policy.set_jitter(20);
    policy
}

/// Sends each command once, with a timeout, and not at all while there is no connection.
pub(super) fn with_command_options(client: &Client, timeout: Duration) -> WithOptions<Client> {
    client.with_options(&Options {
        timeout: Some(timeout),
        max_attempts: Some(1),
        max_redirections: Some(0),
        fail_fast: true,
        ..Options::default()
    })
}

/// The same client, with what remains of its timeout since `began`.
pub(crate) fn with_remaining_timeout(
    client: &WithOptions<Client>,
    began: Instant,
) -> WithOptions<Client> {
    let timeout = client.options().timeout.unwrap_or_default();
    with_timeout(client, timeout.saturating_sub(began.elapsed()))
}

/// The same client with another timeout: at least 1 ms, since zero means no timeout.
pub(crate) fn with_timeout(client: &WithOptions<Client>, timeout: Duration) -> WithOptions<Client> {
    with_changed_options(client, |options| {
        options.timeout = Some(timeout.max(Duration::from_millis(1)));
    })
}

/// The same client for one node of a cluster; for all nodes with `None`.
pub(crate) fn for_node(client: &WithOptions<Client>, node: Option<Server>) -> WithOptions<Client> {
    with_changed_options(client, |options| options.cluster_node = node)
}

fn with_changed_options(
    client: &WithOptions<Client>,
    change: impl FnOnce(&mut Options),
) -> WithOptions<Client> {
    let mut options = client.options().clone();
    change(&mut options);
    // From the plain client: `WithOptions::with_options` would combine the old and the new options.
    (**client).with_options(&options)
}
