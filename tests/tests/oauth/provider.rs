//! The recipe of `docs/oauth.md` with a provider over HTTP.

use axum::Router;
use axum::body::Body;
use cloakroom::Session;
use http::header::{CONTENT_TYPE, LOCATION};
use http::{Method, StatusCode};
use tests::app::{Fixture, Handler, run_handler};
use tests::provider::{AuthorizationRequest, Provider};
use tests::recipes::oauth;
use tests::user_agent::{DEFAULT_HOST, Incoming, UserAgent};
use url::{Url, form_urlencoded};

/// An app with the recipe's routes, its provider, and a browser with a cart.
struct Shop {
    app: Router,
    provider: Provider,
    browser: UserAgent,
}

type Fields = Vec<(&'static str, String)>;

impl Shop {
    async fn open(answers_with_form: bool) -> Self {
        let provider = Provider::start().await;
        let redirect_uri = format!("https://{DEFAULT_HOST}/oauth/callback");
        let known = oauth::Provider::new(&provider.issuer, &redirect_uri, answers_with_form);
        let secret = b"a secret of at least thirty-two bytes";
        let layer = oauth::layer(Fixture::memory().builder(), secret);
        let app = oauth::routes(known)
            .fallback(run_handler)
            .layer(layer.expect("it is valid"));
        let mut shop = Self {
            app,
            provider,
            browser: UserAgent::new(),
        };
        let add = Handler::session(|session: Session| async move { session.insert("cart", "hat") });
        let request = shop.browser.start(Method::POST, "/cart").with(add);
        let response = request.send(&shop.app).await;
        shop.browser.receive(&response);
        shop
    }

    async fn send(&mut self, site: &str, method: Method, path: &str, fields: &Fields) -> Incoming {
        let mut request = self.browser.outgoing(method, path, Some(site));
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        let form = "application/x-www-form-urlencoded".parse().expect("ASCII");
        request.request.headers_mut().insert(CONTENT_TYPE, form);
        *request.request.body_mut() = Body::from(body);
        let response = request.send(&self.app).await;
        self.browser.receive(&response);
        response
    }

    /// Begins a sign-in; the request that the browser sends to the provider.
    async fn begin(&mut self) -> AuthorizationRequest {
        let next = vec![("next", "/cart?open".to_owned())];
        let response = self
            .send("same-origin", Method::POST, "/oauth/begin", &next)
            .await;
        let url = Url::parse(location(&response)).expect("a URL");
        let query = url.query().expect("a query");
        axum::extract::Query::<AuthorizationRequest>::try_from_uri(
            &format!("/?{query}").parse().expect("a URI"),
        )
        .expect("an authorization request")
        .0
    }

    /// The callback with these parameters, by a redirect.
    async fn redirected(&mut self, fields: &Fields) -> Incoming {
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        let path = format!("/oauth/callback?{query}");
        self.send("cross-site", Method::GET, &path, &Vec::new())
            .await
    }

    /// The callback with these parameters, by a form.
    async fn posted(&mut self, fields: &Fields) -> Incoming {
        self.send("cross-site", Method::POST, "/oauth/callback", fields)
            .await
    }

    /// Who is signed in, and the cart.
    async fn visible(&mut self) -> String {
        let read = Handler::session(|session: Session| async move {
            let cart: Option<String> = session.get("cart")?;
            let user = session.user_id::<String>()?;
            Ok(format!("{user:?} {cart:?}"))
        });
        let request = self.browser.start(Method::GET, "/").with(read);
        request.send(&self.app).await.text().to_owned()
    }

    fn ada(&self) -> String {
        let user = format!("{}#ada", self.provider.issuer);
        format!("{:?} {:?}", Some(user), Some("hat"))
    }
}

const GUEST: &str = "None Some(\"hat\")";

#[track_caller]
fn location(response: &Incoming) -> &str {
    assert_eq!(
        response.status,
        StatusCode::SEE_OTHER,
        "{}",
        response.text()
    );
    response.headers[LOCATION].to_str().expect("ASCII")
}

#[tokio::test]
async fn a_redirect_signs_in_keeps_the_cart_and_leads_back() {
    let mut shop = Shop::open(false).await;
    let request = shop.begin().await;
    assert_eq!(shop.visible().await, GUEST);
    let response = shop.redirected(&shop.provider.approve(&request)).await;
    assert_eq!(location(&response), "/cart?open");
    assert_eq!(shop.visible().await, shop.ada());
}

#[tokio::test]
async fn a_form_signs_in_keeps_the_cart_and_leads_back() {
    let mut shop = Shop::open(true).await;
    let request = shop.begin().await;
    assert_eq!(request.response_mode.as_deref(), Some("form_post"));
    let response = shop.posted(&shop.provider.approve(&request)).await;
    assert_eq!(response.status, 200, "{}", response.text());
    let (_, link) = response.text().split_once("href=\"").expect("a link");
    let finish = link.split('"').next().expect("it ends").to_owned();
    assert_eq!(
        shop.visible().await,
        GUEST,
        "the session is another request's"
    );
    let mut other = UserAgent::new();
    let stolen = other.start_cross_site(Method::GET, &finish);
    let stolen = stolen.send(&shop.app).await;
    other.receive(&stolen);
    assert_eq!(stolen.status, 400, "another browser gains nothing");
    let response = shop
        .send("same-origin", Method::GET, &finish, &Vec::new())
        .await;
    assert_eq!(location(&response), "/cart?open");
    assert_eq!(shop.visible().await, shop.ada());
    let again = shop
        .send("same-origin", Method::GET, &finish, &Vec::new())
        .await;
    assert_eq!(again.status, 400);
}

/// The attacker has got hold of a code that was issued to the victim, and redeems it in a sign-in of their own (RFC 9700,
/// section 4.5).
#[tokio::test]
async fn an_injected_code_is_refused_by_pkce() {
    let mut shop = Shop::open(false).await;
    let victim = shop.begin().await;
    let code = shop.provider.approve(&victim).swap_remove(0);
    let attacker = shop.begin().await;
    let mut fields = shop.provider.approve(&attacker);
    fields[0] = code;
    let response = shop.redirected(&fields).await;
    assert_eq!(response.status, StatusCode::BAD_GATEWAY);
    assert_eq!(shop.visible().await, GUEST);
}

#[tokio::test]
async fn a_denied_sign_in_is_over() {
    let mut shop = Shop::open(false).await;
    let request = shop.begin().await;
    let denied = vec![
        ("error", "access_denied".to_owned()),
        ("state", request.state.clone()),
    ];
    let response = shop.redirected(&denied).await;
    assert_eq!(response.status, StatusCode::FORBIDDEN);
    let response = shop.redirected(&shop.provider.approve(&request)).await;
    assert_eq!(response.status, StatusCode::BAD_REQUEST);
    assert_eq!(shop.visible().await, GUEST);
}

#[tokio::test]
async fn another_site_cannot_begin_a_sign_in() {
    let mut shop = Shop::open(false).await;
    let response = shop
        .send("cross-site", Method::POST, "/oauth/begin", &Vec::new())
        .await;
    assert_eq!(response.status, StatusCode::FORBIDDEN);
    assert!(!response.changes_cookies());
}

#[tokio::test]
async fn a_callback_with_the_issuer_of_another_provider_is_refused() {
    let mut shop = Shop::open(false).await;
    let request = shop.begin().await;
    let mut fields = shop.provider.approve(&request);
    fields[2].1 = "https://evil.example".to_owned();
    let response = shop.redirected(&fields).await;
    assert_eq!(response.status, StatusCode::BAD_REQUEST);
    assert_eq!(shop.visible().await, GUEST);
}
