//! The demo in a real Chromium, on both stores, to see how a browser treats the cookie.

use std::time::{Duration, SystemTime};

use cloakroom::CookieConfig;
use cloakroom_core::Token;
use tests::chromium::{Chromium, Cookie};
use tests::demo::Demo;
use tests::device_scenarios::confirm;
use tests::redis::RedisServer;

const NAME: &str = "__Host-Http-id";

/// How many pairs of notes are added from two tabs at once.
const ROUNDS: usize = 5;

#[tokio::test]
async fn a_full_visit_on_the_memory_store() {
    visit(&Demo::start(), "memory").await;
}

#[tokio::test]
async fn a_full_visit_on_redis() {
    let redis = RedisServer::start();
    let id = visit(&Demo::start_on(&redis.url()), &redis.url()).await;
    let key = format!("demo:{id}");
    assert!(redis.ttl(&key).is_some(), "the page shows the key in Redis");
}

/// Uses all features in one visit, and returns the id of the last session.
async fn visit(demo: &Demo, store: &str) -> String {
    let browser = Chromium::start().await;
    browser.open(demo.url()).await;
    counts_and_keeps_its_cookie(&browser, store).await;
    signs_in(&browser).await;
    takes_notes(&browser).await;
    two_tabs_at_once_lose_nothing(&browser).await;
    signs_out(&browser, demo).await;
    browser.text("#session-id").await
}

async fn counts_and_keeps_its_cookie(browser: &Chromium, store: &str) {
    assert_eq!(visits(browser).await, "1");
    assert!(browser.text("h1").await.contains("first"));
    for visit in ["2", "3"] {
        browser.reload().await;
        assert_eq!(visits(browser).await, visit);
    }
    let cookie = cookie(browser).await;
    let as_kept = Cookie {
        name: NAME.to_owned(),
        value: cookie.value.clone(),
        domain: "127.0.0.1".to_owned(), // without a dot: this host alone
        path: "/".to_owned(),
        secure: true,
        http_only: true,
        same_site: "Lax".to_owned(),
        expiry: None,
    };
    assert_eq!(cookie, as_kept);
    assert_eq!(browser.run("return document.cookie").await, "");
    assert_eq!(browser.text("#session-id").await, id_in(&cookie));
    assert_eq!(browser.text("#store").await, store);
}

async fn signs_in(browser: &Chromium) {
    let before = cookie(browser).await;
    fill_in(browser, "Ada", "bela-password").await;
    browser.follow("#sign-in button").await;
    let error = browser.text("#sign-in-error").await;
    assert!(error.contains("password is wrong"), "{error}");
    let name = browser.run("return document.getElementById('name').value");
    assert_eq!(name.await, "Ada", "the name is kept");
    assert_eq!(browser.count("#user").await, 0);
    assert_eq!(cookie(browser).await, before);

    fill_in(browser, "Ada", "ada-password").await;
    browser.click("#remember").await;
    browser.follow("#sign-in button").await;
    assert_eq!(browser.text("#user").await, "Ada");
    assert!(browser.text("#flash").await.contains("signed in as Ada"));
    let after = cookie(browser).await;
    assert_ne!(
        id_in(&after),
        id_in(&before),
        "signing in gives a new session"
    );
    assert_eq!(browser.text("#session-id").await, id_in(&after));
    assert_eq!(days_left(&after), 30, "remembered");

    browser.reload().await;
    assert_eq!(browser.count("#flash").await, 0, "shown once");
    assert_eq!(cookie(browser).await.value, after.value);
}

async fn takes_notes(browser: &Chromium) {
    for text in ["umbrella", "gloves"] {
        browser.fill("#text", text).await;
        browser.follow(".add button").await;
    }
    assert_eq!(browser.count(".notes li").await, 2);
    confirm(browser, ".notes li:first-child").await;
    assert_eq!(browser.count(".notes li").await, 1);
    assert_eq!(browser.text(".notes li .text").await, "gloves");
    assert!(browser.text(".entries").await.contains("gloves"));
}

async fn two_tabs_at_once_lose_nothing(browser: &Chromium) {
    let first = browser.tabs().await.remove(0);
    browser
        .run("window.other = window.open('/', 'other')")
        .await;
    let tabs = browser.tabs().await;
    let second = tabs.iter().find(|tab| **tab != first);
    let second = second.expect("the second tab is open");
    let before = browser.count(".notes li").await;
    for round in 0..ROUNDS {
        let here = fill_in_note(browser, &first, &format!("here {round}")).await;
        let there = fill_in_note(browser, second, &format!("there {round}")).await;
        browser.turn_to(&first).await;
        let both = "for (const tab of [window.other, window])
            tab.document.querySelector('.add').submit();
            return null";
        browser.run(both).await;
        browser.gone(&here).await;
        browser.turn_to(second).await;
        browser.gone(&there).await;
        browser.turn_to(&first).await;
        // The new page of the first tab has no reference to the second tab yet.
        browser.run("window.other = window.open('', 'other')").await;
    }
    browser.reload().await;
    assert_eq!(browser.count(".notes li").await, before + 2 * ROUNDS);
}

/// Fills in a note without sending it, and returns the page.
async fn fill_in_note(browser: &Chromium, tab: &str, text: &str) -> String {
    browser.turn_to(tab).await;
    browser.fill("#text", text).await;
    browser.page().await
}

async fn signs_out(browser: &Chromium, demo: &Demo) {
    let old = cookie(browser).await;
    browser.follow("#sign-out").await;
    assert!(browser.text("#flash").await.contains("You are signed out"));
    assert_eq!(browser.count("#user").await, 0);
    assert_eq!(browser.count(".notes li").await, 0);
    assert_eq!(visits(browser).await, "1");
    let new = cookie(browser).await;
    assert_ne!(id_in(&new), id_in(&old));
    assert_eq!(new.expiry, None, "nobody asked to be remembered");

    let mut attacker = demo.client().with_cookie(format!("{NAME}={}", old.value));
    let page = attacker.get("/").await.body;
    assert!(!page.contains("Signed in as") && page.contains("No notes yet"));
}

#[tokio::test]
async fn the_demo_works_without_scripts() {
    let demo = Demo::start();
    let browser = Chromium::start_without_scripts().await;
    let page = "data:text/html,<title>off</title><script>document.title='on'</script>";
    browser.open(page).await;
    assert_eq!(browser.title().await, "off", "scripts are off");

    browser.open(demo.url()).await;
    fill_in(&browser, "Bela", "bela-password").await;
    browser.follow("#sign-in button").await;
    assert_eq!(browser.text("#user").await, "Bela");
    assert_eq!(
        cookie(&browser).await.expiry,
        None,
        "until the browser closes"
    );
    browser.fill("#text", "no scripts").await;
    browser.follow(".add button").await;
    assert_eq!(browser.text(".notes li .text").await, "no scripts");
    assert!(browser.text("#idle").await.starts_with("in 29 min"));
    assert!(
        browser
            .text("#absolute")
            .await
            .starts_with("in 11 h 59 min")
    );
    browser.follow("#sign-out").await;
    assert_eq!(browser.count("#user").await, 0);
}

#[tokio::test]
async fn with_scripts_the_remaining_time_counts_down() {
    let demo = Demo::start();
    let browser = Chromium::start().await;
    browser.open(demo.url()).await;
    let before = browser.text("#idle").await;
    while browser.text("#idle").await == before {
        tokio::task::yield_now().await;
    }
    assert!(browser.text("#idle").await.starts_with("in 19 min"));
}

async fn visits(browser: &Chromium) -> String {
    let count = browser.attribute("#visits", "data-count").await;
    count.unwrap_or_default()
}

async fn fill_in(browser: &Chromium, name: &str, password: &str) {
    browser.fill("#name", name).await;
    browser.fill("#password", password).await;
}

/// The session's cookie. The only other one is that of a known browser, which the demo sets at sign-in.
async fn cookie(browser: &Chromium) -> Cookie {
    let mut cookies = browser.cookies().await;
    cookies.retain(|cookie| cookie.name != "__Host-Http-device");
    assert_eq!(cookies.len(), 1, "{cookies:?}");
    assert_eq!(cookies[0].name, CookieConfig::DEFAULT_NAME);
    cookies.remove(0)
}

/// The public id in a cookie.
fn id_in(cookie: &Cookie) -> String {
    let token = Token::parse(&cookie.value).expect("the cookie holds a token");
    token.id().to_string()
}

/// The remaining lifetime of a cookie, in days.
fn days_left(cookie: &Cookie) -> u64 {
    const DAY: u64 = 24 * 60 * 60;
    let expiry = cookie.expiry.expect("a persistent cookie");
    let expiry = SystemTime::UNIX_EPOCH + Duration::from_secs(expiry);
    let left = expiry.duration_since(SystemTime::now()).unwrap_or_default();
    (left.as_secs() + DAY / 2) / DAY
}
