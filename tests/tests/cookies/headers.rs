//! The other headers of an answer that sets the cookie.

use axum::response::{AppendHeaders, IntoResponse};
use cloakroom::{Session, SessionError};
use http::header::{CACHE_CONTROL, SET_COOKIE, VARY};
use http::{HeaderName, HeaderValue};
use tests::app::Stage;
use tests::browser::{Answer, Browser};
use tests::log::Log;

type Header = (HeaderName, &'static str);

/// An answer of a handler that sets these headers, and edits if told to.
async fn answer(browser: &mut Browser, edits: bool, headers: &'static [Header]) -> Answer {
    browser
        .act(move |session: Session| async move {
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
async fn cookies_of_the_app_are_kept() {
    let mut browser = Stage::memory().browser();
    let answer = answer(
        &mut browser,
        true,
        &[(SET_COOKIE, "theme=dark"), (SET_COOKIE, "a=b")],
    )
    .await;
    let cookies = answer.set_cookies();
    let names: Vec<_> = cookies.iter().map(|cookie| &*cookie.name).collect();
    assert_eq!(names, ["theme", "a", "__Host-Http-id"]);
    assert_eq!(browser.cookie_named("theme"), Some("dark"));
}

#[tokio::test]
async fn an_answer_that_sets_the_cookie_is_never_stored() {
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
        let log = Log::keep();
        let answer = answer(&mut Stage::memory().browser(), true, headers).await;
        assert_eq!(answer.cache_control(), "no-store");
        assert_eq!(
            log.count("replaced by no-store"),
            usize::from(reported),
            "{headers:?}"
        );
    }
}

#[tokio::test]
async fn an_answer_that_leaves_the_cookie_alone_keeps_its_policy() {
    let mut browser = Stage::memory().signed_in().await;
    let answer = answer(
        &mut browser,
        false,
        &[(CACHE_CONTROL, "public, max-age=600")],
    )
    .await;
    assert_eq!(answer.cache_control(), "public, max-age=600");
    assert_eq!(answer.vary(), "cookie");
}

#[tokio::test]
async fn vary_is_added_to_and_not_repeated() {
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
        let answer = answer(&mut Stage::memory().signed_in().await, false, headers).await;
        assert_eq!(answer.vary(), expected);
    }
}
