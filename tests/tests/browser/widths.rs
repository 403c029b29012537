//! The demo on screens of different widths.

use tests::chromium::Chromium;
use tests::demo::Demo;
use tests::device_scenarios::{ADA, MONA, sign_in};

/// From the narrowest phone to a laptop, in CSS pixels.
const WIDTHS: [u32; 4] = [320, 390, 768, 1280];

#[tokio::test]
async fn no_page_is_wider_than_its_screen() {
    let demo = Demo::start_with(&["--recent-sign-in", "1s"]);
    let (browser, other) = (Chromium::start().await, Chromium::start().await);
    fits(&browser, &demo, &["/", "/sign-in", "/devices", "/nothing"]).await;

    sign_in(&other, &demo, ADA).await;
    sign_in(&browser, &demo, ADA).await;
    browser.fill("#text", &"x".repeat(280)).await;
    browser.follow(".add button").await;
    fits(&browser, &demo, &["/", "/devices", "/security", "/admin"]).await;
    // A new session, without the notes of another user.
    sign_in_as_mona(&browser, &demo).await;
    fits(&browser, &demo, &["/admin"]).await;
}

async fn sign_in_as_mona(browser: &Chromium, demo: &Demo) {
    browser.open(&format!("{}/sign-in", demo.url())).await;
    browser.fill("#name", MONA.0).await;
    browser.fill("#password", MONA.1).await;
    browser.follow("#sign-in button").await;
    assert_eq!(browser.text("#user").await, MONA.0);
}

/// Checks pages at all widths, also with the confirmation of a destructive action.
async fn fits(browser: &Chromium, demo: &Demo, paths: &[&str]) {
    for path in paths {
        browser.open(&format!("{}{path}", demo.url())).await;
        browser
            .run("document.querySelector('details')?.setAttribute('open', '')")
            .await;
        for width in WIDTHS {
            browser.set_width(width).await;
            // Without a scroll bar. On a phone, a page that is too wide also makes the window wider.
            let script = "const { scrollWidth, clientWidth } = document.documentElement;
                return [scrollWidth, clientWidth]";
            let measured = browser.run(script).await;
            assert_eq!(measured[0], measured[1], "{path} at {width}");
            assert!(
                measured[1].as_u64() <= Some(width.into()),
                "{path} at {width}: {measured}"
            );
        }
    }
}
