//! The devices of a user, on two servers: each learns why it was signed out.

use tests::chromium::Chromium;

use super::shop::{
    Shop, assert_says, is_ended, is_not_recent, listens, page_text, path, send_sensitive, sign_in,
    sign_in_as,
};
const BY_USER: &str = "You have signed this device out from another one.";

const BY_PASSWORD: &str = "Your password was changed. Please sign in with the new one.";

pub(crate) async fn a_device_is_signed_out_from_another_one_and_learns_why(
    shop: &Shop,
    laptop: &Chromium,
    phone: &Chromium,
) {
    sign_in_as(laptop, shop, "Ada").await;
    sign_in(phone, &shop.at_other("/sign-in"), "Ada", "ada-password").await;
    listens(phone).await;

    laptop.open(&shop.at("/devices")).await;
    assert_eq!(laptop.count("#devices li").await, 2);
    assert_eq!(laptop.count("#devices .current").await, 1);
    assert_says(&laptop.text("#devices").await, "Chrome on Linux");
    laptop.follow("#devices button").await;
    assert_says(&page_text(laptop).await, "The device is signed out.");
    assert_eq!(laptop.count("#devices li").await, 1);
    is_ended(phone, BY_USER).await;
    // The next page says it, too.
    phone.open(&shop.at_other("/account")).await;
    assert_eq!(path(phone).await, "/sign-in?next=%2Faccount");
    assert_eq!(phone.text("#ended-reason").await, BY_USER);

    sign_in(phone, &shop.at_other("/sign-in"), "Ada", "ada-password").await;
    laptop.open(&shop.at("/devices")).await;
    laptop.follow("#sign-out-others").await;
    assert_says(&page_text(laptop).await, "Other devices signed out: 1.");
    is_ended(phone, BY_USER).await;

    sign_in(phone, &shop.at_other("/sign-in"), "Ada", "ada-password").await;
    listens(phone).await;
    a_password_is_changed(laptop, shop).await;
    is_ended(phone, BY_PASSWORD).await;
    phone.open(&shop.at_other("/account")).await;
    assert_eq!(phone.text("#ended-reason").await, BY_PASSWORD);
    sign_in(phone, &shop.at_other("/sign-in"), "Ada", "ada-password").await;
    assert_says(
        &page_text(phone).await,
        "The name or the password is wrong.",
    );
    sign_in(phone, &shop.at_other("/sign-in"), "Ada", "another-password").await;
    assert_eq!(phone.text("#user").await, "Ada");
}

/// After the sign-in is not recent any more.
async fn a_password_is_changed(browser: &Chromium, shop: &Shop) {
    is_not_recent(browser).await;
    browser.open(&shop.at("/account/password")).await;
    assert_eq!(path(browser).await, "/confirm?next=%2Faccount%2Fpassword");
    browser.fill("[name=password]", "wrong-password").await;
    browser.follow("#submit").await;
    assert_eq!(browser.text("#problem").await, "The password is wrong.");
    browser.fill("[name=password]", "ada-password").await;
    browser.follow("#submit").await;
    assert_eq!(path(browser).await, "/account/password");
    send_sensitive(
        browser,
        &shop.at("/account/password"),
        "ada-password",
        async || {
            browser.fill("[name=password]", "another-password").await;
            browser.follow("#submit").await;
        },
    )
    .await;
    let page = page_text(browser).await;
    assert_says(
        &page,
        "Your password is changed. Other devices signed out: 1.",
    );
    assert_eq!(browser.text("#user").await, "Ada");
}
