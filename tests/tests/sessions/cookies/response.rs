//! Other headers of responses that set the cookie.

use axum::response::{AppendHeaders, IntoResponse};
use cloakroom::{Session, SessionError};
use http::header::{CACHE_CONTROL, SET_COOKIE, VARY};
use http::{HeaderName, HeaderValue};
use tests::app::Fixture;
use tests::browser::{Browser, TestResponse};
use tests::log::Log;

type Header = (HeaderName, &'static str);

/// The response of a handler that sets these headers, and edits the session if `edits`.
async fn response(browser: &mut Browser, edits: bool, headers: &'static [Header]) -> TestResponse {
    browser
        .request(move |session: Session| async move {
            if edits {
                session.insert("n", 1)?;
            }
            let headers = headers.iter();
            let headers =
                headers.map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
            Ok::<_, SessionError>(AppendHeaders(headers.collect::<Vec<_>>()).into_response())
        })
        .await
}

#[tokio::test]
async fn set_cookie_headers_of_the_app_are_kept() {
    let mut browser = Fixture::memory().browser();
    let response = response(
        &mut browser,
        true,
        &[(SET_COOKIE, "theme=dark"), (SET_COOKIE, "a=b")],
    )
    .await;
    let cookies = response.set_cookies();
    let names: Vec<_> = cookies.iter().map(|cookie| &*cookie.name).collect();
    assert_eq!(names, ["theme", "a", "__Host-Http-id"]);
    assert_eq!(browser.cookie_named("theme"), Some("dark"));
}

#[tokio::test]
async fn a_response_that_sets_the_cookie_is_never_cached() {
    const POLICIES: [(&[Header], bool); 5] = [
        (&[(CACHE_CONTROL, "public, max-age=600")], true),
        (
            &[
                (CACHE_CONTROL, "max-age=600"),
                (CACHE_CONTROL, "s-maxage=9 , PUBLIC"),
            ],
            true,
        ),
        (&[(CACHE_CONTROL, "max-age=600")], false),
        (&[(CACHE_CONTROL, "no-store")], false),
        (&[], false),
    ];
    for (headers, reported) in POLICIES {
        let log = Log::capture();
        let response = response(&mut Fixture::memory().browser(), true, headers).await;
        assert_eq!(response.cache_control(), "no-store");
        assert_eq!(
            log.count("replaced by no-store"),
            usize::from(reported),
            "{headers:?}"
        );
    }
}

#[tokio::test]
async fn a_response_that_does_not_set_the_cookie_keeps_its_cache_control() {
    let mut browser = Fixture::memory().browser_with_session().await;
    let response = response(
        &mut browser,
        false,
        &[(CACHE_CONTROL, "public, max-age=600")],
    )
    .await;
    assert_eq!(response.cache_control(), "public, max-age=600");
    assert_eq!(response.vary(), "cookie");
}

#[tokio::test]
async fn vary_is_extended_without_repetition() {
    const CASES: [(&[Header], &str); 5] = [
        (&[], "cookie"),
        (&[(VARY, "Accept-Encoding")], "Accept-Encoding, cookie"),
        (
            &[(VARY, "Accept-Encoding, Cookie")],
            "Accept-Encoding, Cookie",
        ),
        (&[(VARY, "Accept"), (VARY, "COOKIE")], "Accept, COOKIE"),
        (&[(VARY, "*")], "*"),
    ];
    for (headers, expected) in CASES {
        let response = response(
            &mut Fixture::memory().browser_with_session().await,
            false,
            headers,
        )
        .await;
        assert_eq!(response.vary(), expected);
    }
}
