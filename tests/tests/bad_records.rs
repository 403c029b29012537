//! What is in Redis under a session's key is not what belongs there: told once, treated as no
//! session, never a permanent error, and never overwritten in silence.

use cloakroom::SessionLayer;
use cloakroom_redis::RedisStore;
use http::StatusCode;
use tests::app::app;
use tests::browser::{Browser, Effect};
use tests::log::Log;
use tests::redis::RedisServer;

/// A browser with a session, and the session's key.
async fn scene(redis: &RedisServer) -> (Browser, String) {
    let store = RedisStore::connect(redis.url()).await.expect("it runs");
    let mut browser = Browser::new(app(SessionLayer::new(store)));
    browser.act(async |session| session.insert("n", 1)).await;
    let (key, _) = redis.keys_with_ttl().remove(0);
    (browser, key)
}

#[tokio::test]
async fn what_cannot_be_read_is_told_once_and_left() {
    let redis = RedisServer::start();
    let (browser, key) = scene(&redis).await;
    let good = redis.command(&["GET", &key]).text().into_bytes();
    let half = &good[..good.len() / 2];
    let without_end = &good[..good.len() - 1];
    let bad: [&[u8]; 6] = [b"", b"hello", b"c0 what", half, without_end, b"c1 \xff\xfe"];
    for value in bad {
        let log = Log::keep();
        redis.command(&[b"SET", key.as_bytes(), value, b"EX", b"60"]);
        // A browser each, on an app of its own, which has told nothing yet.
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

        let answer = reader.act(async |session| session.insert("n", 2)).await;
        assert_eq!(
            (answer.status, answer.effect()),
            (StatusCode::OK, Effect::Set)
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
async fn a_key_of_another_type_is_no_session() {
    let redis = RedisServer::start();
    let (mut browser, key) = scene(&redis).await;
    redis.command(&["DEL", &key]);
    redis.command(&["LPUSH", &key, "a list"]);
    assert_eq!(browser.read().await, None);
    let answer = browser.act(async |session| session.insert("n", 2)).await;
    assert_eq!(
        (answer.status, answer.effect()),
        (StatusCode::OK, Effect::Set)
    );
    assert_eq!(redis.command(&["LLEN", &key]).number(), 1);
}

#[tokio::test]
async fn a_newer_format_is_unavailable_and_logs_nobody_out() {
    let redis = RedisServer::start();
    let (mut browser, key) = scene(&redis).await;
    let good = redis.command(&["GET", &key]).text();
    let newer = good.replacen("c1 ", "c2 ", 1);
    redis.command(&["SET", &key, &newer, "EX", "60"]);
    let cookie = browser.cookie().map(str::to_owned);
    let answer = browser.act(async |session| session.insert("n", 2)).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.effect(), Effect::Nothing);
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
    let store = RedisStore::connect(redis.url()).await.expect("it runs");
    browser.on(app(SessionLayer::new(store)))
}
