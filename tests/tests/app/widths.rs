//! The pages on screens of different widths.

use tests::chromium::Chromium;

use super::shop::{Shop, sign_in_as};

/// The pages of the app, on a phone and on a laptop.
#[tokio::test(flavor = "multi_thread")]
async fn no_page_is_wider_than_its_screen() {
    let shop = Shop::memory().await;
    let browser = Chromium::start().await;
    for path in ["/", "/register", "/sign-in"] {
        fits(&browser, &shop, path).await;
    }
    sign_in_as(&browser, &shop, "Mona").await;
    for path in [
        "/",
        "/account",
        "/account/email",
        "/account/password",
        "/account/second-factor",
        "/admin",
        "/devices",
    ] {
        fits(&browser, &shop, path).await;
    }
}

async fn fits(browser: &Chromium, shop: &Shop, path: &str) {
    browser.open(&shop.at(path)).await;
    for width in [390, 1280] {
        browser.set_width(width).await;
        let script = "const { scrollWidth, clientWidth } = document.documentElement;
            return [scrollWidth, clientWidth]";
        let measured = browser.run(script).await;
        assert_eq!(measured[0], measured[1], "{path} at {width}");
    }
}
