//! The token in a header, for clients that are no browsers.

use axum::body::Body;
use axum::extract::Request;
use cloakroom::{CookieConfig, Session, SessionError, TokenHeader};
use http::header::AUTHORIZATION;
use tests::app::{Act, app};
use tests::backend::Backend;
use tests::browser::{Answer, Browser, Effect};
use tests::on_every_store;

use super::{sign_in, user_of, whoami};

on_every_store!(
    an_app_signs_in_reads_and_signs_out_by_its_header,
    beside_a_cookie_the_header_wins,
    without_the_header_browsers_have_their_cookie,
    an_api_has_no_cookies_at_all,
    a_bearer_token_is_one,
);

const NAME: &str = "session-token";

fn named() -> TokenHeader {
    TokenHeader::named(NAME)
}

/// A request with this header.
async fn send<F, R>(
    client: &mut Browser,
    header: (&'static str, &str),
    act: impl FnOnce(Session) -> F + Send + 'static,
) -> Answer
where
    F: Future<Output = Result<R, SessionError>> + Send + 'static,
    R: axum::response::IntoResponse + Send,
{
    let mut request = Request::new(Body::empty());
    let value = header.1.parse().expect("it can be in a header");
    request.headers_mut().insert(header.0, value);
    request.extensions_mut().insert(Act::session(act));
    client.send(request).await
}

fn token(answer: &Answer) -> Option<String> {
    let value = answer.headers.get(NAME)?.to_str().expect("it is ASCII");
    Some(value.to_owned())
}

async fn log_in(session: Session) -> Result<(), SessionError> {
    session.sign_in("ada").await
}

async fn log_out(session: Session) -> Result<(), SessionError> {
    session.sign_out().await.map(|_| ())
}

async fn an_app_signs_in_reads_and_signs_out_by_its_header(backend: Backend) {
    let layer = backend
        .builder()
        .await
        .with_token_header(named())
        .build()
        .expect("it is valid");
    let mut client = Browser::new(app(layer));
    let answer = send(&mut client, (NAME, ""), log_in).await;
    let first = token(&answer).expect("the answer carries it");
    assert_eq!(first.len(), 43);
    assert_eq!(answer.effect(), Effect::Nothing, "and no cookie");
    assert_eq!(answer.cache_control(), "no-store");
    assert_eq!(answer.vary(), "cookie, session-token");

    let answer = send(&mut client, (NAME, &first), user_of).await;
    assert_eq!(answer.text(), "ada");
    assert_eq!(token(&answer), None, "it is not repeated");
    let answer = send(&mut client, (NAME, &first), |session| async move {
        session.renew()
    })
    .await;
    let second = token(&answer).expect("a renewal gives a new one");
    assert_ne!(first, second);
    assert_eq!(send(&mut client, (NAME, &first), user_of).await.text(), "");
    let answer = send(&mut client, (NAME, &second), log_out).await;
    assert_eq!(
        token(&answer).as_deref(),
        Some(""),
        "it says that it is over"
    );
    assert_eq!(answer.effect(), Effect::Nothing);
    assert_eq!(send(&mut client, (NAME, &second), user_of).await.text(), "");
}

/// A page of another site cannot set the header, so a request that has it is no browser's form.
async fn beside_a_cookie_the_header_wins(backend: Backend) {
    let layer = backend
        .builder()
        .await
        .with_token_header(named())
        .build()
        .expect("it is valid");
    let mut browser = Browser::new(app(layer));
    sign_in(&mut browser, "ada").await;
    for nothing in ["", "x", &"A".repeat(43), &"A".repeat(9000)] {
        let answer = send(&mut browser, (NAME, nothing), user_of).await;
        assert_eq!(answer.text(), "", "the cookie does not count");
        assert_eq!(answer.effect(), Effect::Nothing);
    }
    let answer = send(&mut browser, (NAME, ""), |session| async move {
        session.sign_in("bob").await
    })
    .await;
    let bobs = token(&answer).expect("the answer carries it");
    let answer = send(&mut browser, (NAME, &bobs), user_of).await;
    assert_eq!(answer.text(), "bob");
    assert_eq!(whoami(&mut browser).await, "ada", "the cookie is as it was");
}

async fn without_the_header_browsers_have_their_cookie(backend: Backend) {
    let layer = backend
        .builder()
        .await
        .with_token_header(named())
        .build()
        .expect("it is valid");
    let mut browser = Browser::new(app(layer));
    let answer = browser.act(log_in).await;
    assert_eq!(answer.effect(), Effect::Set);
    assert_eq!(token(&answer), None);
    assert_eq!(whoami(&mut browser).await, "ada");
    // The same token opens the same session by either way.
    let ticket = browser.cookie().expect("it is set").to_owned();
    let mut other = browser.on(app(backend
        .builder()
        .await
        .with_token_header(named())
        .build()
        .expect("it is valid")));
    assert_eq!(
        send(&mut other, (NAME, &ticket), user_of).await.text(),
        "ada"
    );
}

async fn an_api_has_no_cookies_at_all(backend: Backend) {
    let api = backend
        .builder()
        .await
        .with_token_header(named().instead_of_cookie())
        .build()
        .expect("it is valid");
    let mut browser = backend.browser().await;
    sign_in(&mut browser, "ada").await;
    let mut browser = browser.on(app(api));
    assert_eq!(whoami(&mut browser).await, "", "its cookie does not count");
    let answer = browser.act(log_in).await;
    assert_eq!(answer.effect(), Effect::Nothing);
    assert_eq!(answer.vary(), "session-token");
    let ticket = token(&answer).expect("it needs no header to get one");
    assert_eq!(
        send(&mut browser, (NAME, &ticket), user_of).await.text(),
        "ada"
    );
}

async fn a_bearer_token_is_one(backend: Backend) {
    let layer = backend
        .builder()
        .await
        .with_token_header(TokenHeader::bearer())
        .build()
        .expect("it is valid");
    let mut client = Browser::new(app(layer));
    let authorization = AUTHORIZATION.as_str();
    assert_eq!(authorization, "authorization");
    let answer = send(&mut client, ("authorization", "Bearer"), log_in).await;
    let ticket = token(&answer).expect("the answer carries it");
    let bearer = format!("Bearer {ticket}");
    let answer = send(&mut client, ("authorization", &bearer), user_of).await;
    assert_eq!(answer.text(), "ada");
    assert_eq!(answer.vary(), "cookie, authorization");
    // Other schemes are the app's own.
    client.add_cookie(CookieConfig::DEFAULT_NAME, ticket.clone());
    let answer = send(&mut client, ("authorization", "Basic YTpi"), user_of).await;
    assert_eq!(answer.text(), "ada", "the cookie counts");
}
