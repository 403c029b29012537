//! CSRF tokens, and the layer that needs none.

use axum::Router;
use axum::body::Body;
use cloakroom::{Rotation, Session, SessionErrorKind, SessionLayer, minutes};
use http::Method;
use http::header::CONTENT_TYPE;
use tests::app::{Fixture, Handler};
use tests::backend::Backend;
use tests::browser::Browser;
use tests::faulty_store::Verb;
use tests::on_every_store;
use tests::recipes::csrf;
use tests::stale_cache::StaleCache;
use tests::user_agent::UserAgent;

on_every_store!(
    a_token_is_valid_on_every_server_until_the_next_sign_in,
    first_tokens_of_two_tabs_at_once_are_both_valid,
    a_token_survives_the_rotation_of_the_session_token,
);

async fn token(browser: &mut Browser) -> String {
    let response = browser
        .request(|session| async move { session.csrf_token().await })
        .await;
    assert_eq!(response.status, 200, "{}", response.text());
    response.text().to_owned()
}

/// The status of a request with this token.
async fn check(browser: &mut Browser, token: &str) -> u16 {
    let token = token.to_owned();
    let check = |session: Session| async move { session.check_csrf_token(&token).await };
    browser.request(check).await.status.as_u16()
}

async fn sign_in(browser: &mut Browser, user: &'static str) {
    let response = browser
        .request(move |session| async move { session.sign_in(user).await })
        .await;
    assert_eq!(response.status, 200);
}

async fn a_token_is_valid_on_every_server_until_the_next_sign_in(backend: Backend) {
    let mut browser = backend.browser().await;
    let first = token(&mut browser).await;
    let second = token(&mut browser).await;
    assert_ne!(first, second, "every page has another one");
    let mut elsewhere = browser.on(tests::app::app(backend.layer().await));
    for token in [&first, &second] {
        assert_eq!(check(&mut elsewhere, token).await, 200);
    }
    for user in ["ada", "ada", "bob"] {
        let before = token(&mut browser).await;
        sign_in(&mut browser, user).await;
        assert_eq!(check(&mut browser, &before).await, 403, "{user}");
        let new = token(&mut browser).await;
        assert_eq!(check(&mut browser, &new).await, 200, "{user}");
    }
    assert_eq!(check(&mut browser, &first).await, 403);
}

async fn first_tokens_of_two_tabs_at_once_are_both_valid(backend: Backend) {
    for _ in 0..5 {
        let mut browser = backend.browser().await;
        sign_in(&mut browser, "ada").await;
        let tabs = [(); 4].map(|()| {
            let mut tab = browser.clone();
            tokio::spawn(async move { token(&mut tab).await })
        });
        for tab in tabs {
            let token = tab.await.expect("no panic");
            assert_eq!(check(&mut browser, &token).await, 200);
        }
    }
}

async fn a_token_survives_the_rotation_of_the_session_token(backend: Backend) {
    let rotation = Rotation::every(minutes(5));
    let layer = backend.builder().await.with_rotation(rotation).build();
    let mut browser = Browser::new(tests::app::app(layer.expect("it is valid")));
    sign_in(&mut browser, "ada").await;
    let token = token(&mut browser).await;
    let cookie = browser.cookie().map(str::to_owned);
    for _ in 0..3 {
        backend.clock.advance(minutes(6));
        assert_eq!(check(&mut browser, &token).await, 200);
    }
    assert_ne!(browser.cookie().map(str::to_owned), cookie);
    let renew = |session: Session| async move { session.renew() };
    browser.request(renew).await;
    assert_eq!(
        check(&mut browser, &token).await,
        200,
        "nobody has signed in"
    );
}

#[tokio::test]
async fn the_token_of_another_session_is_refused() {
    let fixture = Fixture::memory();
    let (mut attacker, mut victim) = (fixture.browser(), fixture.browser());
    for browser in [&mut attacker, &mut victim] {
        sign_in(browser, "ada").await;
    }
    let own = token(&mut victim).await;
    let foreign = token(&mut attacker).await;
    for text in [&*foreign, "", "x", &own[1..], &own.to_lowercase()] {
        assert_eq!(check(&mut victim, text).await, 403, "{text}");
    }
    assert_eq!(check(&mut victim, &own).await, 200);
    // A session that has never had a token has no valid one, and neither has a visitor without a session.
    for mut browser in [fixture.browser_with_session().await, fixture.browser()] {
        for text in [&*foreign, ""] {
            assert_eq!(check(&mut browser, text).await, 403);
        }
    }
}

/// The page comes from one server, and its form goes to another one at once.
#[tokio::test]
async fn a_token_that_a_cache_does_not_know_yet_is_valid() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    let cache = StaleCache::new(fixture.store.clone());
    let builder = SessionLayer::builder(cache.clone()).with_clock(fixture.clock.clone());
    let mut other = browser.on(tests::app::app(builder.build().expect("it is valid")));
    assert_eq!(other.read().await, Some(1));
    assert_eq!(cache.len(), 1);
    let token = token(&mut browser).await;
    assert_eq!(check(&mut other, &token).await, 200);
    assert_eq!(check(&mut other, "x").await, 403);
}

/// The invalidation arrives between the load of the request and the check.
#[tokio::test]
async fn a_token_that_a_cached_record_did_not_have_is_valid_after_the_invalidation() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    let cache = StaleCache::new(fixture.store.clone());
    let builder = SessionLayer::builder(cache.clone()).with_clock(fixture.clock.clone());
    let mut other = browser.on(tests::app::app(builder.build().expect("it is valid")));
    assert_eq!(other.read().await, Some(1));
    let token = token(&mut browser).await;
    fixture.clear_verbs();
    let check = |session: Session| async move {
        assert_eq!(session.get::<u32>("n")?, Some(1));
        cache.invalidate();
        session.check_csrf_token(&token).await
    };
    assert_eq!(other.request(check).await.status, 200);
    assert_eq!(fixture.store.take_verbs(), [Verb::Load], "the reload");
}

#[tokio::test]
async fn the_first_token_costs_one_write_and_others_none() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    let first = token(&mut browser).await;
    assert_eq!(fixture.store.take_verbs(), [Verb::Load, Verb::Update]);
    token(&mut browser).await;
    check(&mut browser, &first).await;
    assert_eq!(fixture.store.take_verbs(), [Verb::Load, Verb::Load]);
    // Without a cache, the record is as it is stored.
    assert_eq!(check(&mut browser, "x").await, 403);
    assert_eq!(fixture.store.take_verbs(), [Verb::Load]);
    // The app neither sees nor removes the secret.
    let clear = |session: Session| async move {
        assert_eq!(session.keys(), ["n"]);
        assert!(session.get::<String>("$csrf").is_err());
        session.clear()
    };
    browser.request(clear).await;
    assert_eq!(check(&mut browser, &first).await, 200);
}

#[tokio::test]
async fn a_request_that_stores_nothing_gets_no_token() {
    let fixture = Fixture::memory();
    let app = tests::app::app(fixture.layer());
    let kind = |session: Session| async move {
        let error = session.csrf_token().await.expect_err("nothing is stored");
        Ok(format!("{:?}", error.kind()))
    };
    let mut agent = UserAgent::new();
    let request = agent.start_cross_site(Method::POST, "/");
    let response = request.with(Handler::session(kind)).send(&app).await;
    assert_eq!(
        response.text(),
        format!("{:?}", SessionErrorKind::NotCreated)
    );
    assert!(!response.changes_cookies());

    let sign_in = |session: Session| async move { session.sign_in("ada").await };
    let request = agent.start(Method::POST, "/");
    let response = request.with(Handler::session(sign_in)).send(&app).await;
    agent.receive(&response);
    let sessions = fixture.layer().sessions();
    let reason = cloakroom::RevokedBy::Admin;
    sessions.revoke_all("ada", reason).await.expect("they end");
    let request = agent.start(Method::GET, "/");
    let response = request.with(Handler::session(kind)).send(&app).await;
    assert_eq!(response.text(), format!("{:?}", SessionErrorKind::Ended));
}

/// The routes of the recipe with its layer, and a browser that is signed in.
async fn recipe() -> (Router, UserAgent) {
    let app = csrf::protected(csrf::with_tokens()).expect("an origin");
    let app = app
        .fallback(tests::app::run_handler)
        .layer(Fixture::memory().layer());
    let mut browser = UserAgent::new();
    let sign_in = Handler::session(|session: Session| async move { session.sign_in("ada").await });
    let request = browser.start(Method::POST, "/sign-in").with(sign_in);
    let response = request.send(&app).await;
    browser.receive(&response);
    (app, browser)
}

async fn send(
    app: &Router,
    browser: &UserAgent,
    (site, path): (Option<&str>, &str),
    header: Option<&str>,
    body: String,
) -> u16 {
    let mut request = browser.outgoing(Method::POST, path, site);
    let headers = request.request.headers_mut();
    let form = "application/x-www-form-urlencoded".parse().expect("ASCII");
    headers.insert(CONTENT_TYPE, form);
    if let Some(token) = header {
        headers.insert("x-csrf-token", token.parse().expect("ASCII"));
    }
    *request.request.body_mut() = Body::from(body);
    request.send(app).await.status.as_u16()
}

#[tokio::test]
async fn forms_and_scripts_need_the_layers_consent_and_the_token() {
    let (app, mut browser) = recipe().await;
    let page = browser.visit(&app, Method::GET, "/transfer").await;
    let (_, token) = page.text().split_once("content=").expect("the token");
    let token = token.split('>').next().expect("it ends").to_owned();
    let form = format!("csrf={token}");
    let own = Some("same-origin");
    assert_eq!(
        send(&app, &browser, (own, "/transfer"), None, form.clone()).await,
        303
    );
    let api = "/api/transfer";
    assert_eq!(
        send(&app, &browser, (own, api), Some(&token), String::new()).await,
        204
    );
    // By the token, in a browser that sends neither `Sec-Fetch-Site` nor `origin`.
    assert_eq!(
        send(&app, &browser, (None, "/transfer"), None, form.clone()).await,
        303
    );
    for (form, header) in [("", None), ("csrf=", Some("")), ("csrf=x", Some("x"))] {
        let form = form.to_owned();
        assert_eq!(
            send(&app, &browser, (None, "/transfer"), None, form.clone()).await,
            403
        );
        assert_eq!(send(&app, &browser, (None, api), header, form).await, 403);
    }
    // By the layer, although the token is right.
    for site in ["cross-site", "same-site"] {
        assert_eq!(
            send(
                &app,
                &browser,
                (Some(site), "/transfer"),
                None,
                form.clone()
            )
            .await,
            403
        );
        assert_eq!(
            send(
                &app,
                &browser,
                (Some(site), api),
                Some(&token),
                String::new()
            )
            .await,
            403
        );
    }
}
