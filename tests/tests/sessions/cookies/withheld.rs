//! Requests whose browser may hold a session cookie that it did not send: a page of another site has caused
//! them, or they are outside of the cookie's path.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use cloakroom::{
    CookieConfig, EditsDiscarded, SameSite, Saved, Session, SessionErrorKind, TokenHeader,
};
use http::Method;
use tests::app::{Fixture, Handler, bare_app};
use tests::browser::{Browser, CookieChange, TestResponse};
use tests::faulty_store::Verb;
use tests::log::Log;

/// A request with the handler, as a browser sends it for a page of another site.
fn cross_site(method: Method, destination: &str, handler: Handler) -> Request {
    let request = Request::builder().method(method).uri("/");
    let request = request
        .header("sec-fetch-site", "cross-site")
        .header("sec-fetch-dest", destination)
        .extension(handler);
    request.body(Body::empty()).expect("a request")
}

fn at(path: &str, handler: Handler) -> Request {
    let request = Request::builder().uri(path).extension(handler);
    request.body(Body::empty()).expect("a request")
}

fn insert() -> Handler {
    Handler::session(|session: Session| async move { session.insert("n", 2) })
}

async fn post(browser: &mut Browser, handler: Handler) -> TestResponse {
    let request = cross_site(Method::POST, "document", handler);
    browser.send(request).await
}

fn discarded(response: &TestResponse) -> Option<EditsDiscarded> {
    response.extension::<EditsDiscarded>().copied()
}

#[tokio::test]
async fn a_cross_site_post_creates_nothing_and_says_so() {
    let fixture = Fixture::memory();
    let log = Log::capture();
    let mut browser = fixture.browser();
    let response = post(&mut browser, insert()).await;
    fixture.assert_response(&response, 200, &[], CookieChange::Nothing);
    assert_eq!(discarded(&response), Some(EditsDiscarded::CrossSite));
    assert_eq!(log.count("the session's changes are discarded"), 1);
    let nothing = Handler::session(|_: Session| async { Ok(()) });
    let response = post(&mut browser, nothing).await;
    assert_eq!(discarded(&response), None, "there were no edits");
}

#[tokio::test]
async fn saving_in_a_cross_site_post_says_that_nothing_is_stored() {
    let fixture = Fixture::memory();
    let handler = Handler::session(|session: Session| async move {
        assert_eq!(session.save().await?, Saved::Unchanged, "nothing to store");
        session.insert("n", 2)?;
        assert_eq!(session.save().await?, Saved::Discarded);
        session.renew()?;
        assert_eq!(session.save().await?, Saved::Discarded);
        for error in [
            session.update_now("n", |_: Option<u32>| 3).await.err(),
            session.detach().err(),
            session.watch().err(),
        ] {
            let error = error.expect("there is no stored session");
            assert_eq!(error.kind(), SessionErrorKind::NotCreated);
            assert_eq!(error.status(), 409);
        }
        assert_eq!(session.take_once::<u32>("n").await?, Some(3));
        assert_eq!(session.id(), None);
        Ok(())
    });
    let response = post(&mut fixture.browser(), handler).await;
    fixture.assert_response(&response, 200, &[], CookieChange::Nothing);
}

#[tokio::test]
async fn signing_in_or_a_presented_cookie_lifts_the_restriction() {
    let fixture = Fixture::memory();
    let sign_in = Handler::session(|session: Session| async move {
        session.insert("n", 2)?;
        session.sign_in("ada").await
    });
    let mut browser = fixture.browser();
    let response = post(&mut browser, sign_in).await;
    assert_eq!(response.cookie_change(), CookieChange::Set);
    assert_eq!(discarded(&response), None);
    assert_eq!(browser.read().await, Some(2));
    // The browser has sent the cookie, so it has no other.
    let farewell = Handler::session(|session: Session| async move {
        session.destroy().await?;
        session.insert("n", 3)
    });
    post(&mut browser, farewell).await;
    assert_eq!(browser.read().await, Some(3));
}

/// A cookie that belongs to no session does not mean that the browser holds no other: one that was planted
/// may be sent where ours is not.
#[tokio::test]
async fn a_dead_cookie_does_not_lift_the_restriction() {
    let fixture = Fixture::memory();
    let elsewhere = Fixture::memory().browser_with_session().await;
    let unknown = elsewhere.cookie().expect("it has a session").to_owned();
    for value in [&*unknown, "malformed", ""] {
        let mut browser = fixture.browser();
        browser.add_cookie(CookieConfig::DEFAULT_NAME, value);
        let response = post(&mut browser, insert()).await;
        assert_eq!(discarded(&response), Some(EditsDiscarded::CrossSite));
        assert_eq!(response.cookie_change(), CookieChange::Nothing);
    }
    assert!(!fixture.store.take_verbs().contains(&Verb::Create));
}

#[tokio::test]
async fn what_is_withheld_depends_on_the_attribute_and_the_request() {
    let fixture = Fixture::memory();
    for (same_site, method, destination, creates) in [
        (SameSite::Lax, Method::GET, "document", true),
        (SameSite::Lax, Method::GET, "image", false),
        (SameSite::Lax, Method::POST, "document", false),
        (SameSite::Strict, Method::GET, "document", false),
        (SameSite::Strict, Method::POST, "document", false),
        (SameSite::None, Method::GET, "image", true),
        (SameSite::None, Method::POST, "document", true),
    ] {
        let cookie = CookieConfig::new("id").with_same_site(same_site);
        let layer = fixture
            .builder()
            .with_cookie(cookie)
            .build()
            .expect("valid");
        let request = cross_site(method.clone(), destination, insert());
        let response = fixture.browser_of(layer).send(request).await;
        let is_set = response.cookie_change() == CookieChange::Set;
        assert_eq!(is_set, creates, "{same_site} {method} {destination}");
        assert_eq!(discarded(&response).is_none(), creates);
    }
}

#[tokio::test]
async fn a_layer_that_reads_no_cookies_is_not_restricted() {
    let fixture = Fixture::memory();
    let layer = fixture
        .builder()
        .with_token_header(TokenHeader::named("x-session").header_only())
        .build()
        .expect("valid");
    let response = post(&mut fixture.browser_of(layer), insert()).await;
    assert_eq!(discarded(&response), None);
    assert_eq!(fixture.store.take_verbs(), [Verb::Create]);
}

fn below_app(fixture: &Fixture) -> cloakroom::SessionLayerBuilder {
    let cookie = CookieConfig::new("id").with_path("/app");
    fixture.builder().with_cookie(cookie)
}

#[tokio::test]
async fn outside_of_the_cookies_path_nothing_is_created_and_it_is_logged_once() {
    let fixture = Fixture::memory();
    let log = Log::capture();
    let mut browser = fixture.browser_of(below_app(&fixture).build().expect("valid"));
    for path in ["/", "/other", "/application", "/"] {
        let response = browser.send(at(path, insert())).await;
        assert_eq!(
            discarded(&response),
            Some(EditsDiscarded::OutsideCookiePath)
        );
        assert_eq!(response.cookie_change(), CookieChange::Nothing);
    }
    assert_eq!(fixture.store.take_verbs(), []);
    assert_eq!(log.count("page outside of the cookie's path"), 1);
    for path in ["/app", "/app/", "/app/page?query"] {
        let response = Browser::clone(&browser).send(at(path, insert())).await;
        assert_eq!(response.cookie_change(), CookieChange::Set, "{path}");
    }
}

#[tokio::test]
async fn a_sign_in_outside_of_the_cookies_path_sets_the_cookie() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_of(below_app(&fixture).build().expect("valid"));
    let sign_in = Handler::session(|session: Session| async move { session.sign_in("ada").await });
    let response = browser.send(at("/sign-in", sign_in)).await;
    assert_eq!(response.cookie_change(), CookieChange::Set);
}

#[tokio::test]
async fn the_path_is_the_one_that_the_browser_sees() {
    let fixture = Fixture::memory();
    let nested = |layer| Router::new().nest("/app", bare_app().layer(layer));
    let layer = below_app(&fixture).build().expect("valid");
    let response = Browser::new(nested(layer))
        .send(at("/app/cart", insert()))
        .await;
    assert_eq!(response.cookie_change(), CookieChange::Set, "axum's `nest`");
    // A proxy has removed the prefix.
    for prefix in ["/app", "/app/"] {
        let layer = below_app(&fixture).with_path_prefix(prefix);
        let mut browser = fixture.browser_of(layer.build().expect("valid"));
        let response = browser.send(at("/cart", insert())).await;
        assert_eq!(response.cookie_change(), CookieChange::Set, "{prefix}");
    }
    let refused = below_app(&fixture).with_path_prefix("app").build();
    assert_eq!(
        refused.err().and_then(|error| error.option()),
        Some("with_path_prefix")
    );
}
