//! An OAuth 2.0 provider on a port of its own: an authorization page with buttons, a token endpoint that checks PKCE, and
//! one that says who the user is.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Form, Query, State};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, StatusCode};
use oauth2::{PkceCodeChallenge, PkceCodeVerifier};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

/// A provider that is running.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Its address, which is its issuer too: `http://127.0.0.1:port`.
    pub issuer: String,
    codes: Arc<Mutex<HashMap<String, Issued>>>,
    /// What the claims of its ID tokens are changed to.
    claims: Arc<Mutex<Map<String, Value>>>,
}

/// What a code was issued for.
#[derive(Clone, Debug, Default)]
struct Issued {
    challenge: String,
    client: String,
    nonce: Option<String>,
}

/// The parameters of an authorization request.
#[derive(Clone, Debug, Deserialize)]
pub struct AuthorizationRequest {
    /// Where the response goes.
    pub redirect_uri: String,
    /// It is returned as it is.
    pub state: String,
    /// The challenge of PKCE.
    pub code_challenge: String,
    /// Its method.
    pub code_challenge_method: String,
    /// `form_post`, or none for a redirect.
    pub response_mode: Option<String>,
    /// The client.
    pub client_id: String,
    /// It becomes a claim of the ID token.
    pub nonce: Option<String>,
}

#[derive(Deserialize)]
struct TokenRequest {
    code: String,
    code_verifier: String,
}

impl Provider {
    /// Starts a provider, at which the user `ada` is signed in.
    ///
    /// # Panics
    ///
    /// When no port is free.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await;
        let listener = listener.expect("a port is free");
        let address = listener.local_addr().expect("it has an address");
        let provider = Self {
            issuer: format!("http://{address}"),
            codes: Arc::default(),
            claims: Arc::default(),
        };
        let app = Router::new()
            .route("/authorize", get(authorize))
            .route("/token", post(token))
            .route("/userinfo", get(user_info))
            .with_state(provider.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        provider
    }

    /// Approves a request: the parameters of the response.
    ///
    /// # Panics
    ///
    /// When the request has no S256 challenge.
    pub fn approve(&self, request: &AuthorizationRequest) -> Vec<(&'static str, String)> {
        assert_eq!(request.code_challenge_method, "S256");
        let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        let code = format!("code-{}", codes.len());
        let issued = Issued {
            challenge: request.code_challenge.clone(),
            client: request.client_id.clone(),
            nonce: request.nonce.clone(),
        };
        codes.insert(code.clone(), issued);
        vec![
            ("code", code),
            ("state", request.state.clone()),
            ("iss", self.issuer.clone()),
        ]
    }

    /// Redeems a code. It works once, and with its verifier only.
    fn redeem(&self, request: TokenRequest) -> Option<Value> {
        let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        let issued = std::mem::take(codes.get_mut(&request.code)?);
        let verifier = PkceCodeVerifier::new(request.code_verifier);
        let expected = PkceCodeChallenge::from_code_verifier_sha256(&verifier);
        (issued.challenge == expected.as_str()).then(|| {
            json!({
                "access_token": "ada",
                "token_type": "bearer",
                "id_token": self.id_token(&issued),
            })
        })
    }

    /// Changes a claim of the ID tokens from now on.
    pub fn set_claim(&self, name: &str, value: Value) {
        let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        claims.insert(name.to_owned(), value);
    }

    /// An ID token without a signature.
    fn id_token(&self, issued: &Issued) -> String {
        let mut claims = json!({
            "iss": self.issuer,
            "sub": "ada",
            "aud": issued.client,
            "exp": 4_000_000_000_u64,
            "nonce": issued.nonce,
        });
        let changed = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(claims) = claims.as_object_mut() {
            claims.extend(changed.clone());
        }
        let claims = URL_SAFE_NO_PAD.encode(claims.to_string());
        format!("{}.{claims}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#))
    }
}

/// The page on which the user approves or denies the request.
async fn authorize(
    State(provider): State<Provider>,
    Query(request): Query<AuthorizationRequest>,
) -> Html<String> {
    let denied = vec![
        ("error", "access_denied".to_owned()),
        ("state", request.state.clone()),
        ("iss", provider.issuer.clone()),
    ];
    let method = match request.response_mode.as_deref() {
        Some("form_post") => "post",
        _ => "get",
    };
    let form = |id: &str, fields: &[(&str, String)]| {
        let fields = fields
            .iter()
            .map(|(name, value)| format!("<input type=hidden name={name} value=\"{value}\">"));
        let fields: String = fields.collect();
        let action = &request.redirect_uri;
        format!(
            "<form method={method} action=\"{action}\">{fields}<button id={id}>{id}</button></form>"
        )
    };
    let approve = form("approve", &provider.approve(&request));
    let deny = form("deny", &denied);
    Html(format!(
        "<!doctype html><title>provider</title>{approve}{deny}"
    ))
}

async fn token(State(provider): State<Provider>, Form(request): Form<TokenRequest>) -> Response {
    match provider.redeem(request) {
        Some(token) => Json(token).into_response(),
        None => {
            let error = Json(json!({ "error": "invalid_grant" }));
            (StatusCode::BAD_REQUEST, error).into_response()
        }
    }
}

/// The access token is the user's name.
async fn user_info(headers: HeaderMap) -> Json<Value> {
    let bearer = headers.get("authorization");
    let bearer = bearer.and_then(|value| value.to_str().ok());
    let user = bearer.and_then(|value| value.strip_prefix("Bearer "));
    Json(json!({ "sub": user }))
}
