//! One user in two browsers, and in two tabs of one: what ends in one is seen in the other at once, in
//! a real Chromium, on both stores.

use std::time::{Duration, Instant};

use tests::chromium::Chromium;
use tests::demo::Demo;
use tests::redis::RedisServer;

const ADA: (&str, &str) = ("Ada", "velvet-umbrella");
const MONA: (&str, &str) = ("Mona", "brass-keys");

/// How long a page waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn two_profiles_on_the_memory_store() {
    two_profiles(&Demo::start()).await;
}

#[tokio::test]
async fn two_profiles_on_redis() {
    let redis = RedisServer::start();
    two_profiles(&Demo::start_on(&redis.url())).await;
}

/// Two browsers as one user: a phone and a laptop, say.
async fn two_profiles(demo: &Demo) {
    let (phone, laptop) = (Chromium::start().await, Chromium::start().await);
    sign_in(&phone, demo, ADA).await;
    sign_in(&laptop, demo, ADA).await;
    laptop.open(&format!("{}/devices", demo.url())).await;
    assert_eq!(laptop.count(".devices li").await, 2);
    assert_eq!(laptop.count(".own").await, 1);
    assert!(laptop.text(".devices").await.contains("Chrome on Linux"));
    assert!(laptop.text(".devices").await.contains("127.0.0.1"));

    listens(&phone).await;
    phone.run("window.marker = 7").await;
    laptop.follow(".devices form button").await;
    let began = Instant::now();
    is_over(&phone).await;
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(
        phone.run("return window.marker").await,
        7,
        "without a reload"
    );
    assert_eq!(phone.text("#over h1").await, "You were signed out");
    assert!(
        phone
            .text("#over-reason")
            .await
            .contains("from another device")
    );
    assert!(laptop.text("#flash").await.contains("signed out"));
    assert_eq!(laptop.count(".devices li").await, 1);
    // It is true, too.
    phone.reload().await;
    assert_eq!(phone.count("#guest").await, 0);

    // The list follows what happens elsewhere.
    listens(&laptop).await;
    sign_in(&phone, demo, ADA).await;
    until("the list has both", async || {
        laptop.count(".devices li").await == 2
    })
    .await;
    laptop.follow("#end-others").await;
    is_over(&phone).await;
    assert!(laptop.text("#flash").await.contains("One other device"));
    sign_in(&phone, demo, ADA).await;
    listens(&phone).await;
    laptop.open(&format!("{}/devices", demo.url())).await;
    laptop.follow("#end-all").await;
    is_over(&phone).await;
    assert_eq!(laptop.count("#guest").await, 0);
}

#[tokio::test]
async fn two_tabs_of_one_profile() {
    let demo = Demo::start();
    let browser = Chromium::start().await;
    sign_in(&browser, &demo, ADA).await;
    let first = browser.tabs().await.remove(0);
    browser.run("window.open('/devices', 'other')").await;
    let tabs = browser.tabs().await;
    let second = tabs.iter().find(|tab| **tab != first);
    let second = second.expect("the second tab is open");
    browser.turn_to(second).await;
    listens(&browser).await;
    browser.turn_to(&first).await;
    browser.follow("#sign-out").await;
    browser.turn_to(second).await;
    is_over(&browser).await;
    let reason = browser.text("#over-reason").await;
    assert!(reason.contains("You signed out"), "{reason}");
}

#[tokio::test]
async fn the_manager_shows_a_guest_the_door() {
    let demo = Demo::start();
    let (guest, manager) = (Chromium::start().await, Chromium::start().await);
    sign_in(&guest, &demo, ADA).await;
    guest.open(&format!("{}/admin", demo.url())).await;
    assert!(guest.text("h1").await.contains("Staff only"));
    guest.open(demo.url()).await;
    listens(&guest).await;
    sign_in(&manager, &demo, MONA).await;
    manager.open(&format!("{}/admin", demo.url())).await;
    assert_eq!(manager.count("[data-guest=Ada] li").await, 1);
    manager.follow("[data-guest=Ada] li button").await;
    is_over(&guest).await;
    assert!(guest.text("#over-reason").await.contains("The manager"));
    assert_eq!(manager.count("[data-guest=Ada] li").await, 0);
    assert_eq!(
        manager.count("[data-guest=Mona] li").await,
        1,
        "herself she keeps"
    );
}

#[tokio::test]
async fn the_safe_asks_for_the_password_again() {
    let demo = Demo::start_with(&["--fresh", "2s"]);
    let browser = Chromium::start().await;
    let safe = format!("{}/safe", demo.url());
    browser.open(&safe).await;
    assert!(browser.text("h1").await.contains("sign in first"));
    sign_in(&browser, &demo, ADA).await;
    browser.fill("#text", "stays").await;
    browser.follow(".add button").await;
    until("it is locked", async || {
        browser.open(&safe).await;
        browser.count("#lock").await == 1
    })
    .await;
    browser.fill("#password", "opera-glasses").await;
    browser.follow("#lock button").await;
    assert!(browser.text("#flash").await.contains("does not turn"));
    browser.fill("#password", ADA.1).await;
    browser.follow("#lock button").await;
    assert!(browser.text("#contents").await.contains("pearls"));
    browser.open(demo.url()).await;
    assert_eq!(browser.text("#guest").await, "Ada");
    assert_eq!(browser.text(".notes li .text").await, "stays");
}

async fn sign_in(browser: &Chromium, demo: &Demo, (name, password): (&str, &str)) {
    browser.open(demo.url()).await;
    browser.fill("#name", name).await;
    browser.fill("#password", password).await;
    browser.follow("#sign-in button").await;
    assert_eq!(browser.text("#guest").await, name);
}

/// Waits until the page listens.
async fn listens(browser: &Chromium) {
    until("the page listens", async || {
        browser
            .run("return typeof news === 'object' && news.readyState === 1")
            .await
            == true
    })
    .await;
}

/// Waits until the page says that the session is over.
async fn is_over(browser: &Chromium) {
    until("the page says that it is over", async || {
        browser
            .run("return !document.getElementById('over').hidden")
            .await
            == true
    })
    .await;
    assert_eq!(
        browser
            .run("return document.getElementById('main').hidden")
            .await,
        true
    );
}

async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let began = Instant::now();
    while !condition().await {
        assert!(began.elapsed() < PATIENCE, "never: {what}");
    }
}
