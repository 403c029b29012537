//! The store is killed, hangs or fails over: decisions come in time, by the fallback, and the store counts again
//! when it is back.

use std::time::{Duration, Instant};

use cloakroom_limit::{DecisionOutcome, Fallback, Limits, Rate, RateLimiter, RefusalReason};
use http::HeaderMap;
use tests::redis::RedisServer;
use tests::topology::Cluster;
use tests::wait::within;

use crate::setup::{LONG, guard, guard_builder, limits, store};

/// The timeout of a command, with slack for a busy machine.
const BOUND: Duration = Duration::from_millis(250 + 1500);

const RECOVERY: Duration = Duration::from_secs(20);

async fn in_time<T>(result: impl Future<Output = T>) -> T {
    let began = Instant::now();
    let result = result.await;
    assert!(began.elapsed() < BOUND, "it took {:?}", began.elapsed());
    result
}

/// Counters with the default timeout.
async fn impatient(server: &RedisServer) -> Limits {
    Limits::new(&store(&server.url(), Duration::from_millis(250)).await)
}

fn with_fallback(limits: &Limits, fallback: Fallback) -> RateLimiter {
    let builder = RateLimiter::builder(limits)
        .with_limit(Rate::new("ten", 10, LONG))
        .with_fallback(fallback);
    builder.build().expect("a valid configuration")
}

/// Takes all requests that are allowed, out of twenty.
async fn allowed(limiter: &RateLimiter, key: &str) -> usize {
    let mut count = 0;
    for _ in 0..20 {
        count += usize::from(in_time(limiter.check(key, 1)).await.is_allowed());
    }
    count
}

async fn each_fallback_decides(limits: &Limits) {
    let local = with_fallback(limits, Fallback::Local { servers: 1 });
    assert_eq!(allowed(&local, "one server").await, 10);
    let third = with_fallback(limits, Fallback::Local { servers: 3 });
    assert_eq!(allowed(&third, "three servers").await, 3);
    let open = with_fallback(limits, Fallback::Allow);
    assert_eq!(allowed(&open, "open").await, 20);
    let closed = with_fallback(limits, Fallback::Deny);
    assert_eq!(allowed(&closed, "closed").await, 0);
    let decision = in_time(closed.check("closed", 1)).await;
    assert_eq!(decision.outcome(), DecisionOutcome::Unavailable);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_redis_is_killed_the_fallback_decides_in_time() {
    let mut server = RedisServer::start();
    let limits = impatient(&server).await;
    let closed = with_fallback(&limits, Fallback::Deny);
    assert_eq!(allowed(&closed, "before").await, 10);
    server.kill();
    each_fallback_decides(&limits).await;
    server.start_again();
    within("Redis decides again", RECOVERY, async || {
        closed.check("after", 1).await.is_allowed()
    })
    .await;
    assert_eq!(allowed(&closed, "later").await, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_redis_hangs_the_fallback_decides_in_time() {
    let server = RedisServer::start();
    let limits = impatient(&server).await;
    server.freeze();
    each_fallback_decides(&limits).await;
    server.thaw();
    let closed = with_fallback(&limits, Fallback::Deny);
    within("Redis decides again", RECOVERY, async || {
        closed.check("after", 1).await.is_allowed()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_from_memory_needs_no_redis() {
    let mut server = RedisServer::start();
    let limits = impatient(&server).await;
    let open = with_fallback(&limits, Fallback::Allow);
    assert_eq!(allowed(&open, "ada").await, 10);
    server.kill();
    assert_eq!(allowed(&open, "ada").await, 0, "it is remembered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_of_a_cluster_forgets_nothing_and_admits_no_more() {
    let cluster = Cluster::start();
    let limits = limits(&cluster.url()).await;
    let closed = with_fallback(&limits, Fallback::Deny);
    let keys: Vec<String> = (0..30).map(|number| format!("key {number}")).collect();
    for key in &keys {
        assert!(closed.check(key, 6).await.is_allowed());
    }
    // A planned failover waits until the replica has everything. A third of the keys are concerned.
    cluster.fail_over(0);
    for key in &keys {
        let mut count = 6;
        within("all four that are left", RECOVERY, async || {
            let decision = closed.check(key, 1).await;
            count += usize::from(decision.is_allowed());
            decision.outcome() == DecisionOutcome::Refused
        })
        .await;
        assert_eq!(count, 10, "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guard_is_never_open_while_redis_is_away() {
    let mut server = RedisServer::start();
    let limits = impatient(&server).await;
    let local = guard_builder(&limits).with_fallback(Fallback::Local { servers: 2 });
    let local = local.build().expect("a valid configuration");
    let closed = guard_builder(&limits).with_fallback(Fallback::Deny);
    let closed = closed.build().expect("a valid configuration");
    let none = HeaderMap::new();
    // Six failures that Redis has counted, and this server has seen.
    for _ in 0..6 {
        drop(local.attempt("seen", &none, None).await.expect("free"));
    }
    server.kill();

    let refused = in_time(closed.attempt("ada", &none, None)).await;
    let refused = refused.expect_err("no attempt without Redis");
    assert_eq!(refused.reason(), RefusalReason::Unavailable);
    assert!(refused.retry_after().is_some());

    let mut count = 0;
    for _ in 0..20 {
        // A site check and the account's: two commands, until the server is known to be down.
        let attempt = local.attempt("ada", &none, None).await;
        count += usize::from(attempt.is_ok());
    }
    assert_eq!(count, 5, "its share of ten");
    let next = in_time(local.attempt("seen", &none, None)).await;
    let refused = next.expect_err("the share was used up before");
    assert_eq!(refused.reason(), RefusalReason::Delayed);

    server.start_again();
    within("Redis counts again", RECOVERY, async || {
        let attempt = closed.attempt("after", &none, None).await;
        attempt.is_ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_succeeds_although_redis_was_lost_during_it() {
    let mut server = RedisServer::start();
    let guard = guard(&impatient(&server).await);
    let none = HeaderMap::new();
    drop(guard.attempt("ada", &none, None).await.expect("free"));
    let attempt = guard.attempt("ada", &none, None).await.expect("free");
    server.kill();
    let signed_in = attempt.succeeded().await;
    assert_eq!(signed_in.failures(), 1);
    assert!(signed_in.into_set_cookie().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn while_redis_is_full_the_fallback_decides() {
    let server = RedisServer::start();
    let limits = impatient(&server).await;
    server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    each_fallback_decides(&limits).await;
    server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    let closed = with_fallback(&limits, Fallback::Deny);
    assert_eq!(allowed(&closed, "after").await, 10);
}
