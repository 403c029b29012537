//! Callbacks that complete their transaction.

use cloakroom::{Session, SessionErrorKind, minutes};
use http::Method;
use serde::{Deserialize, Serialize};
use tests::app::{Fixture, Handler};
use tests::backend::Backend;
use tests::faulty_store::Verb;
use tests::on_every_store;
use tests::user_agent::UserAgent;

use super::*;

on_every_store!(
    two_tabs_do_not_disturb_each_other,
    of_many_callbacks_at_once_exactly_one_succeeds,
    a_completed_transaction_stays_completed_as_long_as_it_could_be_replayed,
    the_session_of_a_guest_goes_on,
);

async fn two_tabs_do_not_disturb_each_other(backend: Backend) {
    let app = app(backend.builder().await);
    let mut browser = UserAgent::new();
    // Both requests start before either response arrives.
    let start = |browser: &UserAgent, next: &'static str| {
        let handler = Handler::with(move |oauth: OAuthTransactions| async move {
            let transaction = oauth.begin(ISSUER).with_next(next).start()?;
            Ok(Known::text(&transaction))
        });
        browser.start(Method::POST, "/begin").with(handler)
    };
    let tabs = [start(&browser, "/one"), start(&browser, "/two")];
    let mut known = Vec::new();
    for tab in tabs {
        let response = tab.send(&app).await;
        browser.receive(&response);
        known.push(Known::of(&response));
    }
    assert_eq!(transactions(&browser).len(), 2);
    for begun in known.iter().rev() {
        let response = callback(&mut browser, &app, &begun.state).await;
        assert_eq!(Known::of(&response), *begun);
    }
    assert_eq!(
        transactions(&browser),
        [""; 0],
        "a callback removes its cookie"
    );
}

async fn of_many_callbacks_at_once_exactly_one_succeeds(backend: Backend) {
    let servers = [app(backend.builder().await), app(backend.builder().await)];
    let mut browser = UserAgent::new();
    for _ in 0..5 {
        let begun = begin(&mut browser, &servers[0]).await;
        let callbacks = (0..8).map(|number| {
            let request = browser.start_cross_site(Method::GET, "/callback");
            let request = request.with(completing(&begun.state, ISSUER, None));
            let server = servers[number % 2].clone();
            tokio::spawn(async move { request.send(&server).await })
        });
        let callbacks: Vec<_> = callbacks.collect();
        let mut completed = 0;
        for response in callbacks {
            let response = response.await.expect("no panic");
            if response.status == 200 {
                assert_eq!(Known::of(&response), begun);
                completed += 1;
            } else {
                assert_refused(&response, "completed before");
            }
        }
        assert_eq!(completed, 1);
    }
}

async fn a_completed_transaction_stays_completed_as_long_as_it_could_be_replayed(backend: Backend) {
    let app = app(backend.builder().await);
    let mut browser = UserAgent::new();
    let begun = begin(&mut browser, &app).await;
    // Somebody who has copied the cookies and the address.
    let mut copy = browser.clone();
    assert_eq!(callback(&mut browser, &app, &begun.state).await.status, 200);
    let response = callback(&mut browser, &app, &begun.state).await;
    assert_refused(&response, "begun no sign-in with this state");
    for _ in 0..9 {
        let replayed = callback(&mut copy.clone(), &app, &begun.state).await;
        assert_refused(&replayed, "completed before");
        backend.clock.advance(minutes(1));
    }
    backend.clock.advance(minutes(1));
    let replayed = callback(&mut copy, &app, &begun.state).await;
    assert_refused(&replayed, "took too long");
}

async fn the_session_of_a_guest_goes_on(backend: Backend) {
    let app = app(backend.builder().await);
    let mut browser = UserAgent::new();
    let add = Handler::session(|session: Session| async move { session.insert("cart", "hat") });
    let response = browser
        .start(Method::POST, "/cart")
        .with(add)
        .send(&app)
        .await;
    browser.receive(&response);
    let begun = begin(&mut browser, &app).await;
    let request = browser.start_cross_site(Method::GET, "/callback");
    let finish = Handler::on_request(move |request: axum::extract::Request| async move {
        use axum::extract::FromRequestParts;
        let (mut parts, _) = request.into_parts();
        let oauth = OAuthTransactions::from_request_parts(&mut parts, &()).await;
        let session = Session::from_request_parts(&mut parts, &()).await;
        let (oauth, session) = (oauth.expect("configured"), session.expect("it loads"));
        oauth.complete(&begun.state, ISSUER, None).await?;
        session.sign_in("ada").await?;
        Ok::<_, SessionError>(session.get::<String>("cart")?.unwrap_or_default())
    });
    let response = request.with(finish).send(&app).await;
    browser.receive(&response);
    assert_eq!((response.status.as_u16(), response.text()), (200, "hat"));
    let read = Handler::session(|session: Session| async move {
        let cart: Option<String> = session.get("cart")?;
        Ok(format!(
            "{} {}",
            session.require_user()?,
            cart.unwrap_or_default()
        ))
    });
    let response = browser.start(Method::GET, "/").with(read).send(&app).await;
    assert_eq!(response.text(), "ada hat");
}

#[tokio::test]
async fn a_begin_costs_no_store_command_and_a_callback_one() {
    let fixture = Fixture::memory();
    let app = app(fixture.builder());
    let mut browser = UserAgent::new();
    let begun = begin(&mut browser, &app).await;
    assert_eq!(fixture.store.take_verbs(), []);
    callback(&mut browser, &app, &begun.state).await;
    assert_eq!(fixture.store.take_verbs(), [Verb::End]);
    // A transaction that this browser does not have costs none.
    callback(&mut browser, &app, &begun.state).await;
    callback(&mut browser, &app, "forged").await;
    assert_eq!(fixture.store.take_verbs(), []);
}

#[tokio::test]
async fn responses_with_a_transaction_are_not_cached() {
    let app = app(Fixture::memory().builder());
    let browser = UserAgent::new();
    let handler =
        |oauth: OAuthTransactions| async move { Ok(Known::text(&oauth.begin(ISSUER).start()?)) };
    let request = browser.start(Method::POST, "/begin");
    let response = request.with(Handler::with(handler)).send(&app).await;
    assert_eq!(response.headers["cache-control"], "no-store");
    assert_eq!(response.headers["vary"], "cookie");
    let cookie = response.set_cookies().next().expect("it is set");
    for attribute in [
        "HttpOnly",
        "SameSite=None",
        "Secure",
        "Path=/",
        "Max-Age=600",
    ] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    assert!(!cookie.contains("Domain"), "{cookie}");
    assert!(cookie.starts_with("__Host-Http-oauth-"), "{cookie}");
    for secret in [response.text(), ISSUER] {
        for word in secret.split(' ') {
            assert!(!cookie.contains(word) || word == "/", "{word} is readable");
        }
    }
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Invitation {
    team: u32,
}

#[tokio::test]
async fn data_of_the_app_comes_back_in_the_callback() {
    let app = app(Fixture::memory().builder());
    let mut browser = UserAgent::new();
    let handler = |oauth: OAuthTransactions| async move {
        let begun = oauth.begin(ISSUER).with_data(&Invitation { team: 7 })?;
        Ok(begun.start()?.state().to_owned())
    };
    let request = browser.start(Method::POST, "/begin");
    let response = request.with(Handler::with(handler)).send(&app).await;
    browser.receive(&response);
    let state = response.text().to_owned();
    let handler = |oauth: OAuthTransactions| async move {
        let transaction = oauth.complete(&state, ISSUER, None).await?;
        let wrong = transaction.data::<String>().map_err(|error| error.kind());
        assert_eq!(wrong, Err(SessionErrorKind::OAuthSetup));
        let data: Option<Invitation> = transaction.data()?;
        assert_eq!(data, Some(Invitation { team: 7 }));
        Ok(())
    };
    let request = browser.start_cross_site(Method::GET, "/callback");
    let response = request.with(Handler::with(handler)).send(&app).await;
    assert_eq!(response.status, 200, "{}", response.text());
}
