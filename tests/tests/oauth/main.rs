//! Signing in with OAuth providers, CSRF tokens, and the recipes of the documents.

mod bounds;
mod callbacks;
mod csrf;
mod openid;
mod provider;
mod recipes;
mod refused;

use axum::Router;
use cloakroom::{
    CookieKey, OAuthConfig, OAuthTransaction, OAuthTransactions, SessionError, SessionLayerBuilder,
};
use http::Method;
use tests::app::Handler;
use tests::user_agent::{Incoming, UserAgent};

const ISSUER: &str = "https://accounts.example";

/// The configuration of an app: all its servers have the same key.
fn config() -> OAuthConfig {
    let key = CookieKey::derived_from(b"a secret of at least thirty-two bytes");
    OAuthConfig::new([key.expect("it is long enough")])
}

/// An app with the handler of each request.
fn app(builder: SessionLayerBuilder) -> Router {
    let layer = builder.with_oauth(config()).build();
    tests::app::app(layer.expect("it is valid"))
}

/// What the app knows of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    state: String,
    nonce: String,
    verifier: String,
    next: String,
}

impl Known {
    fn text(transaction: &OAuthTransaction) -> String {
        let values = [
            transaction.state(),
            transaction.nonce(),
            transaction.pkce_verifier(),
            transaction.next(),
        ];
        values.join(" ")
    }

    #[track_caller]
    fn of(response: &Incoming) -> Self {
        assert_eq!(response.status, 200, "{}", response.text());
        let mut words = response.text().split(' ').map(str::to_owned);
        let [state, nonce, verifier, next] = [(); 4].map(|()| words.next().expect("four words"));
        Self {
            state,
            nonce,
            verifier,
            next,
        }
    }
}

/// Begins a sign-in, and receives the response.
async fn begin(browser: &mut UserAgent, app: &Router) -> Known {
    begin_with(browser, app, "/").await
}

async fn begin_with(browser: &mut UserAgent, app: &Router, next: &str) -> Known {
    let next = next.to_owned();
    let handler = |oauth: OAuthTransactions| async move {
        let transaction = oauth.begin(ISSUER).with_next(&next).start()?;
        Ok(Known::text(&transaction))
    };
    let request = browser.start(Method::POST, "/begin");
    let response = request.with(Handler::with(handler)).send(app).await;
    browser.receive(&response);
    Known::of(&response)
}

fn completing(state: &str, issuer: &str, iss: Option<&str>) -> Handler {
    let (state, issuer) = (state.to_owned(), issuer.to_owned());
    let iss = iss.map(str::to_owned);
    Handler::with(move |oauth: OAuthTransactions| async move {
        let transaction = oauth.complete(&state, &issuer, iss.as_deref()).await?;
        Ok::<_, SessionError>(Known::text(&transaction))
    })
}

/// The provider's redirect to the callback, in this browser. The response is received.
async fn callback(browser: &mut UserAgent, app: &Router, state: &str) -> Incoming {
    let request = browser.start_cross_site(Method::GET, "/callback");
    let handler = completing(state, ISSUER, Some(ISSUER));
    let response = request.with(handler).send(app).await;
    browser.receive(&response);
    response
}

/// The callback is refused for this reason.
#[track_caller]
fn assert_refused(response: &Incoming, reason: &str) {
    assert_eq!(response.status, 400, "{}", response.text());
    let error = response.extensions.get::<SessionError>();
    let error = error.expect("an error response").to_string();
    assert!(error.contains(reason), "{error}");
}

/// The names of the cookies of transactions that a browser has.
fn transactions(browser: &UserAgent) -> Vec<String> {
    let cookies = browser.jar.cookies().iter();
    let names = cookies.map(|cookie| cookie.name.clone());
    names
        .filter(|name| name.starts_with(OAuthConfig::DEFAULT_COOKIE_NAME))
        .collect()
}
