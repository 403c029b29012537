//! "Example ID": a small identity provider, so that the example works without an account anywhere. It is not part of what
//! the example shows.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::{Form, Query, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use maud::{DOCTYPE, Markup, html};
use oauth2::url::Url;
use oauth2::{PkceCodeChallenge, PkceCodeVerifier};
use serde::Deserialize;
use serde_json::json;

use crate::random;

/// The client id of the app.
pub const CLIENT_ID: &str = "hat-shop";

/// How many codes and tokens are kept: the newest ones.
const MAX_GRANTS: usize = 100;

/// The provider. Clones share what it has issued.
#[derive(Clone, Debug)]
struct Provider {
    issuer: String,
    redirect_uri: String,
    grants: Arc<Mutex<VecDeque<Grant>>>,
}

#[derive(Clone, Debug)]
struct Grant {
    /// It is redeemed once.
    code: Option<String>,
    challenge: String,
    token: String,
    user: String,
    /// When the user was asked, in seconds since 1970.
    auth_time: u64,
}

/// Returns its routes. Codes are sent to the redirect URI of the app at `app`, and nowhere else.
pub fn router(issuer: &str, app: &str) -> Router {
    let provider = Provider {
        issuer: issuer.to_owned(),
        redirect_uri: format!("{app}/oauth/callback"),
        grants: Arc::default(),
    };
    Router::new()
        .route("/authorize", get(ask).post(decide))
        .route("/token", post(token))
        .route("/userinfo", get(user_info))
        .with_state(provider)
}

#[derive(Deserialize)]
struct Request {
    client_id: String,
    redirect_uri: String,
    state: String,
    code_challenge: String,
    code_challenge_method: String,
}

impl Provider {
    fn accepts(&self, request: &Request) -> bool {
        request.client_id == CLIENT_ID
            && request.redirect_uri == self.redirect_uri
            && request.code_challenge_method == "S256"
    }

    fn answer(&self, state: &str, result: (&str, &str)) -> Option<Redirect> {
        let mut url = Url::parse(&self.redirect_uri).ok()?;
        let iss = ("iss", &*self.issuer);
        url.query_pairs_mut()
            .extend_pairs([result, ("state", state), iss]);
        Some(Redirect::to(url.as_str()))
    }

    fn issue(&self, challenge: String, user: String) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let code = random::text();
        let grant = Grant {
            code: Some(code.clone()),
            challenge,
            token: random::text(),
            user,
            auth_time: now.map_or(0, |now| now.as_secs()),
        };
        let mut grants = self.grants.lock().unwrap_or_else(PoisonError::into_inner);
        grants.truncate(MAX_GRANTS - 1);
        grants.push_front(grant);
        code
    }

    fn redeem(&self, request: TokenRequest) -> Option<String> {
        let mut grants = self.grants.lock().unwrap_or_else(PoisonError::into_inner);
        let mut grants = grants.iter_mut();
        let grant = grants.find(|grant| grant.code.as_ref() == Some(&request.code))?;
        grant.code = None;
        let verifier = PkceCodeVerifier::new(request.code_verifier);
        let challenge = PkceCodeChallenge::from_code_verifier_sha256(&verifier);
        (challenge.as_str() == grant.challenge).then(|| grant.token.clone())
    }

    fn grant(&self, token: &str) -> Option<Grant> {
        let grants = self.grants.lock().unwrap_or_else(PoisonError::into_inner);
        let grant = grants.iter().find(|grant| grant.token == token)?;
        Some(grant.clone())
    }
}

/// It asks each time, as `prompt=login` requests.
async fn ask(State(provider): State<Provider>, Query(request): Query<Request>) -> Response {
    if !provider.accepts(&request) {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let hidden = |name: &str, value: &str| html! { input type="hidden" name=(name) value=(value); };
    let page: Markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Example ID" }
            }
            body style="font: 1rem/1.6 system-ui; margin: 2rem auto; max-width: 30rem; padding: 0 1rem" {
                h1 { "Example ID" }
                p { "Hat shop wants to know who you are. This provider believes everybody." }
                form method="post" {
                    (hidden("state", &request.state))
                    (hidden("challenge", &request.code_challenge))
                    p { label { "Name " input #name name="name" value="Elsa" required maxlength="50"; } }
                    button #approve name="decision" value="approve" { "Continue" }
                    " "
                    button #deny name="decision" value="deny" { "Cancel" }
                }
            }
        }
    };
    page.into_response()
}

#[derive(Deserialize)]
struct Decision {
    state: String,
    challenge: String,
    name: String,
    decision: String,
}

async fn decide(State(provider): State<Provider>, Form(form): Form<Decision>) -> Response {
    let answer = if form.decision == "approve" {
        let code = provider.issue(form.challenge, form.name);
        provider.answer(&form.state, ("code", &code))
    } else {
        provider.answer(&form.state, ("error", "access_denied"))
    };
    answer.map_or_else(
        || StatusCode::BAD_REQUEST.into_response(),
        IntoResponse::into_response,
    )
}

#[derive(Deserialize)]
struct TokenRequest {
    code: String,
    code_verifier: String,
}

async fn token(State(provider): State<Provider>, Form(request): Form<TokenRequest>) -> Response {
    match provider.redeem(request) {
        Some(token) => {
            Json(json!({ "access_token": token, "token_type": "bearer" })).into_response()
        }
        None => {
            let error = Json(json!({ "error": "invalid_grant" }));
            (StatusCode::BAD_REQUEST, error).into_response()
        }
    }
}

async fn user_info(State(provider): State<Provider>, headers: HeaderMap) -> Response {
    let bearer = headers.get(AUTHORIZATION);
    let bearer = bearer.and_then(|value| value.to_str().ok());
    let token = bearer.and_then(|value| value.strip_prefix("Bearer "));
    match token.and_then(|token| provider.grant(token)) {
        // Each name is a user of its own.
        Some(Grant {
            user, auth_time, ..
        }) => {
            let sub = user.to_lowercase();
            Json(json!({ "sub": sub, "name": user, "auth_time": auth_time })).into_response()
        }
        None => StatusCode::UNAUTHORIZED.into_response(),
    }
}
