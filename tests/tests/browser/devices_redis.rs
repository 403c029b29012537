//! The same scenarios on Redis, where events go through its bus, also between servers.

use tests::chromium::Chromium;
use tests::demo::Demo;
use tests::device_scenarios::{self, ADA, confirm, is_expired, listens, sign_in, until};
use tests::redis::RedisServer;

#[tokio::test]
async fn two_profiles_on_one_server() {
    let redis = RedisServer::start();
    let demo = Demo::start_on(&redis.url());
    device_scenarios::two_profiles(&demo, &demo).await;
}

#[tokio::test]
async fn two_profiles_on_a_server_each() {
    let redis = RedisServer::start();
    let (one, other) = (Demo::start_on(&redis.url()), Demo::start_on(&redis.url()));
    device_scenarios::two_profiles(&one, &other).await;
}

#[tokio::test]
async fn two_tabs_of_one_profile() {
    let redis = RedisServer::start();
    device_scenarios::two_tabs(&Demo::start_on(&redis.url())).await;
}

#[tokio::test]
async fn an_admin_ends_another_user_s_session() {
    let redis = RedisServer::start();
    device_scenarios::an_admin(&Demo::start_on(&redis.url())).await;
}

#[tokio::test]
async fn a_sensitive_page_asks_for_the_password_again() {
    let redis = RedisServer::start();
    let demo = Demo::start_with(&[
        "--redis",
        &redis.url(),
        "--store-timeout",
        "20s",
        "--recent-sign-in",
        "2s",
    ]);
    device_scenarios::recent_sign_in(&demo).await;
}

/// An event source does not retry after an error response; the demo's script does.
#[tokio::test]
async fn a_refused_event_stream_reconnects_when_the_store_is_back() {
    let redis = RedisServer::start();
    let demo = that_notices_outages(&redis);
    let (browser, other) = (Chromium::start().await, Chromium::start().await);
    sign_in(&browser, &demo, ADA).await;
    listens(&browser).await;
    sign_in(&other, &demo, ADA).await;
    other.open(&format!("{}/devices", demo.url())).await;

    redis.freeze();
    let begin = "window.refused = 0; window.received = [];
        const Real = EventSource;
        window.EventSource = class extends Real {
            constructor(url) {
                super(url);
                this.addEventListener('error', () => { window.refused += 1; });
            }
        };
        window.EventSource.CLOSED = Real.CLOSED;
        listen(session, (message) => window.received.push(message.type));";
    browser.run(begin).await;
    until("it is refused", async || {
        browser.run("return window.refused > 0").await == true
    })
    .await;
    redis.thaw();
    until("it is connected again", async || {
        browser.run("return window.received.includes('open')").await == true
    })
    .await;
    confirm(&other, "#sign-out-others").await;
    is_expired(&browser, "from another device").await;
    until("the reconnected stream receives it as well", async || {
        browser
            .run("return window.received.includes('ended')")
            .await
            == true
    })
    .await;
}

#[tokio::test]
async fn an_open_page_shows_that_the_store_is_away() {
    let redis = RedisServer::start();
    let demo = that_notices_outages(&redis);
    let browser = Chromium::start().await;
    sign_in(&browser, &demo, ADA).await;
    listens(&browser).await;
    let shows_notice = async || {
        let script = "return document.getElementById('offline').hidden";
        browser.run(script).await == false
    };
    assert!(!shows_notice().await);
    redis.freeze();
    until("the page shows it", &shows_notice).await;
    let notice = browser.text("#offline").await;
    assert!(
        notice.contains("session store does not respond"),
        "{notice}"
    );
    redis.thaw();
    until("the notice is gone", async || !shows_notice().await).await;
    assert_eq!(browser.text("#user").await, ADA.0);
}

/// Also without scripts.
#[tokio::test]
async fn the_page_of_an_outage_loads_again_by_itself() {
    let mut redis = RedisServer::start();
    let demo = that_notices_outages(&redis);
    let browser = Chromium::start_without_scripts().await;
    sign_in(&browser, &demo, ADA).await;
    redis.kill();
    browser.open(&format!("{}/devices", demo.url())).await;
    let title = browser.text("h1").await;
    assert_eq!(title, "Temporarily unavailable");
    redis.restart();
    until("the page is there", async || {
        browser.title().await.contains("sign in") || browser.title().await.contains("devices")
    })
    .await;
}

/// A demo whose time limits are generous, and short enough for a test to wait for them.
fn that_notices_outages(redis: &RedisServer) -> Demo {
    Demo::start_with(&["--redis", &redis.url(), "--store-timeout", "4s"])
}
