//! The recipe for OpenID Connect in `docs/oauth.md`, with a provider over HTTP.

use axum::Router;
use axum::extract::Query;
use cloakroom::Session;
use http::Method;
use http::header::LOCATION;
use serde_json::{Value, json};
use tests::app::{Fixture, Handler, run_handler};
use tests::provider::{AuthorizationRequest, Provider};
use tests::recipes::{oauth, openid};
use tests::user_agent::{DEFAULT_HOST, Incoming, UserAgent};
use url::{Url, form_urlencoded};

struct Shop {
    app: Router,
    provider: Provider,
    browser: UserAgent,
}

impl Shop {
    async fn open() -> Self {
        let provider = Provider::start().await;
        let redirect_uri = format!("https://{DEFAULT_HOST}/oauth/callback");
        let known = openid::Provider::new(&provider.issuer, "shop", &redirect_uri);
        let secret = b"a secret of at least thirty-two bytes";
        let layer = oauth::layer(Fixture::memory().builder(), secret);
        let app = openid::routes(known)
            .fallback(run_handler)
            .layer(layer.expect("it is valid"));
        Self {
            app,
            provider,
            browser: UserAgent::new(),
        }
    }

    async fn send(&mut self, method: Method, path: &str) -> Incoming {
        let response = self.browser.start(method, path).send(&self.app).await;
        self.browser.receive(&response);
        response
    }

    /// A sign-in which the user approves; its status.
    async fn sign_in(&mut self) -> u16 {
        let response = self.send(Method::POST, "/oauth/begin").await;
        let location = response.headers[LOCATION].to_str().expect("ASCII");
        let url = Url::parse(location).expect("a URL");
        let query = format!("/?{}", url.query().expect("a query"));
        let request = Query::<AuthorizationRequest>::try_from_uri(&query.parse().expect("a URI"));
        let answer = self.provider.approve(&request.expect("a request"));
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(answer)
            .finish();
        let path = format!("/oauth/callback?{query}");
        self.send(Method::GET, &path).await.status.as_u16()
    }

    async fn user(&mut self) -> Option<String> {
        let read = Handler::session(|session: Session| async move {
            Ok(session.user_id::<String>()?.unwrap_or_default())
        });
        let request = self.browser.start(Method::GET, "/").with(read);
        let response = request.send(&self.app).await;
        Some(response.text().to_owned()).filter(|user| !user.is_empty())
    }
}

#[tokio::test]
async fn the_user_of_the_id_token_is_signed_in() {
    let mut shop = Shop::open().await;
    assert_eq!(shop.sign_in().await, 303);
    let ada = format!("{}#ada", shop.provider.issuer);
    assert_eq!(shop.user().await, Some(ada));
}

#[tokio::test]
async fn an_id_token_of_another_sign_in_client_issuer_or_time_is_refused() {
    let past = json!(1_000_000_000_u64);
    let others = json!(["shop", "another-shop"]);
    for (claim, value) in [
        ("nonce", json!("of another sign-in")),
        ("nonce", Value::Null),
        ("aud", json!("another-shop")),
        ("aud", others),
        ("iss", json!("https://evil.example")),
        ("exp", past),
    ] {
        let mut shop = Shop::open().await;
        shop.provider.set_claim(claim, value);
        assert_eq!(shop.sign_in().await, 502, "{claim}");
        assert_eq!(shop.user().await, None, "{claim}");
    }
    let mut shop = Shop::open().await;
    shop.provider.set_claim("aud", json!(["shop"]));
    assert_eq!(shop.sign_in().await, 303);
}
