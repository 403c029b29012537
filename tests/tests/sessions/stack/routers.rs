//! axum's routers and middleware, and several session layers.

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use cloakroom::{CookieConfig, LazySession, Session, SessionError};
use cloakroom_core::StoreErrorKind;
use http::StatusCode;
use tests::app::{Fixture, app, bare_app};
use tests::browser::{Browser, CookieChange};
use tests::faulty_store::Fault::Refuse;
use tests::faulty_store::Verb::{Create, Load, Update};
use tests::log::Log;
use tower::ServiceBuilder;
use tower_http::trace::TraceLayer;

async fn hits(session: Session) -> Result<String, SessionError> {
    let hits = session.update("hits", |n: Option<u64>| n.unwrap_or(0) + 1)?;
    Ok(hits.to_string())
}

async fn get_text(browser: &mut Browser, path: &str) -> (StatusCode, String) {
    let request = Request::get(path).body(axum::body::Body::empty());
    let response = browser.send(request.expect("a plain request")).await;
    (response.status, response.text().to_owned())
}

#[tokio::test]
async fn nested_and_merged_routers_share_the_session() {
    let fixture = Fixture::memory();
    let nested = Router::new().route("/hits", get(hits));
    let merged = Router::new().route("/merged", get(hits));
    let inside = Router::new()
        .route("/", get(hits))
        .nest("/nested", nested)
        .merge(merged)
        .layer(ServiceBuilder::new().layer(fixture.layer()));
    let outside = Router::new().route("/outside", get(hits));
    let mut browser = Browser::new(inside.merge(outside));
    for (path, expected) in [("/", "1"), ("/nested/hits", "2"), ("/merged", "3")] {
        let response = get_text(&mut browser, path).await;
        assert_eq!(response, (StatusCode::OK, expected.to_owned()));
    }
    let (status, text) = get_text(&mut browser, "/outside").await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(text.contains(".layer(SessionLayer::new(store))"), "{text}");
}

#[tokio::test]
async fn a_layer_on_a_nested_router_covers_only_that_router() {
    let nested = Router::new()
        .route("/hits", get(hits))
        .layer(Fixture::memory().layer());
    let router = Router::new().route("/", get(hits)).nest("/nested", nested);
    let mut browser = Browser::new(router);
    assert_eq!(get_text(&mut browser, "/nested/hits").await.1, "1");
    assert_eq!(get_text(&mut browser, "/nested/hits").await.1, "2");
    assert_eq!(
        get_text(&mut browser, "/").await.0,
        StatusCode::INTERNAL_SERVER_ERROR
    );
}

/// A middleware that rejects requests without the entry `n`.
async fn guard(lazy: LazySession, request: Request, next: Next) -> Result<Response, SessionError> {
    let session = lazy.load().await?;
    session.insert("seen_by_guard", true)?;
    if !session.contains("n") {
        return Ok(StatusCode::UNAUTHORIZED.into_response());
    }
    Ok(next.run(request).await)
}

#[tokio::test]
async fn middleware_and_handler_share_the_session() {
    let fixture = Fixture::memory();
    let guarded = bare_app().layer(from_fn(guard)).layer(fixture.layer());
    let response = Browser::new(guarded.clone())
        .request(|_| async { Ok(()) })
        .await;
    assert_eq!(response.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        response.cookie_change(),
        CookieChange::Set,
        "its edits are saved as a handler's"
    );
    let mut browser = fixture.browser_with_session().await.on(guarded);
    let response = browser
        .request(|session| async move {
            assert_eq!(session.keys(), ["n", "seen_by_guard"]);
            session.insert("n", 2)
        })
        .await;
    fixture.assert_response(&response, 200, &[Load, Update], CookieChange::Nothing);
}

#[tokio::test]
async fn two_layers_with_two_cookies_both_work() {
    let (one, two) = (Fixture::memory(), Fixture::memory());
    let inner = one
        .builder()
        .with_cookie(CookieConfig::new("inner"))
        .build()
        .expect("it is valid");
    let outer = two
        .builder()
        .with_cookie(CookieConfig::new("outer"))
        .build()
        .expect("it is valid");
    let mut browser = Browser::new(app(inner).layer(outer));
    let response = browser
        .lazy(|lazy| async move {
            assert_eq!(lazy.cookie_name(), "inner");
            assert!(lazy.named("other").is_none());
            let outer = lazy.named("outer").ok_or(()).expect("both are there");
            outer.load().await?.insert("n", 2)?;
            lazy.named("inner")
                .expect("this one")
                .load()
                .await?
                .insert("n", 1)
        })
        .await;
    let names: Vec<_> = response
        .set_cookies()
        .into_iter()
        .map(|cookie| cookie.name)
        .collect();
    assert_eq!(names, ["inner", "outer"]);
    assert_eq!(
        (response.vary(), response.cache_control()),
        ("cookie".into(), "no-store".into())
    );
    assert_eq!(one.store.take_verbs(), [Create]);
    assert_eq!(two.store.take_verbs(), [Create]);
    assert_eq!(
        browser.read().await,
        Some(1),
        "the extractor gives the inner one"
    );
    assert_eq!(one.store.take_verbs(), [Load]);
    assert_eq!(
        two.store.take_verbs(),
        [],
        "the outer one was not asked for"
    );
}

/// The inner layer has stored its session, so its cookie must reach the browser although the outer layer
/// replaces the response.
#[tokio::test]
async fn the_cookie_of_an_inner_layer_survives_a_failure_of_the_outer_one() {
    let (one, two) = (Fixture::memory(), Fixture::memory());
    let inner = one
        .builder()
        .with_cookie(CookieConfig::new("inner"))
        .build()
        .expect("it is valid");
    let outer = two
        .builder()
        .with_cookie(CookieConfig::new("outer"))
        .build()
        .expect("it is valid");
    let mut browser = Browser::new(app(inner).layer(outer));
    two.store.next(Create, Refuse(StoreErrorKind::OutOfMemory));
    let response = browser
        .lazy(|lazy| async move {
            let outer = lazy.named("outer").expect("both are there");
            outer.load().await?.insert("n", 2)?;
            lazy.load().await?.insert("n", 1)
        })
        .await;
    assert_eq!(response.status, StatusCode::INSUFFICIENT_STORAGE);
    let names = response.set_cookies().into_iter().map(|cookie| cookie.name);
    assert_eq!(names.collect::<Vec<_>>(), ["inner"]);
    assert_eq!(response.cache_control(), "no-store");
    assert_eq!(browser.read().await, Some(1));
}

#[tokio::test]
async fn the_innermost_layer_shapes_the_error_response() {
    let fixture = Fixture::memory();
    let shape =
        |text: &'static str| move |error: &SessionError| (error.status(), text).into_response();
    let inner = fixture
        .builder()
        .with_cookie(CookieConfig::new("inner"))
        .with_error_response(shape("inner"))
        .build()
        .expect("it is valid");
    let outer = fixture
        .builder()
        .with_cookie(CookieConfig::new("outer"))
        .with_error_response(shape("outer"))
        .build()
        .expect("it is valid");
    let mut browser = Browser::new(app(inner).layer(outer));
    let response = browser
        .request(|session| async move { session.insert("$reserved", 1) })
        .await;
    assert_eq!(response.text(), "inner");
}

#[tokio::test]
async fn a_layer_mounted_twice_acts_once_and_logs_one_warning() {
    let log = Log::capture();
    let fixture = Fixture::memory();
    let layer = fixture.layer();
    let twice = app(layer.clone()).layer(from_fn(guard)).layer(layer);
    let mut browser = fixture.browser_with_session().await.on(twice);
    let response = browser
        .request(|session| async move {
            assert!(session.contains("seen_by_guard"), "it is the outer one's");
            session.insert("n", 2)
        })
        .await;
    fixture.assert_response(&response, 200, &[Load, Update], CookieChange::Nothing);
    browser.read().await;
    assert_eq!(log.count("mounted twice"), 1);
    assert_eq!(log.count("WARN"), 1);
}

/// `TraceLayer` gives responses a body of its own, which has no default: inside of the session layer and
/// around it, with the default error response and with the app's own.
#[tokio::test]
async fn tracing_stands_on_either_side_of_the_layer() {
    let fixture = Fixture::memory();
    let shape = |error: &SessionError| error.status().into_response();
    let routes = || Router::new().route("/", get(hits));
    let sessions = fixture.layer();
    let inside = routes().layer(
        ServiceBuilder::new()
            .layer(sessions.clone())
            .layer(TraceLayer::new_for_http()),
    );
    let around = routes().layer(
        ServiceBuilder::new()
            .layer(TraceLayer::new_for_http())
            .layer(sessions),
    );
    let shaped = fixture
        .builder()
        .with_error_response(shape)
        .build()
        .unwrap();
    let own_shape = routes().layer(
        ServiceBuilder::new()
            .layer(shaped)
            .layer(TraceLayer::new_for_http()),
    );
    for app in [inside, around, own_shape] {
        let mut browser = Browser::new(app);
        assert_eq!(get_text(&mut browser, "/").await.1, "1");
        assert_eq!(get_text(&mut browser, "/").await.1, "2");
        fixture
            .store
            .next(Update, Refuse(StoreErrorKind::OutOfMemory));
        let (status, text) = get_text(&mut browser, "/").await;
        assert_eq!(status, StatusCode::INSUFFICIENT_STORAGE);
        assert_eq!(text, "", "nothing of the handler's body");
    }
}
