//! Parallel requests on two servers: exactly as many are allowed as the limit says.

use std::time::Duration;

use cloakroom_limit::{Rate, RateLimiter};
use futures_util::future::join_all;
use tests::iterations;

use crate::setup::{LONG, Setup, limiter};

/// How many of the requests for a key are allowed, if each server gets every other one at once.
async fn allowed(servers: &[RateLimiter], key: &str, requests: usize) -> usize {
    let tasks = (0..requests).map(|number| {
        let limiter = servers[number % servers.len()].clone();
        let key = key.to_owned();
        tokio::spawn(async move { limiter.check(key, 1).await.is_allowed() })
    });
    let decided = join_all(tasks).await;
    let decided = decided.into_iter().map(|one| one.expect("no panic"));
    decided.filter(|&is_allowed| is_allowed).count()
}

async fn race(setup: Setup, rates: fn() -> [Rate; 2], trials: usize) {
    let servers = [setup.server().await, setup.server().await];
    let servers = servers.map(|server| limiter(&server, rates()));
    for trial in 0..trials {
        let count = allowed(&servers, &format!("key {trial}"), 30).await;
        assert_eq!(count, 7, "trial {trial}");
    }
}

fn gcra() -> [Rate; 2] {
    [Rate::new("seven", 7, LONG), Rate::new("many", 1000, LONG)]
}

fn windows() -> [Rate; 2] {
    [
        Rate::fixed_window("many", 1000, LONG),
        Rate::fixed_window("seven", 7, LONG),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_requests_get_exactly_the_burst_in_memory() {
    race(Setup::memory(), gcra, iterations::times(300, 3000)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_requests_get_exactly_the_burst_on_redis() {
    race(Setup::redis(), gcra, iterations::times(300, 3000)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_requests_get_exactly_the_quota_of_a_window_on_redis() {
    race(Setup::redis(), windows, iterations::times(300, 3000)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_requests_get_exactly_the_burst_on_a_cluster() {
    race(Setup::cluster(), gcra, iterations::times(300, 3000)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_requests_get_exactly_the_quota_of_a_window_on_a_cluster() {
    race(Setup::cluster(), windows, iterations::times(200, 2000)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_even_rate_is_kept_over_time_by_two_servers() {
    let setup = Setup::redis();
    // 50 per second and a burst of 5.
    let rate = || [Rate::new("even", 50, Duration::from_secs(1)).with_burst(5)];
    let servers = [setup.server().await, setup.server().await];
    let servers = servers.map(|server| limiter(&server, rate()));
    let began = std::time::Instant::now();
    let mut count = 0;
    while began.elapsed() < Duration::from_secs(2) {
        count += allowed(&servers, "ada", 10).await;
    }
    let elapsed = began.elapsed().as_secs_f64();
    let possible = 5.0 + elapsed * 50.0 + 1.0;
    assert!(count as f64 <= possible, "{count} in {elapsed} s");
    assert!(count as f64 >= possible * 0.3, "{count} in {elapsed} s");
}
