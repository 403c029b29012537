//! What one limit, or several, allow. All tests run on every backend.

use std::time::Duration;

use cloakroom_limit::{DecisionOutcome, Fallback, LimitStatus, Limits, Rate, RateLimiter};
use cloakroom_redis::RedisStore;
use tests::on_every_backend;
use tests::redis::RedisServer;
use tests::wait::within;

use crate::guard::Browser;
use crate::setup::{LONG, Setup, guard_builder, limiter, limits};

on_every_backend!(
    crate::setup::Setup:
    a_burst_is_allowed_and_then_nothing_until_time_has_passed,
    a_fixed_window_allows_its_quota_and_begins_anew,
    a_request_that_one_limit_refuses_is_charged_to_none,
    a_limit_that_only_reports_counts_and_refuses_nothing,
    a_request_costs_what_the_app_says,
    keys_and_limits_are_independent,
    fractions_of_a_millisecond_are_not_lost,
);

async fn a_burst_is_allowed_and_then_nothing_until_time_has_passed(setup: Setup) {
    // One per two seconds: longer than a burst takes on a busy machine.
    let rate = Rate::new("api", 1800, Duration::from_secs(3600)).with_burst(3);
    let limiter = setup.limiter(rate).await;
    for left in [2, 1, 0] {
        let decision = limiter.check("ada", 1).await;
        assert_eq!(decision.outcome(), DecisionOutcome::Allowed);
        assert!(decision.limits()[0].remaining() >= left);
        assert_eq!(decision.retry_after(), Duration::ZERO);
    }
    let refused = limiter.check("ada", 1).await;
    if refused.is_allowed() {
        return; // the machine took two seconds
    }
    let wait = refused.retry_after();
    assert!(
        wait > Duration::ZERO && wait <= Duration::from_secs(2),
        "{wait:?}"
    );
    assert_eq!(refused.outcome(), DecisionOutcome::Refused);
    tokio::time::sleep(wait + Duration::from_millis(2)).await;
    assert!(limiter.check("ada", 1).await.is_allowed());
}

async fn a_fixed_window_allows_its_quota_and_begins_anew(setup: Setup) {
    let rate = Rate::fixed_window("api", 3, Duration::from_secs(2));
    let limiter = setup.limiter(rate).await;
    let mut refused = None;
    // A window ends while the machine is busy at most once in a while.
    for _ in 0..20 {
        let decision = limiter.check("ada", 1).await;
        if !decision.is_allowed() {
            refused = Some(decision);
            break;
        }
    }
    let refused = refused.expect("no more than three in a window");
    let wait = refused.retry_after();
    assert!(
        wait > Duration::ZERO && wait <= Duration::from_secs(2),
        "{wait:?}"
    );
    tokio::time::sleep(wait + Duration::from_millis(2)).await;
    let decision = limiter.check("ada", 1).await;
    assert!(decision.is_allowed());
    assert_eq!(decision.limits()[0].remaining(), 2, "a whole window");
}

async fn a_request_that_one_limit_refuses_is_charged_to_none(setup: Setup) {
    let server = setup.server().await;
    let small = Rate::new("small", 2, LONG);
    let both = limiter(&server, [Rate::fixed_window("large", 100, LONG), small]);
    for _ in 0..2 {
        assert!(both.check("ada", 1).await.is_allowed());
    }
    for _ in 0..20 {
        let decision = both.check("ada", 1).await;
        assert!(!decision.is_allowed());
        let refusing = decision.limits().iter().filter(|limit| limit.refuses());
        assert_eq!(
            refusing.map(LimitStatus::name).collect::<Vec<_>>(),
            ["small"]
        );
    }
    let large = limiter(&server, [Rate::fixed_window("large", 100, LONG)]);
    let decision = large.check("ada", 1).await;
    assert_eq!(decision.limits()[0].remaining(), 97);
}

async fn a_limit_that_only_reports_counts_and_refuses_nothing(setup: Setup) {
    let server = setup.server().await;
    let trial = Rate::new("trial", 2, LONG).report_only();
    let limiter = limiter(&server, [trial, Rate::new("api", 5, LONG)]);
    for number in 1..=5 {
        let decision = limiter.check("ada", 1).await;
        assert!(decision.is_allowed());
        let [trial, api] = decision.limits() else {
            panic!("{decision:?}");
        };
        assert_eq!(trial.is_exceeded(), number > 2);
        assert!(!trial.refuses() && !api.refuses());
        assert_eq!(api.remaining(), 5 - number);
    }
    let decision = limiter.check("ada", 1).await;
    assert!(!decision.is_allowed());
}

async fn a_request_costs_what_the_app_says(setup: Setup) {
    let limiter = setup.limiter(Rate::new("api", 10, LONG)).await;
    assert_eq!(limiter.check("ada", 7).await.limits()[0].remaining(), 3);
    assert!(!limiter.check("ada", 4).await.is_allowed());
    // What was refused for four units is still possible for three.
    assert!(limiter.check("ada", 3).await.is_allowed());
    assert!(limiter.check("ada", 0).await.is_allowed());
    assert!(!limiter.check("ada", 1).await.is_allowed());
    // More than there can ever be takes all.
    let decision = limiter.check("bob", 1_000_000).await;
    assert!(decision.is_allowed() && decision.limits()[0].remaining() == 0);
}

async fn keys_and_limits_are_independent(setup: Setup) {
    let server = setup.server().await;
    let one = limiter(&server, [Rate::new("one", 1, LONG)]);
    let other = limiter(&server, [Rate::new("other", 1, LONG)]);
    for limiter in [&one, &other] {
        for key in ["ada", "bob", "", "a:b", "{a}"] {
            assert!(limiter.check(key, 1).await.is_allowed(), "{key}");
            assert!(!limiter.check(key, 1).await.is_allowed(), "{key}");
        }
    }
}

async fn fractions_of_a_millisecond_are_not_lost(setup: Setup) {
    // One per 8571.429 ms.
    let rate = Rate::new("seven", 7, Duration::from_secs(60));
    let limiter = setup.limiter(rate).await;
    for _ in 0..7 {
        assert!(limiter.check("ada", 1).await.is_allowed());
    }
    let refused = limiter.check("ada", 1).await;
    // Whole milliseconds have passed since.
    assert_eq!(refused.retry_after().as_micros() % 1000, 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_key_has_a_ttl_and_no_key_contains_what_is_counted() {
    let server = RedisServer::start();
    let limits = limits(&server.url()).await;
    let gcra = Rate::new("gcra", 10, Duration::from_secs(60));
    let window = Rate::fixed_window("window", 10, Duration::from_secs(60));
    let limiter = limiter(&limits, [gcra, window]);
    for _ in 0..12 {
        let _ = limiter.check("198.51.100.77", 1).await;
    }
    let keys = server.keys_with_ttl();
    assert_eq!(keys.len(), 2, "{keys:?}");
    for (key, ttl) in keys {
        assert!(
            key.starts_with("shop:limit:{") && !key.contains("198"),
            "{key}"
        );
        let ttl = ttl.expect("it has a TTL");
        assert!(ttl <= Duration::from_secs(61), "{ttl:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_key_is_refused_without_a_command_until_its_time() {
    let server = RedisServer::start();
    let limits = limits(&server.url()).await;
    let rate = Rate::new("api", 1, Duration::from_secs(3));
    let limiter = limiter(&limits, [rate]);
    assert!(limiter.check("ada", 1).await.is_allowed());
    let first = limiter.check("ada", 1).await;
    assert!(!first.is_allowed());
    let monitor = server.monitor();
    let began = tokio::time::Instant::now();
    let mut last = first.retry_after();
    while began.elapsed() < Duration::from_millis(500) {
        let refused = limiter.check("ada", 1).await;
        assert!(!refused.is_allowed() && refused.retry_after() <= last);
        last = refused.retry_after();
    }
    let commands = monitor.commands();
    let scripts = commands.iter().filter(|words| words[0].starts_with("EVAL"));
    assert_eq!(scripts.count(), 0, "{commands:?}");
    within("another", Duration::from_secs(20), async || {
        limiter.check("ada", 1).await.is_allowed()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_hash_key_gives_other_keys_and_a_short_one_is_refused() {
    let server = RedisServer::start();
    for key in [
        "a first secret of at least 32 bytes",
        "another secret of at least 32 bytes",
    ] {
        let limits = limits(&server.url()).await.with_hash_key(key);
        let limits = limits.expect("it is long enough");
        let limiter = limiter(&limits, [Rate::new("api", 1, LONG)]);
        assert!(limiter.check("ada", 1).await.is_allowed());
    }
    assert_eq!(server.keys().len(), 2);
    let error = Limits::in_memory().with_hash_key("short").unwrap_err();
    assert_eq!(error.option(), "with_hash_key");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_counter_without_a_ttl_or_with_another_value_heals() {
    let server = RedisServer::start();
    let limits = limits(&server.url()).await;
    let gcra = Rate::new("gcra", 5, Duration::from_secs(60));
    let window = Rate::fixed_window("window", 5, Duration::from_secs(60));
    let limiter = limiter(&limits, [gcra, window]);
    assert!(limiter.check("ada", 5).await.is_allowed());
    for key in server.keys() {
        server.command(&["PERSIST", &key]);
    }
    assert!(limiter.check("ada", 5).await.is_allowed());
    for key in server.keys() {
        server.command(&["SET", &key, "nonsense", "PX", "1000"]);
    }
    assert!(limiter.check("ada", 1).await.is_allowed());
    assert!(server.keys_with_ttl().iter().all(|(_, ttl)| ttl.is_some()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rights_of_the_store_suffice() {
    let server = RedisServer::start();
    server.add_user(&[]);
    let builder = RedisStore::builder(server.url(), "cloakroom")
        .with_username("shop")
        .with_password("password");
    let limits = Limits::new(&builder.connect().await.expect("the user may connect"));
    let builder = RateLimiter::builder(&limits)
        .with_limit(Rate::new("gcra", 2, LONG))
        .with_limit(Rate::fixed_window("window", 2, LONG))
        .with_fallback(Fallback::Deny);
    let limiter = builder.build().expect("a valid configuration");
    for expected in [true, true, false] {
        let decision = limiter.check("ada", 1).await;
        assert_ne!(decision.outcome(), DecisionOutcome::Unavailable);
        assert_eq!(decision.is_allowed(), expected);
    }
    let guard = guard_builder(&limits).with_fallback(Fallback::Deny).build();
    let guard = guard.expect("a valid configuration");
    let mut owner = Browser::default();
    for _ in 0..2 {
        let _ = owner.signs_in(&guard, "ada").await;
        assert!(owner.fails(&guard, "ada").await);
        let attempt = Browser::default().attempt(&guard, "ada").await;
        attempt.expect("it is free").cancelled().await;
    }
    guard.lift("ada").await.expect("it may");
}

#[tokio::test]
async fn concurrent_checks_share_commands_and_each_gets_its_own_decision() {
    let server = RedisServer::start();
    let limits = limits(&server.url()).await;
    let limiter = limiter(&limits, [Rate::new("five", 5, LONG)]);
    let check = async || {
        let checks = (0..60).map(|number| limiter.check(["ada", "bela"][number % 2], 1));
        let decisions = futures_util::future::join_all(checks).await;
        decisions
            .iter()
            .filter(|decision| decision.is_allowed())
            .count()
    };
    let monitor = server.monitor();
    assert_eq!(check().await, 10);
    let commands = monitor.commands();
    let sent = commands
        .iter()
        .filter(|words| words[0].to_uppercase().starts_with("EVAL"));
    // The first by itself, and each script by its text at first.
    assert!(sent.count() <= 4, "{commands:?}");
}
