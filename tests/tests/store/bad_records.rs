//! Foreign data under a session's key: it is logged once, treated as a missing session, never a
//! permanent error, and never overwritten silently.

use http::StatusCode;
use tests::app::app;
use tests::browser::{Browser, CookieChange};
use tests::generous;
use tests::log::Log;
use tests::redis::RedisServer;

/// A browser with a session, and the session's key.
async fn setup(redis: &RedisServer) -> (Browser, String) {
    let store = generous::connect(redis.url(), "cloakroom")
        .await
        .expect("the server is running");
    let mut browser = Browser::new(app(generous::layer(store)));
    browser
        .request(async |session| session.insert("n", 1))
        .await;
    let (key, _) = redis.keys_with_ttl().remove(0);
    (browser, key)
}

#[tokio::test]
async fn an_unreadable_record_is_logged_once_and_left_unchanged() {
    let redis = RedisServer::start();
    let (browser, key) = setup(&redis).await;
    let good = redis.command(&["GET", &key]).text().into_bytes();
    let half = &good[..good.len() / 2];
    let without_end = &good[..good.len() - 1];
    let bad: [&[u8]; 6] = [b"", b"hello", b"c0 what", half, without_end, b"c1 \xff\xfe"];
    for value in bad {
        let log = Log::capture();
        redis.command(&[b"SET", key.as_bytes(), value, b"EX", b"60"]);
        // A new app per value, which has not logged anything yet.
        let mut reader = on_another_server(&redis, &browser).await;
        for _ in 0..3 {
            assert_eq!(reader.read().await, None);
        }
        assert_eq!(
            log.count("treated as missing, and kept"),
            1,
            "{}",
            log.text()
        );

        let response = reader.request(async |session| session.insert("n", 2)).await;
        assert_eq!(
            (response.status, response.cookie_change()),
            (StatusCode::OK, CookieChange::Set)
        );
        assert_eq!(reader.read().await, Some(2), "under an id of its own");
        let there = redis.command(&["GET", &key]);
        assert_eq!(
            there,
            tests::resp::Reply::Bytes(value.to_vec()),
            "it is as it was"
        );
    }
}

#[tokio::test]
async fn a_key_of_another_type_is_not_a_session() {
    let redis = RedisServer::start();
    let (mut browser, key) = setup(&redis).await;
    redis.command(&["DEL", &key]);
    redis.command(&["LPUSH", &key, "a list"]);
    assert_eq!(browser.read().await, None);
    let response = browser
        .request(async |session| session.insert("n", 2))
        .await;
    assert_eq!(
        (response.status, response.cookie_change()),
        (StatusCode::OK, CookieChange::Set)
    );
    assert_eq!(redis.command(&["LLEN", &key]).number(), 1);
}

#[tokio::test]
async fn a_newer_record_format_is_unavailable_and_keeps_the_cookie() {
    let redis = RedisServer::start();
    let (mut browser, key) = setup(&redis).await;
    let good = redis.command(&["GET", &key]).text();
    let newer = good.replacen("c1 ", "c3 ", 1);
    redis.command(&["SET", &key, &newer, "EX", "60"]);
    let cookie = browser.cookie().map(str::to_owned);
    let response = browser
        .request(async |session| session.insert("n", 2))
        .await;
    assert_eq!(response.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.cookie_change(), CookieChange::Nothing);
    assert_eq!(browser.cookie().map(str::to_owned), cookie);
    assert_eq!(redis.command(&["GET", &key]).text(), newer);

    redis.command(&["SET", &key, &good, "EX", "60"]);
    assert_eq!(
        browser.read().await,
        Some(1),
        "a server that knows the format reads on"
    );
}

/// The same cookies, on another server.
async fn on_another_server(redis: &RedisServer, browser: &Browser) -> Browser {
    let store = generous::connect(redis.url(), "cloakroom")
        .await
        .expect("the server is running");
    browser.on(app(generous::layer(store)))
}
