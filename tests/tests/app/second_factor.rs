//! The second factor: set up, asked for, and each code once.

use std::time::{SystemTime, UNIX_EPOCH};

use tests::chromium::Chromium;
use totp_rs::{Builder, Secret};

use super::account::ZOE;
use super::shop::{Shop, assert_says, be_a_guest, page_text, path, sign_in};
/// The code of this step, or of one that is so many steps away. Those of the neighbouring steps are valid as well.
fn code(secret: &str, steps: i64) -> String {
    let secret = Secret::try_from_base32(secret).expect("it is base 32");
    let authenticator = Builder::new().with_secret(secret).build();
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.expect("it is after 1970").as_secs();
    let at = now.saturating_add_signed(30 * steps);
    authenticator.expect("it is valid").generate(at).to_string()
}

async fn enter(browser: &Chromium, code: &str) {
    browser.fill("[name=code]", code).await;
    browser.follow("#submit").await;
}

/// After `account`: the account of the user who has registered there.
pub(crate) async fn an_account_with_a_second_factor_needs_a_new_code_for_each_sign_in(
    shop: &Shop,
    browser: &Chromium,
) {
    let (name, password) = ZOE;
    be_a_guest(browser, shop).await;
    sign_in(browser, &shop.at("/sign-in"), name, password).await;
    browser.open(&shop.at("/account/second-factor")).await;
    let secret = browser.text("#secret").await;
    enter(browser, "000000").await;
    assert_says(&page_text(browser).await, "The code is wrong");
    assert_eq!(browser.text("#secret").await, secret, "the same key");
    enter(browser, &code(&secret, -1)).await;
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
