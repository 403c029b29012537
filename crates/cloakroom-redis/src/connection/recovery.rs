//! Finds out whether a connection still works, and replaces it if it does not.
//!
//! A command without a reply may be slow, or its connection may be dead. So the connection is sent a
//! `PING`, and if there is no reply soon, a new one is opened beside it. What works first is used. The
//! commands in flight on the old connection still get their replies, if there are any.

use std::future::pending;
use std::sync::{Arc, Weak};
use std::time::Duration;

use fred::interfaces::ClientLike;
use tokio::time::{Instant, sleep, timeout};

use super::link::{Link, SharedLink};
use super::ping::{Replies, ping_all};
use crate::log;
use crate::watchdog::{Lease, Recovery};

/// The minimum time between two new connections.
const MIN_INTERVAL: Duration = Duration::from_secs(1);

/// How long fred may take to reconnect a client of the app's.
const RECONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// The pause after a `PING` without a reply.
const PING_PAUSE: Duration = Duration::from_millis(20);

/// The pause between two looks at a new connection.
const LOOK_PAUSE: Duration = Duration::from_millis(5);

/// Starts a recovery in a task of its own, unless one is running.
pub(super) fn start(link: &Arc<SharedLink>, recovery: Recovery) {
    if let Some(lease) = link.watchdog.start() {
        let running = Running {
            link: Arc::downgrade(link),
            lease,
        };
        tokio::spawn(run(recovery, running));
    }
}

/// The right to recover a connection, until it is dropped: also when the runtime drops the task.
struct Running {
    link: Weak<SharedLink>,
    lease: Lease,
}

/// The outcome of one attempt.
enum Attempt {
    /// The old connection works.
    Works,
    /// The new connection is established.
    Connected,
    /// Some nodes of the cluster reply, but not all.
    Partial,
    /// There is no reply at all.
    Silent,
}

async fn run(recovery: Recovery, mut running: Running) {
    if recovery == Recovery::Check {
        let Some(link) = running.extend() else {
            return;
        };
        let patience = link.timeouts.reply() / 4;
        if ping_all(&link, patience).await == Replies::All {
            return running.succeeded();
        }
    }
    let began = Instant::now();
    let mut fresh: Option<Link> = None;
    let mut next_new = began;
    loop {
        let Some(link) = running.extend() else {
            return;
        };
        if fresh.as_ref().is_none_or(Link::is_stopped)
            && Instant::now() >= next_new
            && needs_new(&link, recovery)
        {
            next_new = Instant::now() + MIN_INTERVAL;
            fresh = link.connect_anew();
            if fresh.is_none() && reconnect_of_app(&link).await && recovery != Recovery::Check {
                break;
            }
        }
        match attempt(&link, recovery, fresh.as_ref()).await {
            Attempt::Works => break,
            Attempt::Connected => {
                if let Some(fresh) = fresh.take() {
                    link.install(fresh);
                }
                break;
            }
            Attempt::Partial => running.server_found(&link, began),
            Attempt::Silent => running.server_lost(&link),
        }
    }
    if let Some(link) = running.link.upgrade() {
        running.server_found(&link, began);
    }
    running.succeeded();
}

impl Running {
    /// Extends the right. Returns `None` if the store was dropped, or another recovery has taken over.
    fn extend(&mut self) -> Option<Arc<SharedLink>> {
        let link = self.link.upgrade()?;
        link.watchdog.extend(&mut self.lease).then_some(link)
    }

    fn server_lost(&self, link: &SharedLink) {
        if !link.watchdog.is_down() {
            link.watchdog.server_lost(&self.lease);
            log::server_down(&link.address);
            link.given_up();
        }
    }

    fn server_found(&self, link: &SharedLink, began: Instant) {
        if link.watchdog.is_down() {
            link.watchdog.server_found(&self.lease);
            log::server_up(&link.address, began.elapsed());
        }
    }

    /// Ends the recovery, and then wakes those who wait for it: the server must not count as down any
    /// more when they send their commands.
    fn succeeded(self) {
        let link = self.link.clone();
        drop(self);
        if let Some(link) = link.upgrade() {
            link.recovered();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(link) = self.link.upgrade() {
            link.watchdog.end(&self.lease);
        }
    }
}

/// Whether it is time for a new connection. While fred is reconnecting, none is needed.
fn needs_new(link: &SharedLink, recovery: Recovery) -> bool {
    if recovery == Recovery::Revive || link.is_stopped() {
        return true;
    }
    link.client().is_connected() && link.age().is_none_or(|age| age >= MIN_INTERVAL)
}

/// Orders fred to reconnect a client of the app's. Returns whether it did.
async fn reconnect_of_app(link: &SharedLink) -> bool {
    let client = link.client();
    let reconnected = timeout(RECONNECT_TIMEOUT, client.force_reconnection()).await;
    link.reconnected();
    matches!(reconnected, Ok(Ok(())))
}

/// Waits for the old and the new connection, for the time of a reply.
async fn attempt(link: &SharedLink, recovery: Recovery, fresh: Option<&Link>) -> Attempt {
    let mut replied = false;
    let old = async {
        if recovery == Recovery::Revive {
            pending::<()>().await;
        }
        loop {
            match ping_all(link, link.timeouts.reply()).await {
                Replies::All if recovery == Recovery::Check => return,
                Replies::All => {
                    replied = true;
                    pending::<()>().await;
                }
                Replies::Some => replied = true,
                Replies::None => {}
            }
            sleep(PING_PAUSE).await;
        }
    };
    let new = async {
        match fresh {
            Some(fresh) => connected(fresh).await,
            None => pending().await,
        }
    };
    tokio::select! {
        () = old => return Attempt::Works,
        () = new => return Attempt::Connected,
        () = sleep(link.timeouts.reply()) => {}
    }
    if replied {
        Attempt::Partial
    } else {
        Attempt::Silent
    }
}

/// Waits until a client is connected. fred reports it by an event that can be missed, so its state is
/// polled.
async fn connected(link: &Link) {
    while !link.client.is_connected() {
        sleep(LOOK_PAUSE).await;
    }
}
