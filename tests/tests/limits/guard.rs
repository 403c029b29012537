//! What the guard for sign-ins allows. All tests run on every backend.

use std::net::IpAddr;
use std::time::Duration;

use cloakroom_limit::{Attempt, LoginGuard, LoginRefused, RefusalReason, SignedIn};
use http::header::{COOKIE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use tests::on_every_backend;
use tests::redis::RedisServer;
use tests::wait::within;

use crate::setup::{LONG, Setup, guard, guard_builder, limits};

const PATIENCE: Duration = Duration::from_secs(60);

on_every_backend!(
    crate::setup::Setup:
    wrong_passwords_are_delayed_and_a_sign_in_forgets_them,
    a_stranger_cannot_lock_out_a_known_browser,
    failures_in_a_row_stop_an_account_until_a_known_browser_signs_in,
    another_proof_of_identity_lifts_the_stop,
    a_known_browser_has_a_limit_of_its_own,
    an_address_has_a_limit_over_all_accounts,
    an_attempt_that_was_cancelled_or_has_succeeded_is_given_back,
    names_that_differ_in_case_or_spaces_are_one_account,
    the_user_learns_of_failures_since_the_last_sign_in,
    the_cookie_of_one_account_is_none_for_another,
);

/// A browser, which keeps its device cookie.
#[derive(Clone, Default)]
pub(crate) struct Browser(pub(crate) HeaderMap);

impl Browser {
    pub(crate) async fn attempt(
        &self,
        guard: &LoginGuard,
        account: &str,
    ) -> Result<Attempt, LoginRefused> {
        guard.attempt(account, &self.0, None).await
    }

    /// Fails to sign in. Returns whether the password was checked.
    pub(crate) async fn fails(&self, guard: &LoginGuard, account: &str) -> bool {
        self.attempt(guard, account).await.is_ok()
    }

    /// Signs in.
    pub(crate) async fn signs_in(&mut self, guard: &LoginGuard, account: &str) -> SignedIn {
        let attempt = self.attempt(guard, account).await;
        let signed_in = attempt.expect("it is allowed").succeeded().await;
        let cookie = signed_in.clone().into_set_cookie().expect("a cookie");
        let pair = cookie.to_str().expect("ASCII").split(';').next();
        let pair = pair.expect("a pair").parse().expect("a header");
        self.0.insert(COOKIE, pair);
        signed_in
    }

    async fn refused(&self, guard: &LoginGuard, account: &str) -> LoginRefused {
        let attempt = self.attempt(guard, account).await;
        attempt.expect_err("no attempt is left")
    }
}

async fn wrong_passwords_are_delayed_and_a_sign_in_forgets_them(setup: Setup) {
    let guard = guard_builder(&setup.server().await)
        .with_free_attempts(3)
        .with_delays(Duration::from_secs(3), Duration::from_secs(600))
        .build()
        .expect("a valid configuration");
    let mut browser = Browser::default();
    for _ in 0..3 {
        assert!(browser.fails(&guard, "ada").await);
    }
    let refused = browser.refused(&guard, "ada").await;
    assert_eq!(refused.reason(), RefusalReason::Delayed);
    let first = refused.retry_after().expect("a delay");
    assert!(first <= Duration::from_secs(3), "{first:?}");
    within("the delay passes", PATIENCE, async || {
        browser.fails(&guard, "ada").await
    })
    .await;
    let second = browser.refused(&guard, "ada").await;
    let second = second.retry_after().expect("a delay");
    assert!(
        second > Duration::from_secs(3) && second <= Duration::from_secs(6),
        "{second:?}"
    );
    let mut signed_in = None;
    within("the delay passes", PATIENCE, async || {
        if let Ok(attempt) = browser.attempt(&guard, "ada").await {
            signed_in = Some(attempt.succeeded().await);
        }
        signed_in.is_some()
    })
    .await;
    assert_eq!(signed_in.map(|one| one.failures()), Some(4));
    for _ in 0..3 {
        assert!(
            Browser::default().fails(&guard, "ada").await,
            "delays start anew"
        );
    }
    assert!(!Browser::default().fails(&guard, "ada").await);
    assert_eq!(browser.signs_in(&guard, "bob").await.failures(), 0);
}

async fn a_stranger_cannot_lock_out_a_known_browser(setup: Setup) {
    let (guard, elsewhere) = (guard(&setup.server().await), guard(&setup.server().await));
    let mut owner = Browser::default();
    let _ = owner.signs_in(&guard, "ada").await;
    let stranger = Browser::default();
    let mut guesses = 0;
    for _ in 0..50 {
        guesses += u32::from(stranger.fails(&elsewhere, "ada").await);
    }
    assert_eq!(guesses, 10);
    let attempt = owner.attempt(&guard, "ada").await.expect("the owner may");
    assert!(attempt.is_known_device());
    assert_eq!(attempt.failures(), 10);
    assert_eq!(attempt.succeeded().await.failures(), 10);
    assert!(
        !stranger.fails(&elsewhere, "ada").await,
        "the delay of strangers stays"
    );
    let again = owner.signs_in(&elsewhere, "ada").await;
    assert_eq!(again.failures(), 0);
}

/// A guard that stops strangers after nine failures and everybody after ten.
fn strict(limits: &cloakroom_limit::Limits) -> LoginGuard {
    let builder = guard_builder(limits).with_free_attempts(1000);
    let builder = builder.with_max_failures(10);
    builder.build().expect("a valid configuration")
}

async fn failures_in_a_row_stop_an_account_until_a_known_browser_signs_in(setup: Setup) {
    let guard = strict(&setup.server().await);
    let mut owner = Browser::default();
    let _ = owner.signs_in(&guard, "ada").await;
    let stranger = Browser::default();
    let mut guesses = 0;
    for _ in 0..40 {
        guesses += u32::from(stranger.fails(&guard, "ada").await);
    }
    assert_eq!(guesses, 9);
    let refused = stranger.refused(&guard, "ada").await;
    assert_eq!(refused.reason(), RefusalReason::Stopped);
    assert_eq!(refused.retry_after(), None);
    assert_eq!(owner.signs_in(&guard, "ada").await.failures(), 9);
    // The server that has refused the stranger may remember that for a second.
    within("the stop is lifted", PATIENCE, async || {
        stranger.fails(&guard, "ada").await
    })
    .await;
}

async fn another_proof_of_identity_lifts_the_stop(setup: Setup) {
    let guard = strict(&setup.server().await);
    let mut owner = Browser::default();
    let _ = owner.signs_in(&guard, "ada").await;
    for _ in 0..9 {
        assert!(Browser::default().fails(&guard, "ada").await);
    }
    assert!(owner.fails(&guard, "ada").await, "one is reserved");
    let refused = owner.refused(&guard, "ada").await;
    assert_eq!(
        refused.reason(),
        RefusalReason::Stopped,
        "ten in a row, of all browsers"
    );
    guard.lift("ada").await.expect("the store is there");
    within("the stop is lifted", PATIENCE, async || {
        owner.fails(&guard, "ada").await
    })
    .await;
    let cookie = guard.device_cookie("eve", &HeaderMap::new());
    assert!(cookie.is_some_and(|cookie| cookie.is_sensitive()));
}

async fn a_known_browser_has_a_limit_of_its_own(setup: Setup) {
    let guard = guard_builder(&setup.server().await)
        .with_device_limit(4, LONG)
        .build()
        .expect("a valid configuration");
    let (mut first, mut second) = (Browser::default(), Browser::default());
    let _ = first.signs_in(&guard, "ada").await;
    let _ = second.signs_in(&guard, "ada").await;
    for _ in 0..4 {
        assert!(first.fails(&guard, "ada").await);
    }
    let refused = first.refused(&guard, "ada").await;
    assert_eq!(refused.reason(), RefusalReason::Device);
    assert!(refused.retry_after().is_some());
    assert!(second.fails(&guard, "ada").await);
    assert!(Browser::default().fails(&guard, "ada").await);
    // A success gives all attempts back.
    let _ = second.signs_in(&guard, "ada").await;
    for _ in 0..4 {
        assert!(second.fails(&guard, "ada").await);
    }
    assert!(!second.fails(&guard, "ada").await);
}

async fn an_address_has_a_limit_over_all_accounts(setup: Setup) {
    let guard = guard_builder(&setup.server().await)
        .with_address_limit(5, LONG)
        .build()
        .expect("a valid configuration");
    let (here, none) = (IpAddr::from([192, 0, 2, 7]), HeaderMap::new());
    let mut owner = Browser::default();
    let _ = owner.signs_in(&guard, "ada").await;
    for number in 0..5 {
        let account = format!("account {number}");
        assert!(guard.attempt(&account, &none, Some(here)).await.is_ok());
    }
    let refused = guard.attempt("another", &none, Some(here)).await;
    let refused = refused.expect_err("the address is refused");
    assert_eq!(refused.reason(), RefusalReason::Address);
    let elsewhere = IpAddr::from([192, 0, 2, 8]);
    assert!(
        guard
            .attempt("another", &none, Some(elsewhere))
            .await
            .is_ok()
    );
    // A known browser is not held up by others at its address.
    assert!(guard.attempt("ada", &owner.0, Some(here)).await.is_ok());
}

async fn an_attempt_that_was_cancelled_or_has_succeeded_is_given_back(setup: Setup) {
    let guard = guard_builder(&setup.server().await)
        .with_address_limit(5, LONG)
        .build()
        .expect("a valid configuration");
    let (here, none) = (Some(IpAddr::from([192, 0, 2, 7])), HeaderMap::new());
    for _ in 0..15 {
        let attempt = guard.attempt("ada", &none, here).await.expect("given back");
        attempt.cancelled().await;
        let attempt = guard.attempt("bob", &none, here).await.expect("given back");
        let _ = attempt.succeeded().await;
    }
    let mut owner = Browser::default();
    let _ = owner.signs_in(&guard, "ada").await;
    for _ in 0..15 {
        let attempt = owner.attempt(&guard, "ada").await.expect("given back");
        attempt.cancelled().await;
    }
    let attempt = owner.attempt(&guard, "ada").await.expect("given back");
    assert_eq!(attempt.failures(), 0);
    // A refusal of the account is not charged to the address.
    for _ in 0..40 {
        let _ = guard.attempt("eve", &none, None).await;
    }
    for _ in 0..20 {
        assert!(guard.attempt("eve", &none, here).await.is_err());
    }
    assert!(guard.attempt("joe", &none, here).await.is_ok());
}

async fn names_that_differ_in_case_or_spaces_are_one_account(setup: Setup) {
    let guard = guard(&setup.server().await);
    let names = ["ada", "Ada", " ADA", "ada\n", "aDa "];
    for round in 0..2 {
        for name in names {
            assert!(
                Browser::default().fails(&guard, name).await,
                "{round} {name:?}"
            );
        }
    }
    for name in names {
        assert!(!Browser::default().fails(&guard, name).await, "{name:?}");
    }
}

async fn the_user_learns_of_failures_since_the_last_sign_in(setup: Setup) {
    let guard = guard(&setup.server().await);
    let mut owner = Browser::default();
    assert_eq!(owner.signs_in(&guard, "ada").await.failures(), 0);
    for _ in 0..3 {
        assert!(Browser::default().fails(&guard, "ada").await);
    }
    assert!(owner.fails(&guard, "ada").await);
    assert_eq!(owner.signs_in(&guard, "ada").await.failures(), 4);
    assert_eq!(owner.signs_in(&guard, "ada").await.failures(), 0);
}

async fn the_cookie_of_one_account_is_none_for_another(setup: Setup) {
    let guard = guard(&setup.server().await);
    let mut browser = Browser::default();
    let _ = browser.signs_in(&guard, "eve").await;
    let attempt = browser.attempt(&guard, "ada").await.expect("free");
    assert!(!attempt.is_known_device());
    let attempt = browser.attempt(&guard, "eve").await.expect("free");
    assert!(attempt.is_known_device());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_does_not_exist_gets_the_same_commands_and_the_same_response() {
    let server = RedisServer::start();
    let guard = guard(&limits(&server.url()).await);
    // Load the scripts first.
    drop(guard.attempt("warm up", &HeaderMap::new(), None).await);
    let _ = Browser::default().signs_in(&guard, "exists").await;
    let mut seen = Vec::new();
    for account in ["exists", "does not exist"] {
        let monitor = server.monitor();
        let mut responses = Vec::new();
        for _ in 0..12 {
            let attempt = guard.attempt(account, &HeaderMap::new(), None).await;
            responses.push(attempt.err().map(|refused| {
                let response = refused.to_response();
                assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
                assert!(response.headers().contains_key(RETRY_AFTER));
                response.into_body()
            }));
        }
        let commands = monitor.commands().into_iter();
        let names: Vec<_> = commands
            .map(|words| (words[0].clone(), words.len()))
            .filter(|(name, _)| name.starts_with("EVAL"))
            .collect();
        seen.push((responses, names));
    }
    assert!(!seen[0].1.is_empty());
    assert_eq!(seen[0], seen[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_a_guard_have_a_ttl_and_name_nobody() {
    let server = RedisServer::start();
    let guard = guard(&limits(&server.url()).await);
    let address = Some("198.51.100.77".parse().expect("an address"));
    let mut owner = Browser::default();
    let _ = owner.signs_in(&guard, "ada@example.org").await;
    drop(owner.attempt(&guard, "ada@example.org").await);
    drop(
        guard
            .attempt("ada@example.org", &HeaderMap::new(), address)
            .await,
    );
    let keys = server.keys_with_ttl();
    assert_eq!(keys.len(), 4, "account, device, address, site: {keys:?}");
    for (key, ttl) in keys {
        assert!(key.starts_with("shop:limit:{"), "{key}");
        assert!(!key.contains("ada") && !key.contains("198"), "{key}");
        assert!(ttl.is_some(), "{key}");
    }
}
