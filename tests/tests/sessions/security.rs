//! Statements of SECURITY.md that need a real Redis: attackers who read Redis or know ids, collisions,
//! and cancelled renewals. SECURITY.md lists the test for each statement.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::task::Poll;
use std::time::{Duration, Instant};

use axum::Router;
use cloakroom::{CookieConfig, RevokedBy, Session, SessionLayer};
use cloakroom_redis::RedisStore;
use http::StatusCode;
use tests::app::{Handler, app};
use tests::browser::{Browser, CookieChange};
use tests::faulty_store::ConstantEntropy;
use tests::generous;
use tests::redis::RedisServer;

async fn store(redis: &RedisServer) -> RedisStore {
    generous::connect(redis.url(), "cloakroom")
        .await
        .expect("the server is running")
}

async fn server(redis: &RedisServer) -> Router {
    app(generous::layer(store(redis).await))
}

/// A browser with this value as its session cookie.
fn browser_with(app: &Router, value: impl Into<String>) -> Browser {
    let mut browser = Browser::new(app.clone());
    browser.add_cookie(CookieConfig::DEFAULT_NAME, value);
    browser
}

async fn signed_in(app: &Router) -> Browser {
    let mut browser = Browser::new(app.clone());
    browser
        .request(async |session| {
            session.insert("n", 1)?;
            session.insert("secret-entry", "hunter2")
        })
        .await;
    browser
}

/// All keys and values.
fn dump(redis: &RedisServer) -> Vec<(String, String)> {
    let keys = redis.keys_with_ttl().into_iter();
    keys.map(|(key, _)| {
        let value = redis.command(&["GET", &key]).text();
        (key, value)
    })
    .collect()
}

fn live_sessions(redis: &RedisServer) -> usize {
    let values = dump(redis).into_iter();
    values.filter(|(_, value)| value.starts_with("c1 ")).count()
}

#[tokio::test]
async fn nothing_stored_in_or_sent_to_redis_is_a_valid_token() {
    let redis = RedisServer::start();
    let app = server(&redis).await;
    let monitor = redis.monitor();
    let mut browser = signed_in(&app).await;
    browser
        .request(async |session| {
            session.renew()?;
            session.insert("user", "ann")
        })
        .await;
    let token = browser.cookie().expect("it is signed in").to_owned();

    let mut text: Vec<String> = monitor.lines();
    text.extend(dump(&redis).into_iter().map(|(key, value)| key + &value));
    let text = text.join("\n");
    assert!(text.contains("hunter2"), "the dump is complete");
    assert!(!text.contains(&token));
    // No part of it is a valid token, of this session or another.
    let windows: BTreeSet<&[u8]> = text.as_bytes().windows(43).collect();
    let parts = windows.into_iter().filter(|part| {
        let base64url = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        part.iter().all(base64url)
    });
    let mut tried = 0;
    for part in parts {
        let part = std::str::from_utf8(part).expect("base64url");
        assert_eq!(browser_with(&app, part).read().await, None);
        tried += 1;
    }
    assert!(tried > 0, "the digests at least look like tokens");
}

#[tokio::test]
async fn a_known_id_cannot_read_extend_or_end_a_session() {
    let redis = RedisServer::start();
    let app = server(&redis).await;
    let mut owner = signed_in(&app).await;
    let token = owner.cookie().expect("it has one").to_owned();
    // The right id with another secret. The last character has unused bits, so another one is changed.
    let flipped = if token.as_bytes()[30] == b'A' {
        "B"
    } else {
        "A"
    };
    let forged = format!("{}{flipped}{}", &token[..30], &token[31..]);

    let before = dump(&redis);
    let ttl_before = redis.ttl(&before[0].0);
    for handler in [
        Handler::session(async |session| Ok(format!("{:?}", session.keys()))),
        Handler::session(async |session| {
            session.clear()?;
            Ok(format!("{:?}", session.keys()))
        }),
        Handler::session(async |session| {
            session.renew()?;
            session.destroy().await?;
            Ok(format!("{:?}", session.keys()))
        }),
    ] {
        let response = browser_with(&app, &forged).request_with(handler).await;
        assert_eq!((response.status, response.text()), (StatusCode::OK, "[]"));
        assert_eq!(response.cookie_change(), CookieChange::Nothing);
    }
    assert_eq!(dump(&redis), before);
    assert!(redis.ttl(&before[0].0) <= ttl_before);
    assert_eq!(owner.read().await, Some(1));
}

#[tokio::test]
async fn an_id_that_was_not_issued_is_never_adopted() {
    let redis = RedisServer::start();
    let app = server(&redis).await;
    let planted = {
        let other = RedisServer::start();
        let browser = signed_in(&server(&other).await).await;
        browser.cookie().expect("it has one").to_owned()
    };
    let mut victim = browser_with(&app, &planted);
    victim.request(async |session| session.insert("n", 7)).await;
    let issued = victim.cookie().expect("a session was created");
    assert_ne!(issued, planted);
    assert_ne!(issued[..21], planted[..21], "the id is fresh, too");
    assert_eq!(browser_with(&app, &planted).read().await, None);
    assert_eq!(victim.read().await, Some(7));
}

#[tokio::test]
async fn renewal_and_sign_out_invalidate_the_old_token_on_every_server() {
    let redis = RedisServer::start();
    let (here, there) = (server(&redis).await, server(&redis).await);
    let mut browser = signed_in(&here).await;
    let first = browser.cookie().expect("it has one").to_owned();
    browser.request(async |session| session.renew()).await;
    let second = browser.cookie().expect("it has one").to_owned();
    assert_ne!(first[..21], second[..21], "the id is fresh");
    assert_ne!(first[22..], second[22..], "the secret is fresh");
    assert_eq!(browser_with(&there, &first).read().await, None);
    assert_eq!(browser_with(&there, &second).read().await, Some(1));

    let destroy = Handler::session(async |session| Ok(format!("{:?}", session.destroy().await?)));
    assert_eq!(browser.request_with(destroy).await.text(), "Ended");
    assert_eq!(browser.cookie(), None, "the cookie is removed");
    for app in [&here, &there] {
        assert_eq!(browser_with(app, &second).read().await, None);
    }
    assert_eq!(live_sessions(&redis), 0);
}

#[tokio::test]
async fn tokens_are_valid_in_one_realm_only_on_a_shared_redis() {
    let redis = RedisServer::start();
    let realm = async |name: &str| {
        app(generous::layer_builder(store(&redis).await)
            .with_realm(name)
            .build()
            .expect("it is valid"))
    };
    let (shop, staging) = (realm("shop").await, realm("staging").await);
    let browser = signed_in(&shop).await;
    let token = browser.cookie().expect("it has one");
    assert_eq!(browser_with(&staging, token).read().await, None);
    let end = Handler::session(async |session| Ok(format!("{:?}", session.destroy().await?)));
    let response = browser_with(&staging, token).request_with(end).await;
    assert_eq!(response.text(), "NoSession");
    assert_eq!(browser_with(&shop, token).read().await, Some(1));
}

/// Two apps on one Redis, with the defaults: only their names differ.
async fn two_apps(redis: &RedisServer) -> [SessionLayer; 2] {
    let layer = async |name: &str| {
        let store = generous::connect(redis.url(), name).await;
        generous::layer(store.expect("it runs"))
    };
    [layer("shop").await, layer("admin").await]
}

#[tokio::test]
async fn two_apps_on_one_redis_share_nothing() {
    let redis = RedisServer::start();
    let [shop, admin] = two_apps(&redis).await;
    let sessions = admin.sessions();
    let (shop, admin) = (app(shop), app(admin));
    let mut browser = Browser::new(shop);
    let sign_in = |session: Session| async move {
        session.insert("n", 1)?;
        session.sign_in("ada").await
    };
    assert_eq!(browser.request(sign_in).await.status, 200);
    let token = browser.cookie().expect("it has one").to_owned();
    assert_eq!(browser_with(&admin, &token).read().await, None);
    assert_eq!(sessions.count("ada").await.expect("it runs"), 0);
    let ended = sessions.revoke_all("ada", RevokedBy::Admin).await;
    assert_eq!(ended.expect("it runs"), 0);
    assert_eq!(browser.read().await, Some(1), "still signed in at the shop");
}

#[tokio::test]
async fn ending_all_sessions_of_one_app_leaves_those_of_another() {
    let redis = RedisServer::start();
    let [shop, admin] = two_apps(&redis).await;
    let sessions = admin.sessions();
    let mut browser = signed_in(&app(shop)).await;
    let ended = sessions.revoke_everyone().await;
    assert_eq!(ended.expect("it runs"), 0);
    assert_eq!(browser.read().await, Some(1));
}

#[tokio::test]
async fn an_id_collision_exposes_and_replaces_nothing() {
    let redis = RedisServer::start();
    let clock = cloakroom_core::ManualClock::default();
    let layer = generous::layer_builder(store(&redis).await)
        .with_clock(clock)
        .with_rng(ConstantEntropy)
        .build()
        .expect("it is valid");
    let app = app(layer);
    let mut first = signed_in(&app).await;
    let mut second = Browser::new(app.clone());
    let response = second.request(async |session| session.insert("n", 2)).await;
    assert_eq!(response.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.cookie_change(), CookieChange::Nothing);
    assert_eq!(first.read().await, Some(1));
    assert_eq!(live_sessions(&redis), 1);
}

#[tokio::test]
async fn keys_are_always_a_prefix_and_a_uuid() {
    let redis = RedisServer::start();
    let app = server(&redis).await;
    for value in ["", "*", "a b", "../../x", "%0d%0aFLUSHALL", "\u{1F9E5}"] {
        let mut browser = browser_with(&app, value);
        if browser.cookie().is_some_and(str::is_ascii) {
            browser
                .request(async |session| session.insert("n", 1))
                .await;
        }
    }
    let keys = redis.keys_with_ttl();
    assert_eq!(keys.len(), 5);
    for (key, _) in keys {
        let id = key.strip_prefix("cloakroom:").expect("the prefix");
        let id: cloakroom::SessionId = id.parse().expect("a UUID in its canonical form");
        assert_eq!(key, format!("cloakroom:{id}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_cancelled_at_any_point_leaves_one_live_session() {
    let redis = RedisServer::start();
    let app = server(&redis).await;
    let mut cuts = [0, 0];
    for trial in 0..320 {
        let mut browser = signed_in(&app).await;
        let old = browser.cookie().expect("it has one").to_owned();
        let renew = browser.request(async |session| session.renew());
        let answered = polled_at_most(trial % 8, renew).await.is_some();
        cuts[usize::from(answered)] += 1;

        // A started renewal runs to its end; then exactly one of the old and the new session is live.
        let deadline = Instant::now() + Duration::from_secs(5);
        while live_sessions(&redis) != 1 {
            assert!(Instant::now() < deadline, "trial {trial}");
            tokio::task::yield_now().await;
        }
        let old_lives = browser_with(&app, &old).read().await.is_some();
        assert!(
            !(answered && old_lives),
            "a completed renewal ends the old session"
        );
        for (key, _) in redis.keys_with_ttl() {
            redis.command(&["DEL", &key]);
        }
    }
    assert!(cuts.iter().all(|count| *count > 0), "{cuts:?}");
}

/// Polls a future at most `times` times, then drops it.
async fn polled_at_most<T>(times: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = Box::pin(future);
    let mut left = times;
    poll_fn(move |cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(cx).map(Some)
    })
    .await
}
