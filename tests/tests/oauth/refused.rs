//! Callbacks that are refused: of another browser, of another provider, too late; and redirects to other sites.

use std::time::Duration;

use cloakroom::{CookieKey, minutes};
use cloakroom_core::StoreErrorKind;
use http::Method;
use tests::app::Fixture;
use tests::faulty_store::{Fault, Verb};
use tests::log::Log;
use tests::user_agent::UserAgent;
use url::Url;

use super::*;

/// The attacker signs in with an account of theirs, stops before the callback, and makes the victim open its address: the
/// victim would be signed in to the attacker's account (RFC 9700, section 4.7).
#[tokio::test]
async fn the_state_of_another_browser_is_refused() {
    let app = app(Fixture::memory().builder());
    let (mut attacker, mut victim) = (UserAgent::new(), UserAgent::new());
    let begun = begin(&mut attacker, &app).await;
    let response = callback(&mut victim, &app, &begun.state).await;
    assert_refused(&response, "begun no sign-in with this state");
    assert!(!response.changes_cookies());
    // Also if the victim has begun a sign-in as well.
    let own = begin(&mut victim, &app).await;
    let response = callback(&mut victim, &app, &begun.state).await;
    assert_refused(&response, "begun no sign-in with this state");
    // It disturbs neither of the two.
    for (browser, begun) in [(&mut attacker, begun), (&mut victim, own)] {
        let response = callback(browser, &app, &begun.state).await;
        assert_eq!(Known::of(&response), begun);
    }
}

#[tokio::test]
async fn a_forged_state_is_refused() {
    let app = app(Fixture::memory().builder());
    let mut browser = UserAgent::new();
    let begun = begin(&mut browser, &app).await;
    let other = begin(&mut UserAgent::new(), &app).await;
    // The id of the transaction, which is in the name of the cookie, with the secret of another one.
    let mixed = format!("{}{}", &begun.state[..22], &other.state[22..]);
    for state in [
        "",
        "x",
        &begun.state[1..],
        &format!("{}A", begun.state),
        &mixed,
    ] {
        let response = callback(&mut browser, &app, state).await;
        assert_refused(&response, "begun no sign-in with this state");
    }
    assert_eq!(callback(&mut browser, &app, &begun.state).await.status, 200);
}

/// The provider with which the user has begun is not the one whose callback this is: its code would be sent to the other
/// one (RFC 9700, section 4.4; RFC 9207).
#[tokio::test]
async fn the_callback_of_another_provider_is_refused() {
    let app = app(Fixture::memory().builder());
    let mut browser = UserAgent::new();
    let begun = begin(&mut browser, &app).await;
    const OTHER: &str = "https://evil.example";
    for (issuer, iss) in [
        (OTHER, None),
        (OTHER, Some(OTHER)),
        (OTHER, Some(ISSUER)),
        (ISSUER, Some(OTHER)),
        (ISSUER, Some("")),
        ("", None),
    ] {
        let request = browser.start_cross_site(Method::GET, "/callback");
        let handler = completing(&begun.state, issuer, iss);
        let response = request.with(handler).send(&app).await;
        assert_refused(&response, "another provider");
        assert!(!response.changes_cookies(), "{issuer} {iss:?}");
    }
    // A provider that does not send `iss`.
    let request = browser.start_cross_site(Method::GET, "/callback");
    let handler = completing(&begun.state, ISSUER, None);
    assert_eq!(request.with(handler).send(&app).await.status, 200);
}

#[tokio::test]
async fn a_late_callback_is_refused_and_removes_its_cookie() {
    let fixture = Fixture::memory();
    let app = app(fixture.builder());
    let mut browser = UserAgent::new();
    let [early, late] = [
        begin(&mut browser, &app).await,
        begin(&mut browser, &app).await,
    ];
    fixture
        .clock
        .advance(minutes(10) - Duration::from_millis(1));
    assert_eq!(callback(&mut browser, &app, &early.state).await.status, 200);
    fixture.clock.advance(Duration::from_millis(1));
    let response = callback(&mut browser, &app, &late.state).await;
    assert_refused(&response, "took too long");
    assert_eq!(transactions(&browser), [""; 0]);
}

#[tokio::test]
async fn a_transaction_is_valid_for_listed_keys_and_in_its_realm_only() {
    let fixture = Fixture::memory();
    let key = |text: &str| CookieKey::derived_from(text.repeat(32).as_bytes()).expect("long");
    let of = |keys: &[&str], realm: &str| {
        let keys = keys.iter().map(|text| key(text));
        let builder = fixture.builder().with_oauth(OAuthConfig::new(keys));
        let layer = builder.with_realm(realm).build().expect("it is valid");
        tests::app::app(layer)
    };
    let old = of(&["o"], "shop");
    let mut browser = UserAgent::new();
    let begun = begin(&mut browser, &old).await;
    for other in [of(&["n"], "shop"), of(&["o"], "staging")] {
        let response = callback(&mut browser, &other, &begun.state).await;
        assert_refused(&response, "begun no sign-in with this state");
    }
    let rotated = of(&["n", "o"], "shop");
    assert_eq!(
        callback(&mut browser, &rotated, &begun.state).await.status,
        200
    );
}

/// A sign-in that cannot be marked as completed is not completed.
#[tokio::test]
async fn without_the_store_no_transaction_is_completed() {
    let fixture = Fixture::memory();
    let app = app(fixture.builder());
    let mut browser = UserAgent::new();
    let begun = begin(&mut browser, &app).await;
    let unavailable = Fault::Refuse(StoreErrorKind::Unavailable);
    fixture.store.next(Verb::End, unavailable);
    let response = callback(&mut browser, &app, &begun.state).await;
    assert_eq!(response.status, 503);
    assert_eq!(transactions(&browser).len(), 1);
    assert_eq!(callback(&mut browser, &app, &begun.state).await.status, 200);
}

#[tokio::test]
async fn a_refused_callback_is_logged_without_its_state() {
    let log = Log::capture();
    let app = app(Fixture::memory().builder());
    let mut browser = UserAgent::new();
    let begun = begin(&mut browser, &app).await;
    callback(&mut UserAgent::new(), &app, &begun.state).await;
    callback(&mut browser, &app, &begun.state).await;
    let event = "callback of an OAuth provider refused reason=\"unknown_state\"";
    assert_eq!(log.count(event), 1, "{}", log.text());
    for secret in [&begun.state, &begun.nonce, &begun.verifier] {
        assert_eq!(log.count(secret), 0);
    }
}

#[tokio::test]
async fn a_layer_without_a_configuration_says_so() {
    let app = tests::app::app(Fixture::memory().layer());
    let request = UserAgent::new().start(Method::POST, "/begin");
    let handler = Handler::with(|_: OAuthTransactions| async move { Ok(()) });
    let response = request.with(handler).send(&app).await;
    assert_eq!(response.status, 500);
    let error = response.extensions.get::<SessionError>();
    let error = error.expect("an error response").to_string();
    assert!(error.contains("with_oauth"), "{error}");
}

/// `next` never leads to another site, by the rules by which browsers read it.
#[tokio::test]
async fn next_is_never_an_open_redirect() {
    let app = app(Fixture::memory().builder());
    let mut browser = UserAgent::new();
    let base = Url::parse("https://www.shop.example/oauth/callback").expect("a URL");
    for (next, expected) in [
        ("/cart?a=b#c", "/cart?a=b#c"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("/\t/evil.example", "/"),
        ("\\\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("", "/"),
        ("/..//evil.example", "/"),
        (&format!("/{}", "x".repeat(600)), "/"),
    ] {
        let begun = begin_with(&mut browser, &app, next).await;
        assert_eq!(begun.next, expected, "{next:?}");
        let target = base.join(&begun.next).expect("a URL");
        assert_eq!(target.origin(), base.origin(), "{next:?}");
        let response = callback(&mut browser, &app, &begun.state).await;
        assert_eq!(Known::of(&response).next, expected);
    }
}
