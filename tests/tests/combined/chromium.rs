//! What a real Chromium does with cookies across sites and paths.

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use cloakroom::{CookieConfig, CookieKey, hours};
use cloakroom_core::{Clock, ManualClock};
use tests::chromium::Chromium;
use tokio::net::TcpListener;

use crate::app;
use crate::setup::{Features, Storage, servers};

/// Serves an app, and returns its port.
async fn serve(app: Router) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await;
    let listener = listener.expect("a port is free");
    let address = listener.local_addr().expect("it has an address");
    tokio::spawn(async move { axum::serve(listener, app).await });
    address.port()
}

/// A page with a button for each form that posts to an address.
fn forms(actions: &[(&str, String)]) -> Html<String> {
    let form = |(id, action): &(&str, String)| {
        format!("<form method=post action=\"{action}\"><button id={id}>{id}</button></form>")
    };
    let forms: String = actions.iter().map(form).collect();
    Html(format!("<!doctype html><title>forms</title>{forms}"))
}

/// The shop with one more page, `/forms`, that has a button for each of these paths.
fn with_forms(app: Router, paths: &[(&'static str, &str)]) -> Router {
    let actions = paths.iter().map(|(id, path)| (*id, (*path).to_owned()));
    let page = forms(&actions.collect::<Vec<_>>());
    app.route("/forms", get(async move || page))
}

async fn shown(browser: &Chromium, url: &str) -> String {
    browser.open(url).await;
    browser.text("body").await
}

/// An OAuth provider that answers with a form (`form_post`): a cross-site `POST` without the `Lax` cookie.
#[tokio::test(flavor = "multi_thread")]
async fn a_cross_site_form_does_not_sign_out() {
    let clock = ManualClock::default();
    let storage = Storage::memory(&clock);
    let [layer, _] = servers(&storage, &clock, &Features::default()).await.layers;
    let paths = [("cart", "/cart/hat"), ("sign_in", "/sign-in/ada/s")];
    let shop = serve(with_forms(app::whole().layer(layer), &paths)).await;
    let shop = format!("http://localhost:{shop}");
    let callback = format!("{shop}/mark/f");
    let provider = Router::new().route(
        "/",
        get(async move || forms(&[("callback", callback.clone())])),
    );
    let provider = serve(provider).await;

    let browser = Chromium::start().await;
    for button in ["#cart", "#sign_in"] {
        browser.open(&format!("{shop}/forms")).await;
        browser.follow(button).await;
    }
    assert_eq!(shown(&browser, &format!("{shop}/me")).await, "ada|hat|s");
    browser.open(&format!("http://127.0.0.1:{provider}/")).await;
    browser.follow("#callback").await;
    assert_eq!(shown(&browser, &format!("{shop}/me")).await, "ada|hat|s");
    assert_eq!(storage.count("ada").await, (1, 0));
}

/// Cookies do not tell ports apart: the two servers are an app before and after its path was changed.
#[tokio::test(flavor = "multi_thread")]
async fn signing_out_with_two_paths_ends_both_sessions() {
    let clock = ManualClock::default();
    let storage = Storage::memory(&clock);
    let at = |path: &str| Features {
        cookie: Some(CookieConfig::new("sid").with_path(path)),
        ..Features::default()
    };
    let paths = [
        ("sign_in", "/sign-in/ada/a"),
        ("app-sign_in", "/app/sign-in/ada/b"),
        ("app-sign_out", "/app/sign-out"),
    ];
    let mut urls = Vec::new();
    for path in ["/", "/app"] {
        let [layer, _] = servers(&storage, &clock, &at(path)).await.layers;
        let port = serve(with_forms(app::whole().layer(layer), &paths)).await;
        urls.push(format!("http://localhost:{port}"));
    }
    let browser = Chromium::start().await;
    let press = async |url: &str, button: &str| {
        browser.open(&format!("{url}/forms")).await;
        browser.follow(button).await;
    };
    press(&urls[1], "#app-sign_in").await;
    press(&urls[0], "#sign_in").await;
    browser.open(&format!("{}/app/me", urls[1])).await;
    assert_eq!(browser.cookies().await.len(), 2);
    assert_eq!(storage.count("ada").await, (2, 0));

    press(&urls[1], "#app-sign_out").await;
    assert_eq!(storage.count("ada").await, (0, 0), "both have ended");
    let page = format!("{}/app/me", urls[1]);
    assert_eq!(shown(&browser, &page).await, "||");
    assert_eq!(browser.cookies().await, []);
}

/// Two versions of the app serve a browser in turn, and then the new one alone: a new name, and a seal.
#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_that_renames_or_seals_the_cookie_signs_nobody_out() {
    let key = || CookieKey::derived_from(b"a secret of at least thirty-two bytes").expect("long");
    let old = || CookieConfig::new("sid");
    let changes = [
        ("renamed", CookieConfig::new("__Host-Http-shop")),
        ("sealed", old().encrypted([key()])),
    ];
    let paths = [
        ("sign_in", "/sign-in/ada/a"),
        ("mark", "/mark/b"),
        ("sign_out", "/sign-out"),
    ];
    for (what, after) in changes {
        let clock = ManualClock::default();
        let storage = Storage::memory(&clock);
        let set_until = clock.now().plus(hours(1));
        let accepted_until = set_until.plus(hours(1));
        let after = after.with_former(old(), set_until, accepted_until);
        let mut urls = Vec::new();
        for cookie in [old(), after] {
            let features = Features {
                cookie: Some(cookie),
                realm: Some("sid"),
                ..Features::default()
            };
            let [layer, _] = servers(&storage, &clock, &features).await.layers;
            let port = serve(with_forms(app::whole().layer(layer), &paths)).await;
            urls.push(format!("http://localhost:{port}"));
        }
        let browser = Chromium::start().await;
        let press = async |url: &str, button: &str| {
            browser.open(&format!("{url}/forms")).await;
            browser.follow(button).await;
        };
        press(&urls[1], "#sign_in").await;
        for url in [&urls[0], &urls[1], &urls[0]] {
            assert_eq!(
                shown(&browser, &format!("{url}/me")).await,
                "ada||a",
                "{what}"
            );
        }
        let former = browser.cookies().await;
        clock.advance(hours(1));
        press(&urls[1], "#mark").await;
        let new = browser.cookies().await;
        assert_eq!(
            (former.len(), new.len()),
            (1, 1),
            "{what}: one cookie at a time"
        );
        assert_ne!(former, new, "{what}");
        clock.advance(hours(1));
        let page = format!("{}/me", urls[1]);
        assert_eq!(shown(&browser, &page).await, "ada||ab", "{what}");
        press(&urls[1], "#sign_out").await;
        assert_eq!(browser.cookies().await, [], "{what}");
        assert_eq!(storage.count("ada").await, (0, 0), "{what}");
    }
}
