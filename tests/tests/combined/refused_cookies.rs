//! Cookies that the browser does not accept: not each of its requests stores a session.

use axum::body::Body;
use axum::extract::Request;
use cloakroom::{CookieConfig, EditsDiscarded, Session, TokenHeader};
use http::Method;
use http::header::{HOST, ORIGIN};
use tests::app::{Fixture, Handler};
use tests::browser::{Browser, CookieChange};
use tests::faulty_store::Verb;
use tests::log::Log;

const REFUSED: &str = "browser refuses the cookie by";
const OUTSIDE: &str = "host outside of the cookie's Domain";

fn insert() -> Handler {
    Handler::session(|session: Session| async move { session.insert("n", 2) })
}

/// A form on a page of this host.
fn form(scheme: &str, host: &str, handler: Handler) -> Request {
    let request = Request::builder()
        .method(Method::POST)
        .header(HOST, host)
        .header(ORIGIN, format!("{scheme}://{host}"));
    let request = match scheme {
        "https" => request.header("sec-fetch-site", "same-origin"),
        // Browsers do not send it over plain HTTP.
        _ => request,
    };
    request
        .extension(handler)
        .body(Body::empty())
        .expect("a request")
}

fn browser(fixture: &Fixture, cookie: CookieConfig) -> Browser {
    let layer = fixture.builder().with_cookie(cookie).build();
    fixture.browser_of(layer.expect("it is valid"))
}

/// Several forms of a browser that keeps no cookie.
async fn forms(fixture: &Fixture, browser: &Browser, scheme: &str, host: &str) {
    for _ in 0..3 {
        let mut visitor = browser.clone();
        let response = visitor.send(form(scheme, host, insert())).await;
        fixture.assert_response(&response, 200, &[], CookieChange::Nothing);
        let reason = response.extension::<EditsDiscarded>().copied();
        assert_eq!(reason, Some(EditsDiscarded::CookieRefused));
    }
}

#[tokio::test]
async fn forms_outside_of_the_domain_store_nothing_and_it_is_logged_once() {
    let (fixture, log) = (Fixture::memory(), Log::capture());
    let config = CookieConfig::new("id").with_domain("example.com");
    let browser = browser(&fixture, config);
    forms(&fixture, &browser, "https", "shop.test").await;
    assert_eq!(log.count(REFUSED), 1, "{}", log.text());
    let mut inside = browser.clone();
    let request = form("https", "www.example.com", insert());
    let response = inside.send(request).await;
    fixture.assert_response(&response, 200, &[Verb::Create], CookieChange::Set);
}

#[tokio::test]
async fn forms_over_plain_http_store_nothing_with_a_secure_cookie() {
    let (fixture, log) = (Fixture::memory(), Log::capture());
    let secure = browser(&fixture, CookieConfig::default());
    forms(&fixture, &secure, "http", "shop.test:8080").await;
    assert_eq!(log.count(REFUSED), 1, "{}", log.text());
    let insecure = CookieConfig::new("id").insecure_over_http();
    for (config, host) in [
        (insecure, "shop.test:8080"),
        (CookieConfig::default(), "localhost:8080"),
    ] {
        let mut browser = browser(&fixture, config);
        let response = browser.send(form("http", host, insert())).await;
        fixture.assert_response(&response, 200, &[Verb::Create], CookieChange::Set);
    }
}

/// Behind a proxy that replaces `Host`, the browser may be on the right host.
#[tokio::test]
async fn another_host_alone_is_only_logged() {
    let (fixture, log) = (Fixture::memory(), Log::capture());
    let config = CookieConfig::new("id").with_domain("example.com");
    let browser = browser(&fixture, config);
    let get = |handler| {
        let request = Request::builder().header(HOST, "10.0.0.1:3000");
        request.extension(handler).body(Body::empty())
    };
    for _ in 0..2 {
        let request = get(insert()).expect("a request");
        let response = browser.clone().send(request).await;
        fixture.assert_response(&response, 200, &[Verb::Create], CookieChange::Set);
    }
    assert_eq!(log.count(OUTSIDE), 1, "{}", log.text());
}

#[tokio::test]
async fn a_request_that_sets_no_cookie_is_not_logged() {
    let (fixture, log) = (Fixture::memory(), Log::capture());
    let config = CookieConfig::new("id").with_domain("example.com");
    let mut browser = browser(&fixture, config);
    let nothing = Handler::session(|_: Session| async { Ok(()) });
    let probe = Request::builder().header(HOST, "10.0.0.1:3000");
    let probe = probe.extension(nothing).body(Body::empty());
    browser.send(probe.expect("a request")).await;
    assert_eq!(log.count(OUTSIDE), 0, "{}", log.text());
}

#[tokio::test]
async fn a_sign_in_and_a_token_header_are_not_affected() {
    let fixture = Fixture::memory();
    let config = || CookieConfig::new("id").with_domain("example.com");
    let mut browser = browser(&fixture, config());
    let sign_in = Handler::session(|session: Session| async move { session.sign_in("ada").await });
    let response = browser.send(form("https", "shop.test", sign_in)).await;
    assert_eq!(response.cookie_change(), CookieChange::Set);

    let layer = fixture.builder().with_cookie(config());
    let layer = layer.with_token_header(TokenHeader::named("x-session"));
    let mut client = fixture.browser_of(layer.build().expect("it is valid"));
    let mut request = form("https", "shop.test", insert());
    let headers = request.headers_mut();
    headers.insert("x-session", "".parse().expect("a value"));
    let response = client.send(request).await;
    assert!(response.headers.contains_key("x-session"), "{response:?}");
}
