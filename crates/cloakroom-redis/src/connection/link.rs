//! The state of a connection: a client that can be replaced, and what is known about its server.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};
use std::time::{Duration, Instant};

use fred::clients::Client;
use fred::interfaces::ClientLike;
use fred::types::ConnectHandle;
use fred::types::config::Server;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use super::client::{CommandClient, max_in_flight, with_command_options};
use super::rejection::Rejection;
use super::timeouts::Timeouts;
use crate::coalesce::{BoxFuture, InFlight};
use crate::watchdog::Watchdog;

/// How long a recovery may go without being extended, in addition to two replies.
const LEASE: Duration = Duration::from_secs(2);

/// The task that probes a link.
pub(super) type Probe = fn(Attached) -> BoxFuture<()>;

/// What the clones of a connection share.
pub(super) struct SharedLink {
    link: RwLock<Link>,
    probe: Probe,
    /// Whether no task probes the link: none was started yet, or its runtime has ended. The task that
    /// drives the client has then ended as well, if it is ours.
    detached: AtomicBool,
    /// How often a recovery has succeeded.
    recoveries: AtomicU64,
    /// Notifies those who wait for a recovery: it has succeeded, or the server counts as down.
    progress: Notify,
    pub(super) watchdog: Watchdog,
    pub(super) in_flight: InFlight,
    /// With this number of commands in flight, further ones are rejected.
    pub(super) max_in_flight: usize,
    /// Whether fred gives the error of one command to all commands in flight.
    pub(super) shares_errors: bool,
    /// Whether the server is in cluster mode, so that a command has one key: by the configuration, or found out.
    pub(super) is_clustered: AtomicBool,
    pub(super) timeouts: Timeouts,
    /// The server's URL without credentials.
    pub(super) address: String,
}

/// A client, and its tasks.
pub(super) struct Link {
    pub(super) client: CommandClient,
    /// The task that drives the client, if it is ours.
    task: Option<ConnectHandle>,
    /// Whether the server rejected the credentials of the client.
    rejection: Rejection,
    /// The task that probes the link.
    probe: Option<AbortHandle>,
    /// How many links there were before.
    generation: u64,
    /// When it replaced another one, or was reconnected; `None` at first.
    since: Option<Instant>,
}

/// Exists as long as the task that probes a link. Its runtime drops it, which detaches the link.
pub(super) struct Attached {
    link: Weak<SharedLink>,
    generation: u64,
}

impl SharedLink {
    pub(super) fn new(link: Link, probe: Probe, timeouts: Timeouts, address: String) -> Arc<Self> {
        let config = link.client.connection_config();
        let lease = LEASE.saturating_add(timeouts.reply().saturating_mul(2));
        let shared = Arc::new(Self {
            probe,
            detached: AtomicBool::new(true),
            recoveries: AtomicU64::new(0),
            progress: Notify::new(),
            watchdog: Watchdog::new(lease),
            in_flight: InFlight::default(),
            max_in_flight: max_in_flight(&link.client),
            shares_errors: !config.reconnect_errors.is_empty(),
            is_clustered: AtomicBool::new(link.client.is_clustered()),
            timeouts,
            address,
            link: RwLock::new(link),
        });
        shared.start_probe();
        shared
    }

    pub(super) fn client(&self) -> CommandClient {
        Arc::clone(&self.read().client)
    }

    /// The nodes that hold sessions. In a cluster, the primaries that the client is connected to;
    /// otherwise one, which needs no name.
    pub(super) fn nodes(&self) -> Vec<Option<Server>> {
        let client = self.client();
        if client.is_clustered() {
            client.active_connections().into_iter().map(Some).collect()
        } else {
            vec![None]
        }
    }

    /// Whether the client is the app's, which connects and closes it.
    pub(super) fn is_of_app(&self) -> bool {
        self.read().task.is_none()
    }

    /// Whether the server rejected the credentials when the client last tried to connect.
    pub(super) fn is_rejected(&self) -> bool {
        self.read().rejection.is_rejected()
    }

    /// Whether the task that drives the client is ours, and has ended.
    pub(super) fn is_stopped(&self) -> bool {
        self.read().is_stopped()
    }

    /// Whether no task probes the link.
    pub(super) fn is_detached(&self) -> bool {
        self.detached.load(Ordering::Relaxed)
    }

    /// How long ago the link replaced another one, or was reconnected; `None` at first.
    pub(super) fn age(&self) -> Option<Duration> {
        self.read().since.map(|since| since.elapsed())
    }

    /// Records that the client was reconnected.
    pub(super) fn reconnected(&self) {
        self.write().since = Some(Instant::now());
    }

    /// Connects a new client with the same configuration, in the background, in the current runtime.
    /// Returns `None` if the client is the app's.
    pub(super) fn connect_anew(&self) -> Option<Link> {
        let client = {
            let link = self.read();
            link.task.as_ref()?;
            link.client.clone_new()
        };
        Some(Link::connect(client, self.timeouts.command))
    }

    /// Replaces the link. The old one still gets the replies to what was sent on it.
    pub(super) fn install(self: &Arc<Self>, mut new: Link) {
        let (old, generation) = {
            let mut link = self.write();
            new.generation = link.generation + 1;
            new.since = Some(Instant::now());
            let generation = new.generation;
            let old = std::mem::replace(&mut *link, new);
            self.detached.store(false, Ordering::Relaxed);
            (old, generation)
        };
        let replies = self.timeouts.reply();
        tokio::spawn(async move {
            sleep(replies).await;
            drop(old);
        });
        self.spawn_probe(&Handle::current(), generation);
    }

    /// Starts the task that probes the link, in the current runtime, if there is one, and if no task does so.
    pub(super) fn start_probe(self: &Arc<Self>) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let generation = {
            let link = self.write();
            if !self.detached.swap(false, Ordering::Relaxed) {
                return;
            }
            link.generation
        };
        self.spawn_probe(&runtime, generation);
    }

    /// Starts the task that probes the link of this generation, which counts as attached already: a runtime that
    /// shuts down drops the task before this returns, and that must be the last word. Not under the lock, which
    /// the dropped task takes.
    fn spawn_probe(self: &Arc<Self>, runtime: &Handle, generation: u64) {
        let attached = Attached {
            link: Arc::downgrade(self),
            generation,
        };
        let probe = runtime.spawn((self.probe)(attached)).abort_handle();
        let mut link = self.write();
        if link.generation == generation {
            link.probe = Some(probe);
        } else {
            probe.abort();
        }
    }

    /// How often a recovery has succeeded.
    pub(super) fn recoveries(&self) -> u64 {
        self.recoveries.load(Ordering::Acquire)
    }

    /// Records that the connection works, and wakes those who wait for it.
    pub(super) fn recovered(&self) {
        self.recoveries.fetch_add(1, Ordering::Release);
        self.progress.notify_waiters();
    }

    /// Wakes those who wait for the connection in vain.
    pub(super) fn given_up(&self) {
        self.progress.notify_waiters();
    }

    /// Waits until a recovery has succeeded after the first `before`, for no longer than the time of a
    /// command, and not while the server counts as down. Returns whether one has.
    pub(super) async fn recovered_since(&self, before: u64) -> bool {
        let waiting = async {
            loop {
                let progress = self.progress.notified();
                if self.recoveries() != before {
                    return true;
                }
                if self.watchdog.is_down() {
                    return false;
                }
                progress.await;
            }
        };
        let waited = timeout(self.timeouts.command, waiting);
        waited.await.unwrap_or(false)
    }

    fn read(&self) -> RwLockReadGuard<'_, Link> {
        self.link.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Link> {
        self.link.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Link {
    /// Connects a client in the background.
    pub(super) fn connect(client: Client, timeout: Duration) -> Self {
        let rejection = Rejection::observe(&client);
        let task = client.connect();
        Self::new(&client, timeout, Some(task), rejection)
    }

    /// Uses a client that the app connects and closes.
    pub(super) fn of_app(client: &Client, timeout: Duration) -> Self {
        Self::new(client, timeout, None, Rejection::default())
    }

    /// Whether the task that drives the client is ours, and has ended.
    pub(super) fn is_stopped(&self) -> bool {
        self.task.as_ref().is_some_and(ConnectHandle::is_finished)
    }

    fn new(
        client: &Client,
        timeout: Duration,
        task: Option<ConnectHandle>,
        rejection: Rejection,
    ) -> Self {
        Self {
            client: Arc::new(with_command_options(client, timeout)),
            task,
            rejection,
            probe: None,
            generation: 0,
            since: None,
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // Otherwise fred's task would keep the connection open for ever.
        if let Some(task) = &self.task {
            task.abort();
        }
        if let Some(probe) = &self.probe {
            probe.abort();
        }
    }
}

impl Attached {
    /// The link, as long as the store exists.
    pub(super) fn link(&self) -> Option<Arc<SharedLink>> {
        self.link.upgrade()
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        let Some(shared) = self.link.upgrade() else {
            return;
        };
        // Under the lock, so that it cannot detach a link that is just being installed.
        let link = shared.read();
        if link.generation == self.generation {
            shared.detached.store(true, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::runtime::Builder;

    use super::*;

    fn link() -> Arc<SharedLink> {
        let timeouts = Timeouts::default();
        let probe = |attached| -> BoxFuture<()> {
            Box::pin(async move {
                let _attached: Attached = attached;
                pending::<()>().await;
            })
        };
        let link = Link::of_app(&Client::default(), timeouts.command);
        SharedLink::new(link, probe, timeouts, String::new())
    }

    #[test]
    fn a_link_is_attached_as_long_as_the_runtime_of_its_probe_lives() {
        let link = link();
        assert!(link.is_detached(), "there is no runtime");
        for _ in 0..2 {
            let runtime = Builder::new_current_thread().build().unwrap();
            runtime.block_on(async { link.start_probe() });
            assert!(!link.is_detached());
            drop(runtime);
            assert!(link.is_detached());
        }
    }

    #[test]
    fn a_probe_that_starts_while_its_runtime_shuts_down_leaves_the_link_detached() {
        let link = link();
        let runtime = Builder::new_current_thread().build().unwrap();
        let ended = runtime.handle().clone();
        drop(runtime);
        ended.block_on(async { link.start_probe() });
        assert!(link.is_detached(), "nothing probes it");
    }

    #[test]
    fn a_probe_of_a_former_link_does_not_detach_its_successor() {
        let link = link();
        let runtimes = [(), ()].map(|()| Builder::new_current_thread().enable_time().build());
        let [first, second] = runtimes.map(Result::unwrap);
        first.block_on(async { link.start_probe() });
        let timeout = link.timeouts.command;
        second.block_on(async { link.install(Link::of_app(&Client::default(), timeout)) });
        drop(first);
        assert!(!link.is_detached());
        drop(second);
        assert!(link.is_detached());
    }
}
