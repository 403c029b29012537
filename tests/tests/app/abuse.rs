//! What another site, a link and a name can try.

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use tests::chromium::Chromium;

use super::shop::{Shop, be_a_guest, other_site, page_text, path, sign_in, sign_in_as};

#[tokio::test(flavor = "multi_thread")]
async fn neither_links_nor_names_nor_other_sites_do_any_harm() {
    let (shop, browser) = (Shop::memory().await, Chromium::start().await);
    no_link_to_the_sign_in_page_leads_to_another_site(&shop, &browser).await;
    no_link_makes_up_a_message_and_a_name_in_one_is_text(&shop, &browser).await;
    no_form_of_another_site_changes_anything(&shop, &browser).await;
}

async fn no_link_to_the_sign_in_page_leads_to_another_site(shop: &Shop, browser: &Chromium) {
    let evil =
        other_site(Router::new().route("/", get(async || Html("<title>evil</title>")))).await;
    let (_, host) = evil.split_once("//").expect("a URL");
    for next in [
        evil.clone(),
        format!("//{host}"),
        format!("/\\{host}"),
        format!("/%09/{host}"),
        format!("/..//{host}"),
        "javascript:document.title='evil'".to_owned(),
    ] {
        let page = shop.at(&format!("/sign-in?next={next}"));
        sign_in(browser, &page, "Ada", "ada-password").await;
        let origin = browser.run("return location.origin").await;
        assert_eq!(origin, shop.at("").as_str(), "{next}");
        assert_eq!(path(browser).await, "/account", "{next}");
    }
    // The same for the way over the provider.
    browser.follow("#sign-out").await;
    browser.open(&shop.at("/sign-in")).await;
    let change = format!("document.querySelector('[name=next]').value = '{evil}/'");
    browser.run(&change).await;
    browser.follow("#provider").await;
    browser.follow("#approve").await;
    assert_eq!(path(browser).await, "/account");
    assert_eq!(browser.text("#user").await, "Elsa");
}

async fn no_link_makes_up_a_message_and_a_name_in_one_is_text(shop: &Shop, browser: &Chromium) {
    be_a_guest(browser, shop).await;
    let made_up = "Your account is locked. Call 555-1234.";
    for query in ["notices", "notice", "flash", "message", "error"] {
        browser
            .open(&shop.at(&format!("/?{query}={made_up}")))
            .await;
        let page = page_text(browser).await;
        assert!(!page.contains("555-1234"), "{page}");
        assert_eq!(browser.count(".notice").await, 0);
    }
    let name = "<img/src=x/onerror=document.title='evil'>";
    browser.open(&shop.at("/register")).await;
    browser.fill("[name=name]", name).await;
    browser.fill("[name=password]", "eve-password").await;
    browser.follow("#submit").await;
    assert_eq!(browser.text(".notice").await, format!("Welcome, {name}."));
    assert_eq!(browser.count("img").await, 0);
    assert_ne!(browser.title().await, "evil");
}

/// The forms of the app that change something.
const FORMS: [&str; 10] = [
    "/account/name",
    "/account/email",
    "/account/password",
    "/cart",
    "/confirm",
    "/devices/sign-out-others",
    "/oauth/begin",
    "/register",
    "/sign-in",
    "/sign-out",
];

/// A page with the same forms, filled in by the attacker, and an image that is a link to sign out.
fn forms(app: &str) -> String {
    let form = |path: &&str| {
        format!(
            "<form id=\"{}\" method=post action=\"{app}{path}\">
            <input name=csrf value=guess><input name=name value=Eve><input name=email value=eve@example.com>
            <input name=password value=eve-password><input name=product value=Beret><button>Win</button></form>",
            path.replace('/', "-")
        )
    };
    let forms: String = FORMS.iter().map(form).collect();
    format!("<!doctype html><title>other</title>{forms}<img src=\"{app}/sign-out\">")
}

async fn no_form_of_another_site_changes_anything(shop: &Shop, browser: &Chromium) {
    sign_in_as(browser, shop, "Ada").await;
    let page = forms(&shop.at(""));
    let other = other_site(Router::new().route("/", get(async move || Html(page)))).await;
    for path in FORMS {
        browser.open(&other).await;
        let form = path.replace('/', "-");
        browser.follow(&format!("#{form} button")).await;
        let status = "return performance.getEntriesByType('navigation')[0].responseStatus";
        assert_eq!(browser.run(status).await, 403, "{path} has arrived");
    }
    browser.open(&shop.at("/")).await;
    let page = page_text(browser).await;
    assert!(
        page.contains("Hello, Ada.") && page.contains("Nothing yet."),
        "{page}"
    );
    browser.open(&shop.at("/account")).await;
    assert_eq!(browser.text("#email").await, "None yet.");
    // The same form on a page of the app works.
    browser.fill("#name-form [name=name]", "Eve").await;
    browser.follow("#name-form button").await;
    assert_eq!(browser.text("#user").await, "Eve");
}
