//! The second factor: set up, asked for, and each code once.

use std::time::{SystemTime, UNIX_EPOCH};

use tests::chromium::Chromium;
use tests::device_scenarios::until;
use totp_rs::{Builder, Secret};

use super::account::ZOE;
use super::shop::{Shop, assert_says, be_a_guest, is_refused, page_text, path, sign_in};
/// The code of this step, or of one that is so many steps away. Those of the neighbouring steps are valid as well.
fn code(secret: &str, steps: i64) -> String {
    let secret = Secret::try_from_base32(secret).expect("it is base 32");
    let authenticator = Builder::new().with_secret(secret).build();
    let at = now().saturating_add_signed(30 * steps);
    authenticator.expect("it is valid").generate(at).to_string()
}

/// The seconds since 1970. A step has 30 of them.
fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("it is after 1970").as_secs()
}

async fn enter(browser: &Chromium, code: &str) {
    browser.fill("[name=code]", code).await;
    browser.follow("#submit").await;
}

/// Enters a code while the second factor is set up, after a recent sign-in, and returns the key. On a busy machine the sign-in may
/// not be recent any more when the form is sent: then the user signs in again.
async fn set_up(browser: &Chromium, shop: &Shop, code: impl Fn(&str) -> String) -> String {
    for _ in 0..10 {
        until("a step is in its first half", async || now() % 30 < 15).await;
        sign_in(browser, &shop.at("/sign-in"), ZOE.0, ZOE.1).await;
        browser.open(&shop.at("/account/second-factor")).await;
        if path(browser).await != "/account/second-factor" {
            continue;
        }
        let secret = browser.text("#secret").await;
        if now() % 30 >= 20 {
            // The code of the step before is valid until this one ends, which may be too soon.
            continue;
        }
        enter(browser, &code(&secret)).await;
        if !is_refused(browser).await {
            return secret;
        }
    }
    panic!("the form was never sent in time");
}

/// After `account`: the account of the user who has registered there.
pub(crate) async fn an_account_with_a_second_factor_needs_a_new_code_for_each_sign_in(
    shop: &Shop,
    browser: &Chromium,
) {
    let (name, password) = ZOE;
    be_a_guest(browser, shop).await;
    let secret = set_up(browser, shop, |_| "000000".to_owned()).await;
    assert_says(&page_text(browser).await, "The code is wrong");
    let same = set_up(browser, shop, |secret| code(secret, -1)).await;
    assert_eq!(same, secret, "the same key");
    assert_says(
        &page_text(browser).await,
        "Sign-ins need a code from now on.",
    );

    browser.follow("#sign-out").await;
    let page = shop.at_other("/sign-in?next=/devices");
    sign_in(browser, &page, name, password).await;
    assert_eq!(path(browser).await, "/second-factor?next=/devices");
    // The password alone opens no page of the account, also on the other server.
    browser.open(&shop.at("/account")).await;
    assert_eq!(path(browser).await, "/second-factor?next=/account");
    let used = code(&secret, 0);
    let cookie = session_cookie(browser).await;
    enter(browser, &used).await;
    assert_eq!(path(browser).await, "/account");
    assert_ne!(session_cookie(browser).await, cookie, "it is renewed");
    browser.open(&shop.at_other("/devices")).await;
    assert_eq!(path(browser).await, "/devices");

    browser.follow("#sign-out").await;
    sign_in(browser, &shop.at("/sign-in"), name, password).await;
    enter(browser, &used).await;
    assert_says(&page_text(browser).await, "was used already");
    enter(browser, &code(&secret, 1)).await;
    assert_eq!(path(browser).await, "/account");
}

async fn session_cookie(browser: &Chromium) -> String {
    let mut cookies = browser.cookies().await.into_iter();
    let session = cookies.find(|cookie| cookie.name == cloakroom::CookieConfig::DEFAULT_NAME);
    session.expect("it is signed in").value
}
