//! What reading a cached user record costs: CPU time of the app and of Redis, as medians of interleaved rounds.
//!
//! `cargo run --release --manifest-path bench/cache/Cargo.toml [ROUNDS]`

use std::fs;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use cloakroom_cache::{CacheBackend, Cached};
use cloakroom_redis::RedisStore;
use moka::future::Cache;
use serde::{Deserialize, Serialize};
use test_support::redis::RedisServer;

/// How many users there are, which are read in turn.
const USERS: u64 = 1000;

/// How many requests read at once.
const CONCURRENT: u64 = 32;

/// The length of a tick of the kernel's accounting, in nanoseconds.
const TICK_NS: f64 = 10_000_000.0;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct User {
    id: u64,
    name: String,
    email: String,
    roles: Vec<String>,
}

impl User {
    fn new(id: u64) -> Self {
        Self {
            id,
            name: format!("User {id}"),
            email: format!("user{id}@example.org"),
            roles: vec!["reader".to_owned(), "writer".to_owned()],
        }
    }
}

/// Costs of one subject in one round, in nanoseconds of CPU per read.
#[derive(Clone, Copy, Default)]
struct Cost {
    app: f64,
    redis: f64,
}

#[derive(Clone)]
enum Subject {
    Moka(Cache<u64, Arc<User>>),
    Cached(Cached<u64, User>),
}

impl Subject {
    async fn read(&self, id: u64) -> Arc<User> {
        match self {
            Self::Moka(cache) => {
                let load = async { Arc::new(User::new(id)) };
                cache.get_with(id, load).await
            }
            Self::Cached(cache) => {
                let user = cache.get(&id).await.expect("it can be read");
                user.expect("it is there")
            }
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let rounds: usize = std::env::args()
        .nth(1)
        .map_or(5, |rounds| rounds.parse().expect("a number of rounds"));
    let server = RedisServer::start();
    let store = RedisStore::builder(server.url(), "bench");
    let store = store.with_command_timeout(Duration::from_secs(10));
    let store = store.connect().await.expect("the server is running");
    let backend = CacheBackend::new(&store);
    let cached = |max_staleness| {
        let builder = Cached::builder(&backend, "user").with_max_staleness(max_staleness);
        let loader = async |id: u64| Ok::<_, std::io::Error>(Some(User::new(id)));
        Subject::Cached(builder.build(loader).expect("a valid configuration"))
    };
    let moka = Cache::builder()
        .max_capacity(100_000)
        .time_to_live(Duration::from_secs(300))
        .build();
    let subjects = [
        ("moka", Subject::Moka(moka), 2_000_000),
        ("a copy", cached(Duration::from_secs(60)), 2_000_000),
        (
            "a copy, one second",
            cached(Duration::from_secs(1)),
            2_000_000,
        ),
        ("from Redis", cached(Duration::from_millis(1)), 100_000),
    ];
    let mut costs = vec![Vec::new(); subjects.len()];
    for round in 0..=rounds {
        for ((_, subject, count), costs) in subjects.iter().zip(&mut costs) {
            let cost = measure(subject, *count, &server).await;
            // The first round fills the caches.
            if round > 0 {
                costs.push(cost);
            }
        }
    }
    print(&subjects.map(|(name, ..)| name), &costs);
}

/// Reads, `CONCURRENT` at a time.
async fn measure(subject: &Subject, count: u64, server: &RedisServer) -> Cost {
    let before = (ticks("self"), ticks(&server.process().to_string()));
    let tasks = (0..CONCURRENT).map(|task| {
        let subject = subject.clone();
        tokio::spawn(async move {
            for number in 0..count / CONCURRENT {
                let id = (number * CONCURRENT + task) % USERS;
                black_box(subject.read(id).await);
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("no panic");
    }
    let after = (ticks("self"), ticks(&server.process().to_string()));
    let per_read = |ticks: u64| ticks as f64 * TICK_NS / count as f64;
    Cost {
        app: per_read(after.0 - before.0),
        redis: per_read(after.1 - before.1),
    }
}

/// The CPU time of a process, in ticks.
fn ticks(process: &str) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).expect("Linux");
    let (_, fields) = stat.rsplit_once(") ").expect("the name is in parentheses");
    let fields: Vec<&str> = fields.split(' ').collect();
    let field = |index: usize| fields[index].parse::<u64>().expect("a number");
    field(11) + field(12)
}

fn median(costs: &[Cost], of: fn(&Cost) -> f64) -> f64 {
    let mut costs: Vec<f64> = costs.iter().map(of).collect();
    costs.sort_by(f64::total_cmp);
    costs.get(costs.len() / 2).copied().unwrap_or(f64::NAN)
}

fn print(names: &[&str], costs: &[Vec<Cost>]) {
    println!("Nanoseconds of CPU per read, median:\n");
    println!("| read | app | ratio | Redis |");
    println!("|---|---|---|---|");
    let moka = median(&costs[0], |cost| cost.app);
    for (name, costs) in names.iter().zip(costs) {
        let (app, redis) = (
            median(costs, |cost| cost.app),
            median(costs, |cost| cost.redis),
        );
        println!("| {name} | {app:.0} | {:.1} | {redis:.0} |", app / moka);
    }
}
