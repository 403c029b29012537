//! Sign-in with an identity provider (OAuth 2.0, with PKCE), by the crate `oauth2`. It asks users each time: every sign-in
//! counts as a recent one, also for what needs a re-authentication.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::{Form, Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use cloakroom::{Next, OAuthTransaction, OAuthTransactions, Session};
use oauth2::basic::BasicClient;
use oauth2::url::ParseError;
use oauth2::{
    AuthUrl, AuthorizationCode, ClientId, CsrfToken, EndpointNotSet, EndpointSet,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, TokenResponse, TokenUrl,
};
use serde::{Deserialize, Serialize};

use super::sign_in::{take_over_cart, with_one_factor};
use crate::app::App;
use crate::errors::AppError;
use crate::http_client::send;
use crate::provider::CLIENT_ID;

/// A client whose authorization and token endpoints are known.
type Client = BasicClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

/// The issuer of transactions that the app itself begins.
const IDENTIFIED: &str = "identified";

/// The identity provider, as the app knows it.
#[derive(Clone, Debug)]
pub(crate) struct Provider {
    issuer: String,
    client: Client,
    /// How long ago the provider may have authenticated a user who signs in.
    max_age: Duration,
}

/// How much the provider's clock may be behind.
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(60);

impl Provider {
    /// A provider whose endpoints are below its issuer.
    pub(crate) fn new(issuer: &str, app: &str, max_age: Duration) -> Result<Self, ParseError> {
        let client = BasicClient::new(ClientId::new(CLIENT_ID.to_owned()))
            .set_auth_uri(AuthUrl::new(format!("{issuer}/authorize"))?)
            .set_token_uri(TokenUrl::new(format!("{issuer}/token"))?)
            .set_redirect_uri(RedirectUrl::new(format!("{app}/oauth/callback"))?);
        Ok(Self {
            issuer: issuer.to_owned(),
            client,
            max_age,
        })
    }

    /// Returns whether it has authenticated the user as recently as it was requested. Not every provider does so, and the
    /// parameters of the request go through the browser.
    fn has_asked(&self, identity: &Identity) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let age = identity.auth_time.zip(now.ok());
        let age = age.map(|(at, now)| now.saturating_sub(Duration::from_secs(at)));
        age.is_some_and(|age| age <= self.max_age.saturating_add(MAX_CLOCK_SKEW))
    }
}

/// The route that is outside of the CSRF layer.
pub(crate) fn callback_route() -> Router<App> {
    let route = get(callback).post(callback_without_session);
    Router::new().route("/oauth/callback", route)
}

#[derive(Deserialize)]
pub(crate) struct Begin {
    #[serde(default)]
    next: Next,
}

/// Redirects to the provider. It is a `POST`, so that no other site can begin a sign-in.
pub(crate) async fn begin(
    oauth: OAuthTransactions,
    State(provider): State<Provider>,
    Form(begin): Form<Begin>,
) -> Result<Redirect, AppError> {
    let transaction = oauth.begin(&*provider.issuer);
    let transaction = transaction.with_next(begin.next.or("/account")).start()?;
    let state = transaction.state().to_owned();
    let verifier = PkceCodeVerifier::new(transaction.pkce_verifier().to_owned());
    let challenge = PkceCodeChallenge::from_code_verifier_sha256(&verifier);
    let request = provider
        .client
        .authorize_url(|| CsrfToken::new(state))
        .set_pkce_challenge(challenge)
        .add_extra_param("prompt", "login")
        .add_extra_param("max_age", provider.max_age.as_secs().to_string());
    let (url, _) = request.url();
    Ok(Redirect::to(url.as_str()))
}

#[derive(Deserialize)]
struct Callback {
    state: String,
    iss: Option<String>,
    code: Option<String>,
}

/// The provider answers with a redirect: the session cookie comes along, and so does the cart of a guest.
async fn callback(
    oauth: OAuthTransactions,
    session: Session,
    State(app): State<App>,
    Query(callback): Query<Callback>,
) -> Result<Redirect, AppError> {
    let (transaction, identity) = identify(&app.provider, &oauth, callback).await?;
    sign_in(&app, &session, &identity).await?;
    Ok(Redirect::to(transaction.next()))
}

/// The provider answers with a form: only the cookie of the transaction comes along. Another request signs the user in, to
/// which a second transaction carries the identity.
async fn callback_without_session(
    oauth: OAuthTransactions,
    State(provider): State<Provider>,
    Form(callback): Form<Callback>,
) -> Result<Response, AppError> {
    let (transaction, identity) = identify(&provider, &oauth, callback).await?;
    let identified = oauth
        .begin(IDENTIFIED)
        .with_next(transaction.next())
        .with_data(&identity)?
        .start()?;
    // The state consists of letters, digits, hyphens and underscores.
    let url = format!("/oauth/finish?state={}", identified.state());
    let page = format!(
        "<!doctype html><meta http-equiv=refresh content=\"0; url={url}\"><a href=\"{url}\">Continue</a>"
    );
    Ok(Html(page).into_response())
}

#[derive(Deserialize)]
pub(crate) struct Finish {
    state: String,
}

/// Signs in the user whom `callback_without_session` has identified, in this browser and once.
pub(crate) async fn finish(
    oauth: OAuthTransactions,
    session: Session,
    State(app): State<App>,
    Query(finish): Query<Finish>,
) -> Result<Redirect, AppError> {
    let identified = oauth.complete(&finish.state, IDENTIFIED, None).await?;
    let identity: Option<Identity> = identified.data()?;
    sign_in(&app, &session, &identity.ok_or_else(denied)?).await?;
    Ok(Redirect::to(identified.next()))
}

/// Who the user is, according to the provider.
#[derive(Serialize, Deserialize)]
struct Identity {
    /// Unique at one provider only, so the issuer comes first.
    id: String,
    name: String,
    /// When the provider has authenticated the user, in seconds since 1970.
    auth_time: Option<u64>,
}

async fn sign_in(app: &App, session: &Session, identity: &Identity) -> Result<(), AppError> {
    if !app.provider.has_asked(identity) {
        return Err(not_asked());
    }
    let user = app
        .database
        .user_of_identity(&identity.id, &identity.name)
        .await?;
    with_one_factor(session, user, false)?.await?;
    take_over_cart(app, session, user).await
}

/// Completes the transaction, exchanges the code, and returns who the user is.
async fn identify(
    provider: &Provider,
    oauth: &OAuthTransactions,
    callback: Callback,
) -> Result<(OAuthTransaction, Identity), AppError> {
    let iss = callback.iss.as_deref();
    // First of all, also if the callback reports an error: it may be forged.
    let transaction = oauth
        .complete(&callback.state, &provider.issuer, iss)
        .await?;
    let code = callback.code.ok_or_else(denied)?;
    let verifier = PkceCodeVerifier::new(transaction.pkce_verifier().to_owned());
    let token = provider
        .client
        .exchange_code(AuthorizationCode::new(code))
        .set_pkce_verifier(verifier)
        .request_async(&send)
        .await
        .map_err(|_| does_not_respond())?;
    let identity = user_info(provider, token.access_token().secret()).await;
    Ok((transaction, identity.ok_or_else(does_not_respond)?))
}

/// Asks the provider who the user is. With OpenID Connect, `auth_time` is a claim of the ID token.
async fn user_info(provider: &Provider, access_token: &str) -> Option<Identity> {
    #[derive(Deserialize)]
    struct UserInfo {
        sub: String,
        name: String,
        auth_time: Option<u64>,
    }
    let request = oauth2::http::Request::get(format!("{}/userinfo", provider.issuer))
        .header("authorization", format!("Bearer {access_token}"))
        .body(Vec::new());
    let response = send(request.ok()?).await.ok()?;
    let info: UserInfo = serde_json::from_slice(response.body()).ok()?;
    Some(Identity {
        id: format!("{}#{}", provider.issuer, info.sub),
        name: info.name,
        auth_time: info.auth_time,
    })
}

fn denied() -> AppError {
    let text = "The sign-in with Example ID was cancelled.";
    AppError::page(StatusCode::FORBIDDEN, "Not signed in", text)
}

fn not_asked() -> AppError {
    let text = "Example ID has not asked you to sign in. Please begin again.";
    AppError::page(StatusCode::FORBIDDEN, "Not signed in", text)
}

fn does_not_respond() -> AppError {
    let text = "Example ID does not respond, or has not accepted the sign-in.";
    AppError::page(StatusCode::BAD_GATEWAY, "Not signed in", text)
}
