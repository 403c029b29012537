//! What a failover loses, and what it costs not to lose it: prints the table of `docs/failover.md`.
//!
//! Each round lets eight tasks begin and end sessions, kills the primary in the middle of it, and makes
//! its replica the primary. Then every answer that was a success is held against what is there.

use std::env;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cloakroom_core::store::{Created, Ended, Loaded};
use cloakroom_core::{SessionId, Store};
use cloakroom_redis::RedisStore;
use tests::samples::{MINUTE, session, tombstone};
use tests::topology::Replicated;
use tokio::task::JoinSet;

/// How long a write waits for its replica.
const WITHIN: Duration = Duration::from_millis(200);

/// How long the load goes on before the primary is killed.
const LOAD: Duration = Duration::from_millis(700);

/// How many tasks make the load.
const TASKS: u64 = 8;

/// How many creations one after the other tell what one costs.
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
    for (name, apart) in [
        ("beside", Duration::ZERO),
        ("10 ms away", Duration::from_millis(10)),
    ] {
        for waits in [false, true] {
            let mut sum = Toll::default();
            for _ in 0..rounds {
                sum.add(&round(apart, waits).await);
            }
            let (p50, p99) = cost(apart, waits).await;
            table.push_str(&format!(
                "| {name} | {} | {} | {} | {} | {p50:.1?} | {p99:.1?} |\n",
                if waits { "yes" } else { "no" },
                sum.answered,
                sum.lost,
                sum.undone,
            ));
        }
    }
    #[allow(clippy::print_stdout, reason = "the table is what it is run for")]
    {
        print!("{table}");
    }
}

/// What failovers cost.
#[derive(Debug, Default)]
struct Toll {
    answered: usize,
    lost: usize,
    undone: usize,
}

impl Toll {
    fn add(&mut self, other: &Self) {
        self.answered += other.answered;
        self.lost += other.lost;
        self.undone += other.undone;
    }
}

/// What was answered with success.
#[derive(Debug, Default)]
struct Answered {
    begun: Vec<SessionId>,
    ended: Vec<SessionId>,
}

async fn round(apart: Duration, waits: bool) -> Toll {
    let mut servers = Replicated::start_apart(1, apart);
    let store = store(&servers, waits).await;
    let over = Arc::new(AtomicBool::new(false));
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        tasks.spawn(load(store.clone(), task, Arc::clone(&over)));
    }
    tokio::time::sleep(LOAD).await;
    let heir = tokio::task::spawn_blocking(move || {
        servers.fail_over();
        servers
    });
    let servers = heir.await.expect("it does not panic");
    over.store(true, Ordering::Relaxed);
    let after = RedisStore::connect(servers.replicas()[0].url()).await;
    let after = after.expect("the replica is there");
    let mut toll = Toll::default();
    for answered in tasks.join_all().await {
        toll.answered += answered.begun.len() + answered.ended.len();
        for id in answered.begun {
            let there = after.load(id).await.expect("it answers");
            toll.lost += usize::from(there == Loaded::Nothing);
        }
        for id in answered.ended {
            let there = after.load(id).await.expect("it answers");
            toll.undone += usize::from(matches!(there, Loaded::Record(_)));
        }
    }
    toll
}

/// Begins sessions and ends every other one, until the first failure.
async fn load(store: RedisStore, task: u64, over: Arc<AtomicBool>) -> Answered {
    let mut answered = Answered::default();
    for number in 0.. {
        let (id, record) = session(task);
        if over.load(Ordering::Relaxed)
            || !matches!(
                store.create(id, &record, MINUTE).await,
                Ok(Created::Created)
            )
        {
            break;
        }
        answered.begun.push(id);
        if number % 2 == 0 {
            continue;
        }
        let ended = store.end(id, None, &tombstone(&record), MINUTE).await;
        if !matches!(ended, Ok(Ended::Ended)) {
            break;
        }
        answered.ended.push(id);
    }
    answered
}

/// How long a creation takes, median and 99th percentile, with nothing beside it.
async fn cost(apart: Duration, waits: bool) -> (Duration, Duration) {
    let servers = Replicated::start_apart(1, apart);
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
    let builder = RedisStore::builder(servers.primary().url());
    let builder = match waits {
        true => builder.with_replicas(1, WITHIN),
        false => builder,
    };
    builder.connect().await.expect("the server is there")
}
