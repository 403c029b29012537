//! fred, set up so that it cannot hang, and brought back when it stopped.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;

use fred::clients::{Client, WithOptions};
use fred::error::Error as FredError;
use fred::interfaces::{ClientLike, EventInterface, MetricsInterface};
use fred::types::config::{
    ConnectionConfig, Options, PerformanceConfig, ReconnectPolicy, Server, ServerConfig, TcpConfig,
    UnresponsiveConfig,
};
use fred::types::{ConnectHandle, RespVersion, Value};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::address::Address;
use crate::coalesce::Coalescer;
use crate::error::{ConnectError, store_error};
use crate::event;
use crate::verdict::{Effect, Verdict};
use crate::watchdog::{Cure, Watchdog};
use cloakroom_core::{StoreError, StoreErrorKind};

/// So many commands may wait for the connection; one more is refused at once.
///
/// fred's own bound lies above and is never reached: at it, fred 10.1 forgets to count a refused
/// command out again, and from then on flushes native commands only in bundles of 200.
/// (`interfaces::send_to_router` counts up, `ClientInner::send_command` answers a full queue with
/// `Ok`.) And a lost connection that finds no room for its order to reconnect ends fred's task.
const QUEUE: usize = 10_000;

/// So many messages of a subscription wait to be handed on.
const MESSAGES: usize = 1024;

/// How often a cure is tried, at most: each costs the commands in flight their answers.
const CURE_INTERVAL: Duration = Duration::from_secs(1);

/// How long fred may take to connect anew before it is looked at.
const CURE_LIMIT: Duration = Duration::from_secs(2);

/// How long after a sign of life that did not come the next is asked for.
const PROBE_PAUSE: Duration = Duration::from_millis(20);

/// How long answers may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// For a command, from the call to the answer.
    pub(crate) command: Duration,
    /// For opening a connection, and once more for its greeting.
    pub(crate) connect: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            command: Duration::from_millis(250),
            connect: Duration::from_millis(500),
        }
    }
}

/// A client that answers in bounded time. Clones share it; when the last goes, it disconnects.
#[derive(Clone)]
pub(crate) struct Connection(Arc<Shared>);

struct Shared {
    link: RwLock<Link>,
    watchdog: Watchdog,
    /// The length of the queue from which on commands are refused.
    queue: usize,
    /// Whether fred answers every command in flight with an error that one of them got.
    shares_errors: bool,
    limit: Duration,
    shown: String,
    coalescer: Coalescer,
}

/// A client, and the task that drives it, if it is ours.
struct Link {
    client: Arc<WithOptions<Client>>,
    task: Option<ConnectHandle>,
}

impl Connection {
    /// Connects, and waits for it, for a bounded time.
    pub(crate) async fn open(address: Address, limits: Limits) -> Result<Self, ConnectError> {
        let servers = address.config.server.hosts().len() + 1;
        let shown = address.shown.clone();
        let client = client(address, limits);
        let mut errors = client.error_rx();
        let link = Link::start(client, limits.command);
        let bound = limits
            .connect
            .saturating_mul(2)
            .saturating_mul(u32::try_from(servers).unwrap_or(u32::MAX))
            .saturating_add(Duration::from_millis(200));
        let first = async {
            // fred tells of a connection by an event that one may miss; its state is asked instead.
            while !link.client.is_connected() {
                if let Ok(Ok((error, _))) = timeout(Duration::from_millis(5), errors.recv()).await {
                    return Err(ConnectError::no_connection(&shown, &error));
                }
            }
            Ok(())
        };
        match timeout(bound, first).await {
            Ok(connected) => connected?,
            Err(_) => return Err(ConnectError::too_slow(&shown, bound)),
        }
        Ok(Self::new(link, limits.command, shown))
    }

    /// Connects in the background, for as long as it takes.
    pub(crate) fn open_lazily(address: Address, limits: Limits) -> Self {
        let shown = address.shown.clone();
        let link = Link::start(client(address, limits), limits.command);
        Self::new(link, limits.command, shown)
    }

    /// Takes a client that its owner connects and closes.
    pub(crate) fn from_client(client: Client) -> Self {
        let limit = Limits::default().command;
        let link = Link {
            client: Arc::new(client.with_options(&options(limit))),
            task: None,
        };
        Self::new(link, limit, "a client of the app's".to_owned())
    }

    fn new(link: Link, limit: Duration, shown: String) -> Self {
        let config = link.client.connection_config();
        Self(Arc::new(Shared {
            queue: match config.max_command_buffer_len {
                0 => QUEUE,
                bound => QUEUE.min(bound / 2).max(1),
            },
            shares_errors: !config.reconnect_errors.is_empty(),
            link: RwLock::new(link),
            watchdog: Watchdog::default(),
            limit,
            shown,
            coalescer: Coalescer::default(),
        }))
    }

    /// Where its commands meet.
    pub(crate) fn coalescer(&self) -> &Coalescer {
        &self.0.coalescer
    }

    /// Where the server is, without credentials.
    pub(crate) fn address(&self) -> &str {
        &self.0.shown
    }

    /// The time limit of a command.
    pub(crate) fn limit(&self) -> Duration {
        self.0.limit
    }

    /// Another client of the same configuration, not connected yet, that speaks the protocol in which
    /// commands can be sent beside a subscription.
    pub(crate) fn another_client(&self) -> Client {
        self.client_of(None, MESSAGES)
    }

    /// The servers that hold sessions: each primary of a cluster that the client is connected to, none
    /// while it is connected to none; otherwise the one that needs no name.
    pub(crate) fn nodes(&self) -> Vec<Option<Server>> {
        let client = self.0.client();
        match client.is_clustered() {
            true => client.active_connections().into_iter().map(Some).collect(),
            false => vec![None],
        }
    }

    /// The same, for one server of a cluster alone, and with room for so many messages.
    pub(crate) fn client_of(&self, server: Option<Server>, messages: usize) -> Client {
        let client = self.0.client();
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

    /// Whether keys may lie on different servers.
    ///
    /// # Errors
    ///
    /// As [`client`](Self::client).
    pub(crate) fn is_clustered(&self) -> Result<bool, StoreError> {
        Ok(self.client()?.is_clustered())
    }

    /// The client for one command; unless the server is known to be down, or too many wait already.
    pub(crate) fn client(&self) -> Result<Arc<WithOptions<Client>>, StoreError> {
        if self.0.watchdog.is_down() {
            return Err(StoreError::new(StoreErrorKind::Unavailable));
        }
        let client = self.0.client();
        let waiting = client.command_queue_len().max(self.0.coalescer.in_flight());
        if waiting < self.0.queue {
            Ok(client)
        } else {
            self.failed(Verdict::TimedOut);
            Err(StoreError::new(StoreErrorKind::Unavailable))
        }
    }

    /// Takes note of what came of a command, and puts its error into our words.
    pub(crate) fn settle<T>(
        &self,
        result: Result<T, FredError>,
        effect: Effect,
    ) -> Result<T, StoreError> {
        match result {
            Ok(reply) => {
                self.0.watchdog.saw_answer();
                Ok(reply)
            }
            Err(error) => {
                self.failed(Verdict::of(&error));
                Err(store_error(&error, effect, self.0.shares_errors))
            }
        }
    }

    fn failed(&self, verdict: Verdict) {
        if let Some(cure) = self.0.watchdog.saw_failure(verdict, || self.0.stopped()) {
            tokio::spawn(carry_out(cure, Arc::downgrade(&self.0)));
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("server", &self.0.shown)
            .field("state", &self.0.client().state())
            .field("command_time_limit", &self.0.limit)
            .finish()
    }
}

impl Shared {
    fn client(&self) -> Arc<WithOptions<Client>> {
        let link = self.link.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&link.client)
    }

    /// Whether the task that drives the client is ours, and has ended.
    fn stopped(&self) -> bool {
        let link = self.link.read().unwrap_or_else(PoisonError::into_inner);
        link.task.as_ref().is_some_and(ConnectHandle::is_finished)
    }

    /// Gives up the client, if it is ours, for a new one of the same configuration.
    fn replace(&self) {
        let mut link = self.link.write().unwrap_or_else(PoisonError::into_inner);
        if link.task.is_some() {
            let client = link.client.clone_new();
            *link = Link::start(client, self.limit);
        }
    }
}

impl Link {
    fn start(client: Client, limit: Duration) -> Self {
        let task = client.connect();
        Self {
            client: Arc::new(client.with_options(&options(limit))),
            task: Some(task),
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // fred's task would hold the connection for ever.
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// Makes the connection anew, once or until the server answers. It runs in a task of its own, and no
/// request waits for it. It ends with the store.
async fn carry_out(cure: Cure, shared: Weak<Shared>) {
    let began = Instant::now();
    if let Some(shared) = shared.upgrade().filter(|_| cure == Cure::UntilItAnswers) {
        event::down(&shared.shown);
    }
    loop {
        let next = Instant::now() + CURE_INTERVAL;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        reconnect(&shared).await;
        if cure == Cure::UntilItAnswers {
            if !answers_before(next, &shared).await {
                continue;
            }
            shared.watchdog.is_up();
            event::up_again(&shared.shown, began.elapsed());
        }
        sleep_until(next).await;
        return shared.watchdog.cured();
    }
}

async fn reconnect(shared: &Shared) {
    let client = shared.client();
    // In any other state than `Connected`, fred is busy with it already.
    if client.is_connected() {
        let forced = timeout(CURE_LIMIT, client.force_reconnection()).await;
        if !matches!(forced, Ok(Ok(()))) && client.is_connected() {
            shared.replace();
        }
    } else if shared.stopped() {
        shared.replace();
    }
}

/// Asks for signs of life, until there is one or it is time to connect anew.
async fn answers_before(next: Instant, shared: &Shared) -> bool {
    while Instant::now() < next {
        let pong: Result<Value, FredError> = shared.client().ping(None).await;
        // An error that the server sends is an answer, too: commands get theirs as fast.
        let silent = |error| {
            matches!(
                Verdict::of(&error),
                Verdict::TimedOut | Verdict::NeverSent | Verdict::Unclear
            )
        };
        if !pong.is_err_and(silent) {
            return true;
        }
        sleep(PROBE_PAUSE).await;
    }
    false
}

fn client(address: Address, limits: Limits) -> Client {
    let Address { mut config, .. } = address;
    // The task shall go on after a first attempt that failed; `open` is who gives up.
    config.fail_fast = false;
    let performance = PerformanceConfig {
        default_command_timeout: limits.command,
        ..PerformanceConfig::default()
    };
    let connection = ConnectionConfig {
        connection_timeout: limits.connect,
        internal_command_timeout: limits.connect,
        max_command_attempts: 1,
        // To follow one takes a second attempt, which fred would also use to send again what it knows
        // nothing of. `command` sends again what is known to be somewhere else.
        max_redirections: 0,
        max_command_buffer_len: 2 * QUEUE,
        unresponsive: UnresponsiveConfig {
            max_timeout: Some(Duration::from_secs(1).max(limits.command.saturating_mul(4))),
            interval: Duration::from_millis(250),
        },
        tcp: TcpConfig {
            nodelay: Some(true),
            ..TcpConfig::default()
        },
        // fred would give the error of one command to all in flight, and reconnect at every one.
        // The watchdog does it instead, once a second at most.
        reconnect_errors: Vec::new(),
        ..ConnectionConfig::default()
    };
    let policy = reconnect_policy();
    Client::new(config, Some(performance), Some(connection), Some(policy))
}

fn reconnect_policy() -> ReconnectPolicy {
    let mut policy = ReconnectPolicy::new_exponential(0, 50, 1000, 2);
    policy.set_jitter(20);
    policy
}

fn options(limit: Duration) -> Options {
    Options {
        timeout: Some(limit),
        max_attempts: Some(1),
        max_redirections: Some(0),
        fail_fast: true,
        ..Options::default()
    }
}
