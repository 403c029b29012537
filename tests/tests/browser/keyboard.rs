//! The demo with a keyboard alone.

use tests::chromium::{Chromium, ENTER, ESCAPE, TAB};
use tests::demo::Demo;
use tests::device_scenarios::{ADA, confirm, is_expired, listens, sign_in, until};

/// More than the links, fields and buttons of any page.
const MAX_STOPS: usize = 40;

#[tokio::test]
async fn keys_alone_sign_in_take_a_note_and_sign_out() {
    let demo = Demo::start();
    let browser = Chromium::start().await;
    browser.open(demo.url()).await;
    tab_to(&browser, "#name").await;
    browser.press(ADA.0).await;
    tab_to(&browser, "#password").await;
    browser.press(ADA.1).await;
    press_to_leave(&browser, ENTER).await;
    assert_eq!(browser.text("#user").await, ADA.0);

    tab_to(&browser, "#text").await;
    browser.press("Buy milk").await;
    press_to_leave(&browser, ENTER).await;
    assert_eq!(browser.text(".notes .text").await, "Buy milk");

    tab_to(&browser, ".notes summary").await;
    browser.press(" ").await;
    tab_to(&browser, ".notes form button").await;
    press_to_leave(&browser, " ").await;
    assert_eq!(browser.count(".notes .text").await, 0);

    tab_to(&browser, "#sign-out").await;
    press_to_leave(&browser, ENTER).await;
    assert!(browser.text("#flash").await.contains("You are signed out"));
    assert_eq!(browser.count("#user").await, 0);
}

#[tokio::test]
async fn escape_cancels_a_destructive_action() {
    let demo = Demo::start();
    let browser = Chromium::start().await;
    sign_in(&browser, &demo, ADA).await;
    browser.open(&format!("{}/devices", demo.url())).await;
    let button = "#sign-out-everywhere summary";
    for from_confirmation in [false, true] {
        tab_to(&browser, button).await;
        browser.press(ENTER).await;
        assert_eq!(browser.text(button).await, "Cancel");
        if from_confirmation {
            tab_to(&browser, "#sign-out-everywhere form button").await;
        }
        browser.press(ESCAPE).await;
        assert_eq!(browser.text(button).await, "Sign out everywhere");
        assert!(has_focus(&browser, button).await);
    }
}

#[tokio::test]
async fn the_first_link_skips_the_navigation() {
    let demo = Demo::start();
    let browser = Chromium::start().await;
    sign_in(&browser, &demo, ADA).await;
    browser.open(&format!("{}/devices", demo.url())).await;
    browser.press(TAB).await;
    assert!(has_focus(&browser, ".skip").await);
    browser.press(ENTER).await;
    browser.press(TAB).await;
    assert!(has_focus(&browser, "#sign-out-everywhere summary").await);
}

#[tokio::test]
async fn the_end_of_a_session_takes_the_focus() {
    let demo = Demo::start();
    let (browser, other) = (Chromium::start().await, Chromium::start().await);
    sign_in(&browser, &demo, ADA).await;
    listens(&browser).await;
    sign_in(&other, &demo, ADA).await;
    other.open(&format!("{}/devices", demo.url())).await;
    confirm(&other, "#sign-out-others").await;
    is_expired(&browser, "from another device").await;
    assert!(has_focus(&browser, "#ended h1").await);
    browser.press(TAB).await;
    assert!(has_focus(&browser, "#ended a").await);
    press_to_leave(&browser, ENTER).await;
    until("the form has the focus", async || {
        has_focus(&browser, "#name").await
    })
    .await;
}

#[tokio::test]
async fn an_updated_list_keeps_the_focus() {
    let demo = Demo::start();
    let (browser, other) = (Chromium::start().await, Chromium::start().await);
    sign_in(&browser, &demo, ADA).await;
    browser.open(&format!("{}/devices", demo.url())).await;
    listens(&browser).await;
    let button = "#sign-out-everywhere summary";
    tab_to(&browser, button).await;
    browser.press(ENTER).await;
    sign_in(&other, &demo, ADA).await;
    until("the list has both", async || {
        browser.count(".devices li").await == 2
    })
    .await;
    assert!(has_focus(&browser, button).await);
    assert_eq!(browser.text(button).await, "Cancel");
}

/// Presses the tab key until an element has the focus. The focus is visible on the way.
async fn tab_to(browser: &Chromium, selector: &str) {
    let outline = "const focused = document.activeElement;
        return focused === document.body || getComputedStyle(focused).outlineStyle !== 'none'";
    for _ in 0..MAX_STOPS {
        browser.press(TAB).await;
        assert_eq!(browser.run(outline).await, true, "the focus is visible");
        if has_focus(browser, selector).await {
            return;
        }
    }
    panic!("the tab key does not reach {selector}");
}

async fn has_focus(browser: &Chromium, selector: &str) -> bool {
    let script = format!("return document.activeElement.matches('{selector}')");
    browser.run(&script).await == true
}

/// Presses a key that leads to another page, and waits for that page.
async fn press_to_leave(browser: &Chromium, key: &str) {
    let page = browser.page().await;
    browser.press(key).await;
    browser.gone(&page).await;
}
