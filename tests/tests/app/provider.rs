//! Signing in with the identity provider, which is another site.

use tests::chromium::Chromium;

use super::shop::{Shop, assert_says, be_a_guest, is_not_recent, page_text, path};
pub(crate) async fn a_guest_signs_in_with_the_provider_and_is_the_same_user_next_time(
    shop: &Shop,
    browser: &Chromium,
) {
    be_a_guest(browser, shop).await;
    browser.open(&shop.at("/")).await;
    browser.follow("[value=Bowler]").await;
    browser.open(&shop.at("/devices")).await;
    browser.follow("#provider").await;
    assert_eq!(browser.title().await, "Example ID");
    browser.follow("#deny").await;
    assert_says(&page_text(browser).await, "was cancelled");

    browser.open(&shop.at("/devices")).await;
    browser.follow("#provider").await;
    browser.follow("#approve").await;
    assert_eq!(path(browser).await, "/devices");
    assert_eq!(browser.text("#user").await, "Elsa");
    browser.open(&shop.at("/")).await;
    assert_says(&page_text(browser).await, "Bowler × 1");
    browser.follow("#sign-out").await;
    browser.open(&shop.at("/sign-in")).await;
    browser.follow("#provider").await;
    browser.follow("#approve").await;
    assert_eq!(path(browser).await, "/account");
    browser.open(&shop.at("/")).await;
    assert_says(&page_text(browser).await, "Bowler × 1");
    // A user without a password confirms the sign-in at the provider.
    is_not_recent(browser).await;
    browser.open(&shop.at("/account/password")).await;
    assert_eq!(path(browser).await, "/confirm?next=%2Faccount%2Fpassword");
    browser.follow("#provider").await;
    browser.follow("#approve").await;
    assert_eq!(path(browser).await, "/account/password");
    assert_eq!(browser.count("#no-password").await, 1);
    assert_eq!(browser.count("[name=password]").await, 0);
}
