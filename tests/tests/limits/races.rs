//! Parallel requests on two servers: exactly as many are allowed as the limit says.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use cloakroom_limit::{By, Limits, Rate, RateLimitLayer, RateLimiter};
use futures_util::future::join_all;
use http::{HeaderName, Request, StatusCode};
use tests::iterations;
use tower::ServiceExt;

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

/// An app whose requests cost one unit of the limit of everyone, and one of that of their API key.
fn app_with_two_keys(limits: &Limits, trial: usize) -> Router {
    let by_key = By::header(HeaderName::from_static("x-api-key"));
    let all = Rate::fixed_window(format!("all-{trial}"), 7, LONG);
    let layer = RateLimitLayer::builder(limits)
        .with_limit(all, By::everyone())
        .with_limit(Rate::new(format!("key-{trial}"), 2, LONG), by_key)
        .build()
        .expect("a valid configuration");
    Router::new().route("/", get(|| async {})).layer(layer)
}

async fn is_admitted(app: Router, key: usize) -> bool {
    let request = Request::get("/").header("x-api-key", key.to_string());
    let request = request.body(Body::empty()).expect("a request");
    let response = app.oneshot(request).await.expect("infallible");
    response.status() == StatusCode::OK
}

async fn race_with_two_keys(setup: Setup, trials: usize) {
    let servers = [setup.server().await, setup.server().await];
    for trial in 0..trials {
        let apps = servers
            .each_ref()
            .map(|limits| app_with_two_keys(limits, trial));
        // Two keys first, whose requests are refused after they were charged to the limit of everyone.
        let tasks = (0..40_usize).map(|number| {
            let key = number.saturating_sub(20).max(number % 2) % 10;
            let admitted = is_admitted(apps[number % 2].clone(), key);
            tokio::spawn(async move { (key, admitted.await) })
        });
        let mut admitted = [0; 10];
        for one in join_all(tasks).await {
            let (key, is_admitted) = one.expect("no panic");
            admitted[key] += u32::from(is_admitted);
        }
        let total: u32 = admitted.iter().sum();
        assert!(total <= 7, "{admitted:?}");
        assert!(admitted.iter().all(|&count| count <= 2), "{admitted:?}");

        // What was given back is there, for a server that remembers no refusal.
        let fresh = servers[0].clone().with_max_keys(1000);
        let app = app_with_two_keys(&fresh, trial);
        let mut keys = vec![];
        for key in (0..10).flat_map(|key| [key, key]) {
            if is_admitted(app.clone(), key).await {
                admitted[key] += 1;
                keys.push(key);
            }
        }
        let total: u32 = admitted.iter().sum();
        assert_eq!(
            total, 7,
            "trial {trial}: {admitted:?}, of which {keys:?} later"
        );
        assert!(admitted.iter().all(|&count| count <= 2), "{admitted:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_keys_are_limited_exactly_on_redis() {
    race_with_two_keys(Setup::redis(), iterations::times(50, 500)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_keys_are_limited_on_a_cluster_and_charges_are_given_back() {
    race_with_two_keys(Setup::cluster(), iterations::times(50, 500)).await;
}
