//! Signing in with OpenID Connect, with the crate `oauth2`: what is different from [`oauth`](super::oauth). `docs/oauth.md`
//! quotes it.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::{Query, State};
use axum::response::Redirect;
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cloakroom::{OAuthTransaction, OAuthTransactions, Session, SessionError};
use oauth2::basic::{
    BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse,
    BasicTokenType,
};
use oauth2::{
    AuthUrl, AuthorizationCode, ClientId, CsrfToken, EndpointNotSet, EndpointSet, ExtraTokenFields,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope, StandardRevocableToken,
    StandardTokenResponse, TokenUrl,
};
use serde::{Deserialize, Serialize};

use super::oauth::{Callback, SignInError, send};

/// What the token endpoint of an OpenID provider returns besides an access token.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct IdToken {
    id_token: String,
}

impl ExtraTokenFields for IdToken {}

/// A client whose token responses have an ID token.
type Client = oauth2::Client<
    BasicErrorResponse,
    StandardTokenResponse<IdToken, BasicTokenType>,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

/// The claims of an ID token.
#[derive(Debug, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: u64,
    nonce: Option<String>,
}

/// One client or several.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// An OpenID provider, as the app knows it.
#[derive(Clone, Debug)]
pub struct Provider {
    issuer: String,
    client_id: String,
    client: Client,
}

/// Redirects to the provider, with the nonce of the transaction.
async fn begin(
    oauth: OAuthTransactions,
    State(provider): State<Provider>,
) -> Result<Redirect, SessionError> {
    let transaction = oauth.begin(&*provider.issuer).start()?;
    let state = transaction.state().to_owned();
    let verifier = PkceCodeVerifier::new(transaction.pkce_verifier().to_owned());
    let (url, _) = provider
        .client
        .authorize_url(|| CsrfToken::new(state))
        .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
        .add_scope(Scope::new("openid".to_owned()))
        .add_extra_param("nonce", transaction.nonce())
        .url();
    Ok(Redirect::to(url.as_str()))
}

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

impl Provider {
    /// Completes the transaction, exchanges the code, and returns the id of the user in the ID token.
    async fn identify(
        &self,
        oauth: &OAuthTransactions,
        callback: Callback,
    ) -> Result<(OAuthTransaction, String), SignInError> {
        let iss = callback.iss.as_deref();
        let transaction = oauth.complete(&callback.state, &self.issuer, iss).await?;
        let code = AuthorizationCode::new(callback.code.ok_or(SignInError::Denied)?);
        let verifier = PkceCodeVerifier::new(transaction.pkce_verifier().to_owned());
        let tokens = self
            .client
            .exchange_code(code)
            .set_pkce_verifier(verifier)
            .request_async(&send)
            .await
            .map_err(|_| SignInError::Provider)?;
        let claims = claims(&tokens.extra_fields().id_token);
        let claims = claims.filter(|claims| self.accepts(claims, transaction.nonce()));
        let claims = claims.ok_or(SignInError::Provider)?;
        // A user's id is unique at one issuer only.
        Ok((transaction, format!("{}#{}", claims.iss, claims.sub)))
    }

    /// Whether an ID token is for this client, of this provider, for this sign-in, and has not expired.
    fn accepts(&self, claims: &Claims, nonce: &str) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let is_for_us = match &claims.aud {
            Audience::One(client) => *client == self.client_id,
            // Others that the token is for would have to be trusted.
            Audience::Several(clients) => *clients == [self.client_id.clone()],
        };
        claims.iss == self.issuer
            && is_for_us
            && claims.nonce.as_deref() == Some(nonce)
            && now.is_ok_and(|now| now.as_secs() < claims.exp)
    }
}

/// Reads the claims of an ID token that has come from the token endpoint over TLS: then TLS may take the place of the
/// signature (OpenID Connect Core, section 3.1.3.7). One that comes in any other way has to be verified by a library.
fn claims(id_token: &str) -> Option<Claims> {
    let payload = id_token.split('.').nth(1)?;
    let json = URL_SAFE_NO_PAD.decode(payload).ok()?;
    serde_json::from_slice(&json).ok()
}

impl Provider {
    /// A provider whose endpoints are below its issuer.
    ///
    /// # Panics
    ///
    /// When the issuer or the redirect URI is not a URL.
    #[must_use]
    pub fn new(issuer: &str, client_id: &str, redirect_uri: &str) -> Self {
        let client = oauth2::Client::new(ClientId::new(client_id.to_owned()))
            .set_auth_uri(AuthUrl::new(format!("{issuer}/authorize")).expect("a URL"))
            .set_token_uri(TokenUrl::new(format!("{issuer}/token")).expect("a URL"))
            .set_redirect_uri(RedirectUrl::new(redirect_uri.to_owned()).expect("a URL"));
        Self {
            issuer: issuer.to_owned(),
            client_id: client_id.to_owned(),
            client,
        }
    }
}

/// The routes, for a session cookie that is `SameSite=Lax`.
pub fn routes(provider: Provider) -> Router {
    Router::new()
        .route("/oauth/begin", post(begin))
        .route("/oauth/callback", get(callback))
        .with_state(provider)
}
