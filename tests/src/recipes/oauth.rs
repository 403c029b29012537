//! Signing in with an OAuth 2.0 provider, with the crate `oauth2`. `docs/oauth.md` quotes it.

use std::io;

use axum::Router;
use axum::extract::{Form, Query, State};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{MethodRouter, get, post};
use cloakroom::{
    ConfigError, CookieKey, OAuthConfig, OAuthTransaction, OAuthTransactions, Session,
    SessionError, SessionLayer, SessionLayerBuilder,
};
use http::StatusCode;
use oauth2::basic::BasicClient;
use oauth2::{
    AuthUrl, AuthorizationCode, ClientId, CsrfToken, EndpointNotSet, EndpointSet, HttpRequest,
    HttpResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, TokenResponse, TokenUrl,
};
use serde::Deserialize;
use tower_http::csrf::CsrfLayer;

use crate::client::exchange;

/// A client whose authorization and token endpoints are known.
type Client = BasicClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

/// A provider, as the app knows it.
#[derive(Clone, Debug)]
pub struct Provider {
    issuer: String,
    client: Client,
    /// Whether it answers with a form, a `POST`, instead of a redirect.
    answers_with_form: bool,
}

/// The parameters of a callback.
#[derive(Debug, Deserialize)]
pub struct Callback {
    pub(super) state: String,
    pub(super) iss: Option<String>,
    pub(super) code: Option<String>,
    error: Option<String>,
}

/// Where the user wants to go after the sign-in.
#[derive(Debug, Deserialize)]
pub struct Begin {
    next: Option<String>,
}

/// Why a sign-in has failed.
#[derive(Debug)]
pub enum SignInError {
    /// The callback was refused, or the session could not be saved.
    Session(SessionError),
    /// The user has denied the sign-in, or the provider reports another error.
    Denied,
    /// The provider does not accept the code, or cannot be reached.
    Provider,
}

/// A layer with transactions. The secret comes from the environment, and is the same on all servers; it has at least 32
/// bytes.
///
/// # Errors
///
/// When the secret is too short, or an option cannot be kept.
pub fn layer(builder: SessionLayerBuilder, secret: &[u8]) -> Result<SessionLayer, ConfigError> {
    let key = CookieKey::derived_from(secret)?;
    builder.with_oauth(OAuthConfig::new([key])).build()
}

/// The routes, for a session cookie that is `SameSite=Lax`. A callback is a request of another site, so its route is not
/// within the `CsrfLayer`: the state protects it.
pub fn routes(provider: Provider) -> Router {
    with_callback(get(callback).post(callback_without_session), provider)
}

/// The routes, for a session cookie that is `SameSite=Strict`.
pub fn routes_for_strict_cookie(provider: Provider) -> Router {
    let callback = get(callback_without_session).post(callback_without_session);
    with_callback(callback, provider)
}

fn with_callback(callback: MethodRouter<Provider>, provider: Provider) -> Router {
    let protected = Router::new()
        .route("/oauth/begin", post(begin))
        .layer(CsrfLayer::new());
    Router::new()
        .route("/oauth/callback", callback)
        .route("/oauth/finish", get(finish))
        .merge(protected)
        .with_state(provider)
}

/// Redirects to the provider. It is a `POST`, so that no other site can begin a sign-in.
async fn begin(
    oauth: OAuthTransactions,
    State(provider): State<Provider>,
    Form(begin): Form<Begin>,
) -> Result<Redirect, SessionError> {
    let next = begin.next.unwrap_or_default();
    let transaction = oauth.begin(&*provider.issuer).with_next(&next).start()?;
    let state = transaction.state().to_owned();
    let verifier = PkceCodeVerifier::new(transaction.pkce_verifier().to_owned());
    let challenge = PkceCodeChallenge::from_code_verifier_sha256(&verifier);
    let request = provider
        .client
        .authorize_url(|| CsrfToken::new(state))
        .set_pkce_challenge(challenge);
    let request = if provider.answers_with_form {
        request.add_extra_param("response_mode", "form_post")
    } else {
        request
    };
    let (url, _) = request.url();
    Ok(Redirect::to(url.as_str()))
}

/// The provider answers with a redirect: the session cookie comes along, and so does the cart of a guest.
async fn callback(
    oauth: OAuthTransactions,
    session: Session,
    State(provider): State<Provider>,
    Query(callback): Query<Callback>,
) -> Result<Redirect, SignInError> {
    let (transaction, user) = provider.identify(&oauth, callback).await?;
    session.sign_in(user).await?;
    Ok(Redirect::to(transaction.next()))
}

/// The provider answers with a form, a cross-site `POST`: of the app's cookies, only that of the transaction comes along.
/// So the user is signed in by another request, to which a second transaction carries the user's id. The response is a page
/// that leads there: what a redirect leads to would still count as caused by the other site.
async fn callback_without_session(
    oauth: OAuthTransactions,
    State(provider): State<Provider>,
    Form(callback): Form<Callback>,
) -> Result<Html<String>, SignInError> {
    let (transaction, user) = provider.identify(&oauth, callback).await?;
    let identified = oauth
        .begin(IDENTIFIED)
        .with_next(transaction.next())
        .with_data(&user)?
        .start()?;
    // The state consists of letters, digits, hyphens and underscores.
    let url = format!("/oauth/finish?state={}", identified.state());
    Ok(Html(format!(
        "<!doctype html><meta http-equiv=refresh content=\"0; url={url}\">
        <a href=\"{url}\">Continue</a>"
    )))
}

/// The issuer of transactions that the app itself begins.
const IDENTIFIED: &str = "identified";

/// Signs in the user whom `callback_without_session` has identified, in this browser and once.
async fn finish(
    oauth: OAuthTransactions,
    session: Session,
    Query(callback): Query<Callback>,
) -> Result<Redirect, SignInError> {
    let identified = oauth.complete(&callback.state, IDENTIFIED, None).await?;
    let user: Option<String> = identified.data()?;
    session.sign_in(user.ok_or(SignInError::Denied)?).await?;
    Ok(Redirect::to(identified.next()))
}

impl Provider {
    /// Completes the transaction, exchanges the code, and returns the id of the user at the provider.
    async fn identify(
        &self,
        oauth: &OAuthTransactions,
        callback: Callback,
    ) -> Result<(OAuthTransaction, String), SignInError> {
        let iss = callback.iss.as_deref();
        // First of all, also if the callback reports an error: it may be forged.
        let transaction = oauth.complete(&callback.state, &self.issuer, iss).await?;
        let code = match (callback.code, callback.error) {
            (Some(code), None) => AuthorizationCode::new(code),
            _ => return Err(SignInError::Denied),
        };
        let verifier = PkceCodeVerifier::new(transaction.pkce_verifier().to_owned());
        let token = self
            .client
            .exchange_code(code)
            .set_pkce_verifier(verifier)
            .request_async(&send)
            .await
            .map_err(|_| SignInError::Provider)?;
        let user = self.user(token.access_token().secret()).await;
        let user = user.ok_or(SignInError::Provider)?;
        // Accounts of different providers are different users, whatever their ids.
        Ok((transaction, format!("{}#{user}", self.issuer)))
    }

    /// Asks the provider who the user is. With OpenID Connect it is in the ID token, whose nonce has to be
    /// `transaction.nonce()`.
    async fn user(&self, access_token: &str) -> Option<String> {
        #[derive(Deserialize)]
        struct UserInfo {
            sub: String,
        }
        let request = http::Request::get(format!("{}/userinfo", self.issuer))
            .header("authorization", format!("Bearer {access_token}"))
            .body(Vec::new());
        let response = send(request.ok()?).await.ok()?;
        let info: UserInfo = serde_json::from_slice(response.body()).ok()?;
        Some(info.sub)
    }

    /// A provider whose endpoints are below its issuer.
    ///
    /// # Panics
    ///
    /// When the issuer or the redirect URI is not a URL.
    #[must_use]
    pub fn new(issuer: &str, redirect_uri: &str, answers_with_form: bool) -> Self {
        let client = BasicClient::new(ClientId::new("shop".to_owned()))
            .set_auth_uri(AuthUrl::new(format!("{issuer}/authorize")).expect("a URL"))
            .set_token_uri(TokenUrl::new(format!("{issuer}/token")).expect("a URL"))
            .set_redirect_uri(RedirectUrl::new(redirect_uri.to_owned()).expect("a URL"));
        Self {
            issuer: issuer.to_owned(),
            client,
            answers_with_form,
        }
    }
}

impl From<SessionError> for SignInError {
    fn from(error: SessionError) -> Self {
        Self::Session(error)
    }
}

impl IntoResponse for SignInError {
    fn into_response(self) -> Response {
        match self {
            Self::Session(error) => error.into_response(),
            Self::Denied => (StatusCode::FORBIDDEN, "the sign-in was denied").into_response(),
            Self::Provider => {
                (StatusCode::BAD_GATEWAY, "the provider does not respond").into_response()
            }
        }
    }
}

/// The HTTP client of the app. It must not follow redirects (a token endpoint has none).
pub(super) async fn send(request: HttpRequest) -> Result<HttpResponse, io::Error> {
    let authority = request.uri().authority().map(ToString::to_string);
    let authority = authority.ok_or(io::ErrorKind::InvalidInput)?;
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    parts.uri = path.parse().map_err(io::Error::other)?;
    let body = String::from_utf8(body).map_err(io::Error::other)?;
    let response = exchange(&authority, http::Request::from_parts(parts, body)).await;
    let response = response.map_err(io::Error::other)?;
    let mut result = http::Response::new(response.body.into_bytes());
    *result.status_mut() = response.status;
    *result.headers_mut() = response.headers;
    Ok(result)
}
