//! Faults under load: clients that remember what was acknowledged use an app on two servers, a fault
//! happens and ends, and afterwards the stored sessions are compared with what the clients remember.

mod app;
mod client;
pub mod faults;
mod outcome;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::RwLock;
use tokio::task::JoinSet;
use tokio::time::sleep;

use self::app::TimeLimits;
use self::client::LoadClient;
use self::outcome::Observations;
pub use self::outcome::{Loss, Outcome};

/// The number of clients.
const CLIENTS: u64 = 16;

/// The load has started, or recovered, after this many successful requests.
const ENOUGH: u64 = 200;

/// How long no request may fail before an outage counts as over.
const QUIET: Duration = Duration::from_millis(400);

/// How long a recovery may take.
const PATIENCE: Duration = Duration::from_secs(40);

/// Clients that send requests in the background.
#[derive(Debug)]
pub struct Load {
    observations: Arc<Observations>,
    limits: TimeLimits,
    stop: Arc<AtomicBool>,
    clients: JoinSet<LoadClient>,
    /// Each request is sent under a read lock, so that a write lock keeps the clients quiet.
    requests: Arc<RwLock<()>>,
    /// A client that sends requests only on demand.
    visitor: LoadClient,
}

impl Load {
    /// Starts two servers on the Redis at `url`, and the clients.
    ///
    /// # Panics
    ///
    /// When that Redis does not work.
    pub async fn start(url: &str) -> Self {
        Self::start_with(url, TimeLimits::Default).await
    }

    /// Starts two servers and the clients, for a fault that no request should notice. The servers have such long time limits
    /// that no request fails only because the machine is busy.
    ///
    /// # Panics
    ///
    /// When that Redis does not work.
    pub async fn start_patient(url: &str) -> Self {
        Self::start_with(url, TimeLimits::Generous).await
    }

    async fn start_with(url: &str, limits: TimeLimits) -> Self {
        let load = Self::start_clients(url, CLIENTS, limits).await;
        load.wait_for_success(Instant::now()).await;
        load
    }

    /// Starts two servers, and a visitor that sends a request on demand.
    ///
    /// # Panics
    ///
    /// When that Redis does not work.
    pub async fn start_quiet(url: &str) -> Self {
        Self::start_clients(url, 0, TimeLimits::Default).await
    }

    async fn start_clients(url: &str, count: u64, limits: TimeLimits) -> Self {
        let servers = [app::start(url, limits).await, app::start(url, limits).await];
        let observations = Arc::<Observations>::default();
        let stop = Arc::<AtomicBool>::default();
        let mut clients = JoinSet::new();
        let requests = Arc::<RwLock<()>>::default();
        let client = |number| LoadClient::new(number, servers.clone(), Arc::clone(&observations));
        for number in 0..count {
            let mut client = client(number);
            let (stop, requests) = (Arc::clone(&stop), Arc::clone(&requests));
            clients.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let _request = requests.read().await;
                    client.step().await;
                }
                client
            });
        }
        let visitor = client(count);
        Self {
            observations,
            limits,
            stop,
            clients,
            requests,
            visitor,
        }
    }

    /// Keeps all clients quiet for a while.
    pub async fn pause(&self, duration: Duration) {
        let _quiet = self.requests.write().await;
        sleep(duration).await;
    }

    /// Has the visitor send these numbers of requests, each after a pause for all clients.
    pub async fn visits(&mut self, count: u32, pause: Duration) {
        let _quiet = self.requests.write().await;
        for _ in 0..count {
            sleep(pause).await;
            self.visitor.step().await;
        }
    }

    /// Allows responses with the status 500 from now on: Redis refuses commands, and trying again does not help.
    pub fn allow_refusals(&self) {
        self.observations.allow_refusals();
    }

    /// Marks the start of the fault: earlier failures are not counted.
    pub fn fault_starts(&self) {
        self.observations.fault_starts();
    }

    /// Marks the end of the fault: waits until requests succeed again, stops the clients, and returns the
    /// outcome.
    ///
    /// # Panics
    ///
    /// When it does not recover.
    pub async fn fault_ends(mut self, name: &'static str, loss: Loss) -> Outcome {
        let ended = Instant::now();
        if !self.clients.is_empty() {
            self.wait_for_success(ended).await;
        }
        let recovery = self
            .observations
            .last_failure()
            .saturating_duration_since(ended);
        self.stop.store(true, Ordering::Relaxed);
        while let Some(client) = self.clients.join_next().await {
            client.expect("no client panics").finish().await;
        }
        self.visitor.finish().await;
        self.observations.close(name, loss, self.limits, recovery)
    }

    async fn wait_for_success(&self, since: Instant) {
        let before = self.observations.successes();
        loop {
            let quiet = self.observations.last_failure().max(since).elapsed() >= QUIET;
            if quiet && self.observations.successes() >= before + ENOUGH {
                return;
            }
            assert!(since.elapsed() < PATIENCE, "requests do not succeed again");
            sleep(Duration::from_millis(10)).await;
        }
    }
}
