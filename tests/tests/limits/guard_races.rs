//! Parallel guesses on two servers: exactly as many reach the password as are left.

use cloakroom_limit::LoginGuard;
use futures_util::future::join_all;
use http::HeaderMap;
use tests::iterations;

use crate::guard::Browser;
use crate::setup::{LONG, Setup, guard_builder};

/// Guesses at once, on alternating servers. Returns how many reach the password.
async fn guesses(
    servers: &[LoginGuard],
    account: &str,
    headers: &HeaderMap,
    count: usize,
) -> usize {
    let tasks = (0..count).map(|number| {
        let guard = servers[number % servers.len()].clone();
        let (account, headers) = (account.to_owned(), headers.clone());
        tokio::spawn(async move { guard.attempt(&account, &headers, None).await.is_ok() })
    });
    let taken = join_all(tasks).await;
    let taken = taken.into_iter().map(|one| one.expect("no panic"));
    taken.filter(|&is_taken| is_taken).count()
}

async fn servers(setup: &Setup) -> [LoginGuard; 2] {
    let servers = [setup.server().await, setup.server().await];
    servers.map(|limits| {
        let builder = guard_builder(&limits).with_device_limit(6, LONG);
        builder.build().expect("a valid configuration")
    })
}

async fn race(setup: Setup, trials: usize) {
    let servers = servers(&setup).await;
    for trial in 0..trials {
        let account = format!("account {trial}");
        let count = guesses(&servers, &account, &HeaderMap::new(), 30).await;
        assert_eq!(count, 10, "trial {trial}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_guesses_get_exactly_what_is_left_in_memory() {
    race(Setup::memory(), iterations::times(200, 2000)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_guesses_get_exactly_what_is_left_on_redis() {
    race(Setup::redis(), iterations::times(200, 2000)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_guesses_get_exactly_what_is_left_on_a_cluster() {
    race(Setup::cluster(), iterations::times(200, 2000)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_parallel_guesses_get_exactly_what_is_left() {
    let setup = Setup::redis();
    let servers = servers(&setup).await;
    drop(servers[0].attempt("ada", &HeaderMap::new(), None).await);
    assert_eq!(guesses(&servers, "ada", &HeaderMap::new(), 1000).await, 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_guesses_of_a_known_browser_get_exactly_what_is_left() {
    let setup = Setup::redis();
    let servers = servers(&setup).await;
    for trial in 0..iterations::times(50, 500) {
        let account = format!("account {trial}");
        let mut browser = Browser::default();
        let _ = browser.signs_in(&servers[0], &account).await;
        assert_eq!(guesses(&servers, &account, &browser.0, 20).await, 6);
    }
}
