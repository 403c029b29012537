//! What a rate limit costs a request, next to other libraries: CPU time of the app and of Redis, for requests that
//! are allowed and for requests that are refused, as medians of interleaved rounds.
//!
//! `cargo run --release --manifest-path bench/limits/Cargo.toml [ROUNDS]`

mod subjects;

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Body;
use http::{Request, StatusCode};
use test_support::redis::RedisServer;
use tower::ServiceExt;

use crate::subjects::{KEY, Subject};

/// How many keys the requests use in turn.
const KEYS: u64 = 1000;

/// How many requests are under way at once.
const CONCURRENT: u64 = 32;

/// The length of a tick of the kernel's accounting, in microseconds.
const TICK_US: f64 = 10_000.0;

/// Costs of one subject in one round, in microseconds of CPU per request.
#[derive(Clone, Copy, Default)]
struct Cost {
    app: f64,
    redis: f64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let rounds: usize = std::env::args()
        .nth(1)
        .map_or(5, |rounds| rounds.parse().expect("a number of rounds"));
    let server = RedisServer::start();
    let subjects = subjects::all(&server.url()).await;
    // For each subject: allowed, refused.
    let mut costs = vec![[Vec::new(), Vec::new()]; subjects.len()];
    for round in 0..=rounds {
        for (subject, [allowed, refused]) in subjects.iter().zip(&mut costs) {
            let count = if subject.on_redis { 40_000 } else { 200_000 };
            for (app, status, costs) in [
                (&subject.open, StatusCode::OK, allowed),
                (&subject.exhausted, StatusCode::TOO_MANY_REQUESTS, refused),
            ] {
                if let Some(app) = app {
                    let cost = measure(app, status, count, &server, round == 0).await;
                    // The first round exhausts the limits, and fills caches.
                    if round > 0 {
                        costs.push(cost);
                    }
                }
            }
        }
    }
    print(&subjects, &costs);
}

/// Sends requests, `CONCURRENT` at a time.
async fn measure(
    app: &Router,
    expected: StatusCode,
    count: u64,
    server: &RedisServer,
    is_warm_up: bool,
) -> Cost {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let before = (ticks("self"), ticks(&server.process().to_string()));
    let tasks = (0..CONCURRENT).map(|_| {
        let app = app.clone();
        tokio::spawn(async move {
            for _ in 0..count / CONCURRENT {
                let key = NEXT.fetch_add(1, Ordering::Relaxed) % KEYS;
                let request = Request::get("/").header(KEY, key.to_string());
                let request = request.body(Body::empty()).expect("a request");
                let response = app.clone().oneshot(request).await.expect("infallible");
                assert!(
                    is_warm_up || response.status() == expected,
                    "{}",
                    response.status()
                );
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("no panic");
    }
    let after = (ticks("self"), ticks(&server.process().to_string()));
    let per_request = |ticks: u64| ticks as f64 * TICK_US / count as f64;
    Cost {
        app: per_request(after.0 - before.0),
        redis: per_request(after.1 - before.1),
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

/// Prints the costs of a limit: what is more than without one, and that as a multiple of Cloakroom's.
fn print(subjects: &[Subject], costs: &[[Vec<Cost>; 2]]) {
    let app = |index: usize, of: usize| median(&costs[index][of], |cost| cost.app);
    let none = app(0, 0);
    println!(
        "Without a limit, a request costs {none:.2} µs. With one, in addition (µs of CPU, median):\n"
    );
    println!("| limit | allowed, app | ratio | allowed, Redis | refused, app | refused, Redis |");
    println!("|---|---|---|---|---|---|");
    for on_redis in [false, true] {
        let ours = subjects
            .iter()
            .position(|subject| {
                subject.on_redis == on_redis && subject.name.starts_with("cloakroom")
            })
            .expect("a subject of ours");
        for (index, subject) in subjects.iter().enumerate().skip(1) {
            if subject.on_redis == on_redis {
                let redis = |of: usize| median(&costs[index][of], |cost| cost.redis);
                println!(
                    "| {} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} |",
                    subject.name,
                    app(index, 0) - none,
                    (app(index, 0) - none) / (app(ours, 0) - none),
                    if on_redis { redis(0) } else { 0.0 },
                    app(index, 1) - none,
                    if on_redis { redis(1) } else { 0.0 },
                );
            }
        }
    }
}
