//! Registration, the cart, the account, and signing in and out.

use cloakroom::CookieConfig;
use tests::chromium::Chromium;
use tests::device_scenarios::until;

use super::shop::{Shop, assert_says, be_a_guest, page_text, path, send_sensitive, sign_in};
/// The user who registers.
pub(crate) const ZOE: (&str, &str) = ("Zoe", "zoe-password");

pub(crate) async fn a_guest_registers_changes_the_account_and_comes_back(
    shop: &Shop,
    browser: &Chromium,
) {
    be_a_guest(browser, shop).await;
    a_guest_registers_and_keeps_the_cart(browser, shop).await;
    a_name_is_changed_on_both_servers(browser, shop).await;
    an_address_is_confirmed_by_a_code_that_works_once(browser, shop).await;
    nothing_is_left_after_a_sign_out(browser, shop).await;
    a_sign_in_leads_back_and_merges_the_cart(browser, shop).await;
}

async fn a_guest_registers_and_keeps_the_cart(browser: &Chromium, shop: &Shop) {
    browser.open(&shop.at("/")).await;
    browser.follow("[value=Beret]").await;
    browser.follow("[value=Beret]").await;
    // The guard leads to the sign-in page, which remembers the way.
    browser.open(&shop.at("/account")).await;
    assert_eq!(path(browser).await, "/sign-in?next=%2Faccount");
    browser.follow("[href='/register']").await;
    browser.fill("[name=name]", ZOE.0).await;
    browser.fill("[name=password]", "short").await;
    browser.follow("#submit").await;
    assert_says(&page_text(browser).await, "8 to 128 characters");
    browser.fill("[name=name]", ZOE.0).await;
    browser.fill("[name=password]", ZOE.1).await;
    browser.follow("#submit").await;
    let page = page_text(browser).await;
    assert_says(&page, "Welcome, Zoe.");
    assert_says(&page, "Beret × 2");
    browser.reload().await;
    let page = page_text(browser).await;
    assert!(!page.contains("Welcome, Zoe."), "shown once: {page}");
    assert_says(&page, "Hello, Zoe.");
}

async fn a_name_is_changed_on_both_servers(browser: &Chromium, shop: &Shop) {
    browser.open(&shop.at_other("/")).await;
    assert_eq!(browser.text("#user").await, "Zoe");
    browser.open(&shop.at("/account")).await;
    browser.fill("#name-form [name=name]", "Zoë").await;
    browser.follow("#name-form button").await;
    assert_says(&page_text(browser).await, "Your name is Zoë now.");
    assert_eq!(browser.text("#user").await, "Zoë");
    // The staleness bound of the cache.
    until("the other server has the name", async || {
        browser.open(&shop.at_other("/")).await;
        browser.text("#user").await == "Zoë"
    })
    .await;
}

async fn an_address_is_confirmed_by_a_code_that_works_once(browser: &Chromium, shop: &Shop) {
    let to = "zoe@example.com";
    for is_right in [false, true] {
        send_sensitive(browser, &shop.at("/account/email"), ZOE.1, async || {
            browser.fill("#email-form [name=email]", to).await;
            browser.follow("#email-form button").await;
        })
        .await;
        assert_says(&page_text(browser).await, "We have sent a code");
        let sent = shop.mailed(to);
        let typed = if is_right { &*sent } else { "none" };
        browser.fill("#code-form [name=code]", typed).await;
        browser.follow("#code-form button").await;
        if is_right {
            assert_says(
                &page_text(browser).await,
                "Your address is zoe@example.com now.",
            );
        } else {
            assert_says(&page_text(browser).await, "The code is wrong");
            // The first attempt has used it up.
            browser.fill("#code-form [name=code]", &sent).await;
            browser.follow("#code-form button").await;
            assert_says(&page_text(browser).await, "The code is wrong");
            assert_eq!(browser.text("#email").await, "None yet.");
        }
    }
    assert_eq!(browser.text("#email").await, to);
}

async fn nothing_is_left_after_a_sign_out(browser: &Chromium, shop: &Shop) {
    browser.run("localStorage.setItem('draft', 'secret')").await;
    browser.open(&shop.at("/account")).await;
    browser.follow("#sign-out").await;
    let page = page_text(browser).await;
    assert_says(&page, "You have signed out.");
    assert_says(&page, "Nothing yet.");
    let stored = browser.run("return localStorage.getItem('draft')").await;
    assert!(stored.is_null(), "Clear-Site-Data: {stored}");
    // The Back button shows nothing of the account.
    browser.run("history.back()").await;
    until("the page is loaded again", async || {
        path(browser).await.starts_with("/sign-in")
    })
    .await;
    assert_eq!(browser.count("#user").await, 0);
}

async fn a_sign_in_leads_back_and_merges_the_cart(browser: &Chromium, shop: &Shop) {
    browser.open(&shop.at("/")).await;
    browser.follow("[value=Beret]").await;
    browser.follow("[value=Fedora]").await;
    browser.open(&shop.at("/devices")).await;
    assert_eq!(path(browser).await, "/sign-in?next=%2Fdevices");
    let page = browser.run("return location.href").await;
    let page = page.as_str().expect("a text");
    sign_in(browser, page, ZOE.0, "wrong-password").await;
    assert_eq!(
        browser.text("#problem").await,
        "The name or the password is wrong."
    );
    assert_eq!(path(browser).await, "/sign-in?next=%2Fdevices");
    browser.fill("[name=name]", ZOE.0).await;
    browser.fill("[name=password]", ZOE.1).await;
    browser.click("[name=remember]").await;
    browser.follow("#submit").await;
    assert_eq!(path(browser).await, "/devices");
    assert_says(
        &page_text(browser).await,
        "Failed attempts since your last sign-in: 1.",
    );
    let mut cookies = browser.cookies().await.into_iter();
    let session = cookies.find(|cookie| cookie.name == CookieConfig::DEFAULT_NAME);
    let session = session.expect("it is signed in");
    assert!(session.expiry.is_some(), "it is remembered");
    browser.open(&shop.at("/")).await;
    let page = page_text(browser).await;
    assert_says(&page, "Beret × 3");
    assert_says(&page, "Fedora × 1");
}
