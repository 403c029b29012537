//! One user in two browsers, and in two tabs of one, in a real Chromium: a session that ends in one is
//! shown as ended in the other at once.

use tests::chromium::Chromium;
use tests::demo::Demo;
use tests::device_scenarios::{self, ADA, confirm, is_expired, listens, new_tab, sign_in, until};
use tests::program::free_port;

#[tokio::test]
async fn two_profiles() {
    let demo = Demo::start();
    device_scenarios::two_profiles(&demo, &demo).await;
}

#[tokio::test]
async fn two_tabs_of_one_profile() {
    device_scenarios::two_tabs(&Demo::start()).await;
}

#[tokio::test]
async fn an_admin_ends_another_user_s_session() {
    device_scenarios::an_admin(&Demo::start()).await;
}

#[tokio::test]
async fn a_sensitive_page_asks_for_the_password_again() {
    device_scenarios::recent_sign_in(&Demo::start_with(&["--recent-sign-in", "2s"])).await;
}

/// Browsers open at most six connections to a server: more tabs than that must not block each other, and
/// all must receive events.
#[tokio::test]
async fn many_tabs_of_one_profile() {
    let demo = Demo::start();
    let browser = Chromium::start().await;
    sign_in(&browser, &demo, ADA).await;
    let first = browser.tabs().await.remove(0);
    let mut others = Vec::new();
    for _ in 0..8 {
        others.push(new_tab(&browser, "/devices").await);
        listens(&browser).await;
    }
    browser.turn_to(&first).await;
    browser.follow("#sign-out").await;
    for tab in &others {
        browser.turn_to(tab).await;
        is_expired(&browser, "You signed out").await;
    }
}

#[tokio::test]
async fn exceeding_the_session_limit_ends_the_oldest_session() {
    let demo = Demo::start_with(&["--max-sessions", "1"]);
    let (old, new) = (Chromium::start().await, Chromium::start().await);
    sign_in(&old, &demo, ADA).await;
    listens(&old).await;
    sign_in(&new, &demo, ADA).await;
    is_expired(&old, "more devices than allowed").await;
}

#[tokio::test]
async fn an_idle_page_announces_that_its_session_expired() {
    let demo = Demo::start_with(&["--idle", "2s"]);
    let browser = Chromium::start().await;
    sign_in(&browser, &demo, ADA).await;
    is_expired(&browser, "The session expired").await;
    browser.follow("#ended a").await;
    assert_eq!(browser.count("#sign-in").await, 1);
}

#[tokio::test]
async fn signing_in_returns_to_the_requested_page() {
    let demo = Demo::start();
    for browser in [
        Chromium::start().await,
        Chromium::start_without_scripts().await,
    ] {
        browser.open(&format!("{}/devices", demo.url())).await;
        browser.fill("#name", ADA.0).await;
        browser.fill("#password", "wrong").await;
        browser.follow("#sign-in button").await;
        assert_eq!(browser.count("#name[aria-invalid=true]").await, 1);
        // The button of an account, with the password field empty.
        browser.follow(".accounts tr:nth-child(2) button").await;
        assert_eq!(browser.text("main h1").await, "Your devices");
        assert_eq!(browser.text("#user").await, "Bela");
    }
}

#[tokio::test]
async fn a_destructive_action_asks_once() {
    let demo = Demo::start();
    let browser = Chromium::start().await;
    sign_in(&browser, &demo, ADA).await;
    browser.open(&format!("{}/devices", demo.url())).await;
    let button = "#sign-out-everywhere summary";
    assert_eq!(browser.text(button).await, "Sign out everywhere");
    browser.click(button).await;
    assert_eq!(browser.text(button).await, "Cancel");
    browser.click(button).await;
    assert_eq!(browser.text(button).await, "Sign out everywhere");
    assert_eq!(browser.text("#user").await, ADA.0);
    confirm(&browser, "#sign-out-everywhere").await;
    assert_eq!(browser.count("#user").await, 0);
}

#[tokio::test]
async fn an_open_page_shows_that_the_server_is_away() {
    let address = format!("127.0.0.1:{}", free_port());
    let demo = Demo::start_with(&["--listen", &address]);
    let browser = Chromium::start().await;
    sign_in(&browser, &demo, ADA).await;
    listens(&browser).await;
    let is_hidden = "return document.getElementById('offline').hidden";
    assert_eq!(browser.run(is_hidden).await, true);
    drop(demo);
    until("the page shows it", async || {
        browser.run(is_hidden).await == false
    })
    .await;
}

/// Missed events are detected on reconnect.
#[tokio::test]
async fn a_session_lost_in_a_restart_is_noticed_on_reconnect() {
    let address = format!("127.0.0.1:{}", free_port());
    let demo = Demo::start_with(&["--listen", &address]);
    let browser = Chromium::start().await;
    sign_in(&browser, &demo, ADA).await;
    listens(&browser).await;
    demo.terminate();
    let (status, _) = demo.ended();
    assert!(status.success(), "an open page does not keep it: {status}");
    let _demo = Demo::start_with(&["--listen", &address]);
    is_expired(&browser, "has ended").await;
}

#[tokio::test]
async fn without_scripts_changes_show_on_the_next_page() {
    let demo = Demo::start();
    let (plain, other) = (
        Chromium::start_without_scripts().await,
        Chromium::start().await,
    );
    sign_in(&plain, &demo, ADA).await;
    sign_in(&other, &demo, ADA).await;
    listens(&other).await;
    plain.open(&format!("{}/devices", demo.url())).await;
    assert_eq!(plain.count(".devices li").await, 2);
    assert_eq!(plain.text(".current").await, "Current device");
    confirm(&plain, ".devices").await;
    is_expired(&other, "from another device").await;
    sign_in(&other, &demo, ADA).await;
    other.open(&format!("{}/devices", demo.url())).await;
    confirm(&other, "#sign-out-others").await;
    until("it is signed out", async || {
        plain.reload().await;
        plain.count("#user").await == 0
    })
    .await;
    assert!(plain.text("h1").await.contains("Please sign in"));
}
