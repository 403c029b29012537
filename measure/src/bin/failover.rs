//! Measures what a failover loses, and what waiting for replicas costs: prints the table of
//! `docs/failover.md`.
//!
//! In each round, eight tasks create and end sessions while the primary is killed and its replica promoted.
//! Then every acknowledged write is compared with the data of the new primary.

use std::env;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cloakroom_core::store::{Created, Ended, Loaded};
use cloakroom_core::{SessionId, Store};
use cloakroom_redis::RedisStore;
use tests::records::{MINUTE, session, tombstone};
use tests::topology::Replicated;
use tokio::task::JoinSet;

/// How long a write waits for its replica.
const WITHIN: Duration = Duration::from_millis(200);

/// How long the tasks run before the primary is killed.
const LOAD: Duration = Duration::from_millis(700);

/// The number of tasks.
const TASKS: u64 = 8;

/// How many sequential creations are timed.
const SAMPLES: u64 = 200;

#[tokio::main]
async fn main() {
    let rounds = env::args()
        .nth(1)
        .map_or(Ok(5), |rounds| rounds.parse::<u32>());
    let rounds = rounds.expect("usage: failover [ROUNDS]");
    let mut table = String::from(
        "| replica | waits for it | answered with success | of these lost: new sessions | of these \
         undone: ended sessions | creation, alone: p50 | p99 |\n|---|---|---|---|---|---|---|\n",
    );
    for (name, delay) in [
        ("beside", Duration::ZERO),
        ("10 ms away", Duration::from_millis(10)),
    ] {
        for waits in [false, true] {
            let mut sum = Losses::default();
            for _ in 0..rounds {
                sum.add(&round(delay, waits).await);
            }
            let (p50, p99) = cost(delay, waits).await;
            table.push_str(&format!(
                "| {name} | {} | {} | {} | {} | {p50:.1?} | {p99:.1?} |\n",
                if waits { "yes" } else { "no" },
                sum.acknowledged,
                sum.lost,
                sum.undone,
            ));
        }
    }
    #[allow(clippy::print_stdout, reason = "the table is the output")]
    {
        print!("{table}");
    }
}

/// Acknowledged and lost writes.
#[derive(Debug, Default)]
struct Losses {
    acknowledged: usize,
    lost: usize,
    undone: usize,
}

impl Losses {
    fn add(&mut self, other: &Self) {
        self.acknowledged += other.acknowledged;
        self.lost += other.lost;
        self.undone += other.undone;
    }
}

/// Acknowledged writes.
#[derive(Debug, Default)]
struct Acknowledged {
    begun: Vec<SessionId>,
    ended: Vec<SessionId>,
}

async fn round(delay: Duration, waits: bool) -> Losses {
    let mut servers = Replicated::start_with_delay(1, delay);
    let store = store(&servers, waits).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        tasks.spawn(load(store.clone(), task, Arc::clone(&stop)));
    }
    tokio::time::sleep(LOAD).await;
    let failed_over = tokio::task::spawn_blocking(move || {
        servers.fail_over();
        servers
    });
    let servers = failed_over.await.expect("it does not panic");
    stop.store(true, Ordering::Relaxed);
    let after = RedisStore::connect(servers.replicas()[0].url(), "cloakroom").await;
    let after = after.expect("the replica is there");
    let mut losses = Losses::default();
    for acknowledged in tasks.join_all().await {
        losses.acknowledged += acknowledged.begun.len() + acknowledged.ended.len();
        for id in acknowledged.begun {
            let there = after.load(id).await.expect("the command succeeds");
            losses.lost += usize::from(there == Loaded::Nothing);
        }
        for id in acknowledged.ended {
            let there = after.load(id).await.expect("the command succeeds");
            losses.undone += usize::from(matches!(there, Loaded::Record(_)));
        }
    }
    losses
}

/// Creates sessions and ends every other one, until the first failure.
async fn load(store: RedisStore, task: u64, stop: Arc<AtomicBool>) -> Acknowledged {
    let mut acknowledged = Acknowledged::default();
    for number in 0.. {
        let (id, record) = session(task);
        if stop.load(Ordering::Relaxed)
            || !matches!(
                store.create(id, &record, MINUTE).await,
                Ok(Created::Created)
            )
        {
            break;
        }
        acknowledged.begun.push(id);
        if number % 2 == 0 {
            continue;
        }
        let ended = store.end(id, None, &tombstone(&record), MINUTE).await;
        if !matches!(ended, Ok(Ended::Ended)) {
            break;
        }
        acknowledged.ended.push(id);
    }
    acknowledged
}

/// How long a creation takes without other load: median and 99th percentile.
async fn cost(delay: Duration, waits: bool) -> (Duration, Duration) {
    let servers = Replicated::start_with_delay(1, delay);
    let store = store(&servers, waits).await;
    let mut times = Vec::new();
    for number in 0..SAMPLES {
        let (id, record) = session(number);
        let began = Instant::now();
        let created = store.create(id, &record, MINUTE).await;
        created.expect("both servers are well");
        times.push(began.elapsed());
    }
    times.sort_unstable();
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

async fn store(servers: &Replicated, waits: bool) -> RedisStore {
    let builder = RedisStore::builder(servers.primary().url(), "cloakroom");
    let builder = if waits {
        builder.with_replica_acks(1, WITHIN)
    } else {
        builder
    };
    builder.connect().await.expect("the server is running")
}
