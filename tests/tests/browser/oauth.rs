//! Signing in with a provider in Chromium: the app is `localhost`, the provider another site, `127.0.0.1`.

use std::time::{Duration, Instant};

use axum::response::Html;
use axum::routing::{get, post};
use cloakroom::{
    CookieConfig, CookieKey, MemoryStore, OAuthConfig, SameSite, Session, SessionError,
    SessionLayer,
};
use tests::chromium::{Chromium, Cookie};
use tests::provider::Provider;
use tests::recipes::oauth;
use tokio::net::TcpListener;

/// How long a page may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// An app with the routes of the recipe, and a provider.
struct Shop {
    url: String,
    provider: Provider,
    browser: Chromium,
}

async fn begin_page() -> Html<&'static str> {
    Html(
        "<!doctype html><title>shop</title>
        <form method=post action=/cart><button id=cart>Cart</button></form>
        <form method=post action=/oauth/begin><input type=hidden name=next value=/me>
        <button id=begin>Sign in</button></form>",
    )
}

async fn cart(session: Session) -> Result<Html<&'static str>, SessionError> {
    session.insert("cart", "hat")?;
    Ok(Html("added"))
}

async fn me(session: Session) -> Result<String, SessionError> {
    let user = session.user_id::<String>()?.unwrap_or_default();
    let cart: Option<String> = session.get("cart")?;
    Ok(format!("user={user} cart={}", cart.unwrap_or_default()))
}

impl Shop {
    /// With a guest's cart.
    async fn open(same_site: SameSite, answers_with_form: bool) -> Self {
        let provider = Provider::start().await;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await;
        let listener = listener.expect("a port is free");
        let port = listener.local_addr().expect("it has an address").port();
        let url = format!("http://localhost:{port}");
        let redirect_uri = format!("{url}/oauth/callback");
        let known = oauth::Provider::new(&provider.issuer, &redirect_uri, answers_with_form);
        let key = CookieKey::generate().expect("there is randomness");
        let layer = SessionLayer::builder(MemoryStore::new())
            .with_cookie(CookieConfig::default().with_same_site(same_site))
            .with_oauth(OAuthConfig::new([key]))
            .build()
            .expect("it is valid");
        let routes = match same_site {
            SameSite::Strict => oauth::routes_for_strict_cookie(known),
            _ => oauth::routes(known),
        };
        let app = routes
            .route("/", get(begin_page))
            .route("/cart", post(cart))
            .route("/me", get(me))
            .layer(layer);
        tokio::spawn(async move { axum::serve(listener, app).await });
        let browser = Chromium::start().await;
        browser.open(&url).await;
        browser.follow("#cart").await;
        Self {
            url,
            provider,
            browser,
        }
    }

    /// Begins a sign-in in the current tab, up to the page of the provider.
    async fn begin(&self) {
        self.browser.open(&self.url).await;
        self.browser.follow("#begin").await;
        assert_eq!(self.browser.title().await, "provider");
    }

    async fn visible(&self) -> String {
        self.browser.open(&format!("{}/me", self.url)).await;
        self.browser.text("body").await
    }

    /// Waits until a page has this text: the callback's own page leads on to the next one.
    async fn wait_for(&self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        let body = "return document.body ? document.body.innerText : '';";
        while self.browser.run(body).await != text {
            assert!(Instant::now() < deadline, "never: {text}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn signed_in(&self) -> String {
        format!("user={}#ada cart=hat", self.provider.issuer)
    }

    /// The cookies of transactions, on a page of the app.
    async fn transactions(&self) -> Vec<Cookie> {
        let mut cookies = self.browser.cookies().await;
        cookies.retain(|cookie| cookie.name.starts_with(OAuthConfig::DEFAULT_COOKIE_NAME));
        cookies
    }
}

async fn a_guest_signs_in_and_keeps_the_cart(same_site: SameSite, answers_with_form: bool) {
    let shop = Shop::open(same_site, answers_with_form).await;
    shop.begin().await;
    assert_eq!(shop.visible().await, "user= cart=hat");
    let cookies = shop.transactions().await;
    assert_eq!(cookies.len(), 1);
    assert_eq!(cookies[0].same_site, "None");
    assert!(cookies[0].secure && cookies[0].http_only);
    assert!(cookies[0].expiry.is_some());
    // The tab goes back to the provider, where the user approves.
    shop.begin().await;
    shop.browser.follow("#approve").await;
    shop.wait_for(&shop.signed_in()).await;
    assert_eq!(
        shop.transactions().await.len(),
        1,
        "the abandoned one is left"
    );
    assert_eq!(shop.visible().await, shop.signed_in());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_signs_in_by_a_redirect_of_another_site_and_keeps_the_cart() {
    a_guest_signs_in_and_keeps_the_cart(SameSite::Lax, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_signs_in_by_a_form_of_another_site_and_keeps_the_cart() {
    a_guest_signs_in_and_keeps_the_cart(SameSite::Lax, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_with_a_strict_cookie_signs_in_either_way_and_keeps_the_cart() {
    for answers_with_form in [false, true] {
        a_guest_signs_in_and_keeps_the_cart(SameSite::Strict, answers_with_form).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_tabs_sign_in_one_after_the_other_in_any_order() {
    let shop = Shop::open(SameSite::Lax, false).await;
    let first = shop.browser.tabs().await;
    shop.begin().await;
    shop.browser.run("window.open('about:blank')").await;
    let tabs = shop.browser.tabs().await;
    let second = tabs.iter().find(|tab| !first.contains(tab));
    shop.browser.turn_to(second.expect("a second tab")).await;
    shop.begin().await;
    for tab in [&first[0], second.expect("a second tab")] {
        shop.browser.turn_to(tab).await;
        shop.browser.follow("#approve").await;
        shop.wait_for(&shop.signed_in()).await;
    }
    assert_eq!(shop.transactions().await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_of_an_attackers_sign_in_signs_nobody_in() {
    let shop = Shop::open(SameSite::Lax, false).await;
    // What the attacker's own browser would have sent, had it not stopped at the provider.
    let attacker = Chromium::start().await;
    attacker.open(&shop.url).await;
    attacker.follow("#begin").await;
    let script = "const form = document.querySelector('#approve').form;
        return form.action + '?' + new URLSearchParams(new FormData(form));";
    let address = attacker.run(script).await;
    let address = address.as_str().expect("an address");
    assert!(address.starts_with(&shop.url), "{address}");
    shop.browser.open(address).await;
    let page = shop.browser.text("body").await;
    assert!(!page.contains("user="), "{page}");
    assert_eq!(shop.visible().await, "user= cart=hat");
    // The address is good in the attacker's browser.
    attacker.open(address).await;
    assert!(attacker.text("body").await.contains("#ada"));
}
