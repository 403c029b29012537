//! Forms and scripts of the app and of another site, in Chromium: the app is `localhost`, the other site `127.0.0.1`.

use axum::Router;
use axum::response::Html;
use axum::routing::{get, post};
use cloakroom::{CookieConfig, MemoryStore, SameSite, Session, SessionError, SessionLayer};
use tests::chromium::Chromium;
use tests::recipes::csrf;
use tokio::net::TcpListener;

async fn serve(app: Router) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await;
    let listener = listener.expect("a port is free");
    let address = listener.local_addr().expect("it has an address");
    tokio::spawn(async move { axum::serve(listener, app).await });
    address.port()
}

async fn sign_in(session: Session) -> Result<(), SessionError> {
    session.sign_in("ada").await
}

async fn transfers(session: Session) -> Result<String, SessionError> {
    let transfers: Option<u32> = session.get("transfers")?;
    Ok(transfers.unwrap_or_default().to_string())
}

/// With a cookie that browsers send along with requests of other sites: nothing but the layer and the token protect.
fn app(routes: Router) -> Router {
    let cookie = CookieConfig::default().with_same_site(SameSite::None);
    let layer = SessionLayer::builder(MemoryStore::new()).with_cookie(cookie);
    routes
        .route("/sign-in", get(sign_in))
        .route("/transfers", get(transfers))
        .route("/unprotected", post(unprotected))
        .layer(layer.build().expect("it is valid"))
}

async fn unprotected(session: Session) -> Result<(), SessionError> {
    session.increment("transfers", 1_u32)?;
    Ok(())
}

/// A page with a form for each of the app's routes.
async fn other_site(app: &str) -> String {
    let form = |path: &str| {
        format!(
            "<form method=post action=\"{app}{path}\"><input type=hidden name=csrf value=guess>
            <button id=\"{}\">{path}</button></form>",
            &path[1..]
        )
    };
    let page = form("/transfer") + &form("/unprotected");
    let page = format!("<!doctype html><title>other</title>{page}");
    let port = serve(Router::new().route("/", get(async move || Html(page)))).await;
    format!("http://127.0.0.1:{port}")
}

async fn count(browser: &Chromium, app: &str) -> String {
    browser.open(&format!("{app}/transfers")).await;
    browser.text("body").await
}

#[tokio::test(flavor = "multi_thread")]
async fn own_forms_and_scripts_work_and_those_of_another_site_do_not() {
    let by_layer = csrf::protected(csrf::with_tokens()).expect("an origin");
    let browser = Chromium::start().await;
    for routes in [by_layer, csrf::with_tokens()] {
        let port = serve(app(routes)).await;
        let app = format!("http://localhost:{port}");
        browser.open(&format!("{app}/sign-in")).await;
        browser.open(&format!("{app}/transfer")).await;
        browser.follow("#own").await;
        assert_eq!(browser.text("body").await, "1", "the app's form");
        browser.open(&format!("{app}/transfer")).await;
        let send = |headers: &str| {
            format!(
                "const token = document.querySelector('meta[name=csrf]').content;
                return fetch('/api/transfer', {{ method: 'POST', headers: {{ {headers} }} }})
                    .then(response => response.status);"
            )
        };
        let status = browser.run(&send("'x-csrf-token': token")).await;
        assert_eq!(status, 204, "the app's script");
        assert_eq!(browser.run(&send("")).await, 403, "without a token");
        assert_eq!(count(&browser, &app).await, "2");

        let other = other_site(&app).await;
        browser.open(&other).await;
        browser.follow("#transfer").await;
        assert_eq!(count(&browser, &app).await, "2", "the form of another site");
        // The cookie did come along: without protection it works.
        browser.open(&other).await;
        browser.follow("#unprotected").await;
        assert_eq!(count(&browser, &app).await, "3");
    }
}
