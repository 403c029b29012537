//! The tower layer: by what requests are counted, and what responses look like.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::routing::get;
use axum::{Extension, Router};
use cloakroom::{ClientAddress, MemoryStore, ProxyHeader, Session, SessionLayer};
use cloakroom_limit::{
    By, Decision, Fallback, Limits, Rate, RateLimitLayer, RateLimitLayerBuilder,
};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, COOKIE, RETRY_AFTER, SET_COOKIE};
use http::{HeaderName, Request, Response, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tests::redis::RedisServer;
use tower::ServiceExt;

use crate::setup::{LONG, store};

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

fn address() -> ClientAddress {
    let address = ClientAddress::new(|extensions| {
        let info = extensions.get::<ConnectInfo<SocketAddr>>()?;
        Some(info.0.ip())
    });
    let trusted = "10.0.0.0/8".parse().expect("a network");
    address.trusting_proxies([trusted], ProxyHeader::XForwardedFor)
}

fn builder() -> RateLimitLayerBuilder {
    RateLimitLayer::builder(&Limits::in_memory())
}

fn app(builder: RateLimitLayerBuilder) -> Router {
    let layer = builder.build().expect("a valid configuration");
    Router::new()
        .route("/", get(|| async { "Hello" }))
        .layer(layer)
}

fn request(peer: &str, headers: &[(HeaderName, &str)]) -> Request<Body> {
    let mut request = Request::get("/").body(Body::empty()).expect("a request");
    let peer: IpAddr = peer.parse().expect("an address");
    let info = ConnectInfo(SocketAddr::from((peer, 4711)));
    request.extensions_mut().insert(info);
    for (name, value) in headers {
        let value = value.parse().expect("a header");
        request.headers_mut().append(name, value);
    }
    request
}

async fn send(app: &Router, request: Request<Body>) -> Response<String> {
    let response = app.clone().oneshot(request).await.expect("infallible");
    let (parts, body) = response.into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    Response::from_parts(parts, String::from_utf8_lossy(&body).into_owned())
}

async fn status(app: &Router, peer: &str, headers: &[(HeaderName, &str)]) -> StatusCode {
    send(app, request(peer, headers)).await.status()
}

fn header<'a, B>(response: &'a Response<B>, name: &str) -> &'a str {
    let value = response.headers().get(name);
    value.map_or("", |value| value.to_str().expect("ASCII"))
}

#[tokio::test]
async fn responses_have_the_headers_of_the_draft_and_a_refusal_a_problem() {
    let day = Duration::from_secs(24 * 60 * 60);
    let builder = builder()
        .with_limit(
            Rate::new("burst", 6, day).with_burst(2),
            By::address(address()),
        )
        .with_limit(Rate::fixed_window("daily", 100, day), By::everyone());
    let app = app(builder.with_limit(Rate::new("trial", 1, day).report_only(), By::everyone()));
    let first = send(&app, request("192.0.2.1", &[])).await;
    assert_eq!(first.status(), StatusCode::OK);
    assert_eq!(first.body(), "Hello");
    let policy = r#""burst";q=6;w=86400, "daily";q=100;w=86400"#;
    assert_eq!(header(&first, "ratelimit-policy"), policy);
    let state = header(&first, "ratelimit");
    assert!(state.starts_with(r#""burst";r=1;t=14"#), "{state}");
    assert!(state.contains(r#""daily";r=99;t=86"#), "{state}");
    assert_eq!(header(&first, "retry-after"), "");

    let _ = send(&app, request("192.0.2.1", &[])).await;
    let refused = send(&app, request("192.0.2.1", &[])).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    let wait: u64 = header(&refused, "retry-after").parse().expect("seconds");
    assert!((14_000..=14_400).contains(&wait), "{wait}");
    assert!(header(&refused, "ratelimit").contains(r#""burst";r=0;t=14"#));
    assert!(
        header(&refused, "ratelimit").contains(r#""daily";r=98"#),
        "not charged"
    );
    assert_eq!(header(&refused, "content-type"), "application/problem+json");
    assert_eq!(header(&refused, "cache-control"), "no-store");
    let problem: Value = serde_json::from_str(refused.body()).expect("JSON");
    let expected = json!({
        "type": "https://iana.org/assignments/http-problem-types#quota-exceeded",
        "title": "Request cannot be satisfied as assigned quota has been exceeded",
        "status": 429,
        "violated-policies": ["burst"],
    });
    assert_eq!(problem, expected);
    let all = format!("{:?}{}", refused.headers(), refused.body());
    assert!(
        !all.contains("192.0.2") && !all.contains("pk=") && !all.contains("trial"),
        "{all}"
    );
}

#[tokio::test]
async fn the_app_shapes_the_response_and_can_leave_the_headers_out() {
    let builder = builder()
        .with_limit(Rate::new("one", 1, LONG), By::everyone())
        .without_headers()
        .with_response(|decision, parts| {
            let text = format!("{} {}", parts.uri.path(), decision.limits()[0].name());
            let mut response = Response::new(text.into());
            *response.status_mut() = StatusCode::IM_A_TEAPOT;
            response
        });
    let app = app(builder);
    assert_eq!(status(&app, "192.0.2.1", &[]).await, StatusCode::OK);
    let refused = send(&app, request("192.0.2.1", &[])).await;
    assert_eq!(refused.status(), StatusCode::IM_A_TEAPOT);
    assert_eq!(refused.body(), "/ one");
    assert!(refused.headers().contains_key(RETRY_AFTER));
    assert!(refused.headers().contains_key(CACHE_CONTROL));
    assert!(!refused.headers().contains_key(CONTENT_TYPE));
    assert_eq!(header(&refused, "ratelimit"), "");
}

#[tokio::test]
async fn addresses_are_counted_one_by_one_and_ipv6_by_network() {
    let app = app(builder().with_limit(Rate::new("one", 1, LONG), By::address(address())));
    let forwarded = |chain| [(HeaderName::from_static("x-forwarded-for"), chain)];
    for (peer, chain, expected) in [
        ("192.0.2.1", "", 200),
        ("192.0.2.1", "", 429),
        ("192.0.2.2", "", 200),
        // An untrusted peer cannot choose another address.
        ("192.0.2.2", "192.0.2.99", 429),
        // A trusted proxy can, from the right.
        ("10.0.0.1", "192.0.2.3", 200),
        ("10.0.0.1", "6.6.6.6, 192.0.2.3", 429),
        ("10.0.0.2", "7.7.7.7, 192.0.2.3", 429),
        ("2001:db8:1:2::1", "", 200),
        ("2001:db8:1:2:ffff::9", "", 429),
        ("2001:db8:1:3::1", "", 200),
        ("::ffff:192.0.2.1", "", 429),
    ] {
        let headers = forwarded(chain);
        let headers = if chain.is_empty() { &[][..] } else { &headers };
        let found = status(&app, peer, headers).await;
        assert_eq!(found, expected, "{peer} {chain}");
    }
}

#[tokio::test]
async fn requests_without_a_key_are_counted_together_or_by_another_key() {
    let rate = || Rate::new("one", 1, LONG);
    let together = app(builder().with_limit(rate(), By::header(API_KEY)));
    assert_eq!(status(&together, "192.0.2.1", &[(API_KEY, "a")]).await, 200);
    assert_eq!(status(&together, "192.0.2.1", &[(API_KEY, "a")]).await, 429);
    assert_eq!(status(&together, "192.0.2.1", &[(API_KEY, "b")]).await, 200);
    assert_eq!(status(&together, "192.0.2.1", &[]).await, 200);
    assert_eq!(status(&together, "192.0.2.2", &[]).await, 429);

    let by = By::header(API_KEY).or(By::address(address()));
    let or_address = app(builder().with_limit(rate(), by));
    assert_eq!(status(&or_address, "192.0.2.1", &[]).await, 200);
    assert_eq!(status(&or_address, "192.0.2.2", &[]).await, 200);
    assert_eq!(status(&or_address, "192.0.2.2", &[]).await, 429);

    let by = By::request(|parts| parts.uri.query().map(str::to_owned));
    let by_query = app(builder().with_limit(rate(), by));
    assert_eq!(status(&by_query, "192.0.2.1", &[]).await, 200);
    assert_eq!(status(&by_query, "192.0.2.1", &[]).await, 429);
}

/// An app in which signing in is not limited, and its pages are by user or by session.
fn app_with_sessions(by: By) -> Router {
    let layer = builder()
        .with_limit(Rate::new("two", 2, LONG), by)
        .build()
        .expect("a valid configuration");
    Router::new()
        .route("/", get(|_: Session| async { "Hello" }))
        .layer(layer)
        .route(
            "/sign-in",
            get(|session: Session| async move {
                let signed_in = session.sign_in("ada").await;
                signed_in.map(drop)
            }),
        )
        .layer(SessionLayer::new(MemoryStore::new()))
}

async fn sign_in(app: &Router) -> String {
    let request = Request::get("/sign-in").body(Body::empty());
    let response = send(app, request.expect("a request")).await;
    assert_eq!(response.status(), StatusCode::OK);
    let cookie = header(&response, SET_COOKIE.as_str());
    cookie.split(';').next().expect("a pair").to_owned()
}

#[tokio::test]
async fn a_user_has_one_limit_in_all_sessions_and_a_session_one_of_its_own() {
    let per_user = app_with_sessions(By::user().or(By::address(address())));
    let cookies = [sign_in(&per_user).await, sign_in(&per_user).await];
    let at = |cookie: &str| request("192.0.2.1", &[(COOKIE, cookie)]);
    for (cookie, expected) in [(0, 200), (1, 200), (0, 429), (1, 429)] {
        let response = send(&per_user, at(&cookies[cookie])).await;
        assert_eq!(response.status(), expected);
    }
    // Nobody is signed in: by address.
    assert_eq!(status(&per_user, "192.0.2.1", &[]).await, 200);

    let per_session = app_with_sessions(By::session().or(By::address(address())));
    let cookies = [sign_in(&per_session).await, sign_in(&per_session).await];
    for (cookie, expected) in [(0, 200), (1, 200), (0, 200), (1, 200), (0, 429), (1, 429)] {
        let response = send(&per_session, at(&cookies[cookie])).await;
        assert_eq!(response.status(), expected);
    }
    // Made-up cookies do not give new limits.
    let mut count = 0;
    for number in 0..6 {
        let (name, value) = cookies[0].split_once('=').expect("a pair");
        let forged = format!("{name}={}{number}", &value[..value.len() - 1]);
        count += u32::from(send(&per_session, at(&forged)).await.status() == 200);
    }
    assert!(count <= 2, "{count} of two for the address");
}

#[tokio::test]
async fn a_request_costs_what_the_app_says_and_a_free_one_is_not_limited() {
    let builder = builder()
        .with_limit(Rate::new("ten", 10, LONG), By::everyone())
        .with_cost(|parts| {
            if parts.uri.query() == Some("free") {
                0
            } else {
                6
            }
        });
    let app = app(builder);
    let free = || {
        Request::get("/?free")
            .body(Body::empty())
            .expect("a request")
    };
    assert_eq!(status(&app, "192.0.2.1", &[]).await, 200);
    assert_eq!(status(&app, "192.0.2.1", &[]).await, 429);
    for _ in 0..5 {
        assert_eq!(send(&app, free()).await.status(), 200);
    }
}

#[tokio::test]
async fn the_handler_sees_the_decision_and_two_layers_their_headers() {
    let limits = Limits::in_memory();
    let layer = |name: &str, quota| {
        RateLimitLayer::builder(&limits)
            .with_limit(Rate::new(name, quota, LONG), By::everyone())
            .build()
            .expect("a valid configuration")
    };
    let left = |Extension(decision): Extension<Decision>| async move {
        decision.limits()[0].remaining().to_string()
    };
    let app = Router::new()
        .route("/", get(left))
        .layer(layer("inner", 5))
        .layer(layer("outer", 9));
    let response = send(&app, request("192.0.2.1", &[])).await;
    assert_eq!(response.body(), "4");
    let values = response.headers().get_all("ratelimit").iter();
    let values: Vec<_> = values.filter_map(|value| value.to_str().ok()).collect();
    assert_eq!(values.len(), 2, "{values:?}");
    assert!(values[0].starts_with("\"inner\";r=4") && values[1].starts_with("\"outer\";r=8"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_a_denied_request_is_a_503_with_retry_after() {
    let mut server = RedisServer::start();
    let limits = Limits::new(&store(&server.url(), Duration::from_millis(250)).await);
    let builder = RateLimitLayer::builder(&limits)
        .with_limit(Rate::new("one", 1, LONG), By::everyone())
        .with_fallback(Fallback::Deny);
    let app = app(builder);
    assert_eq!(status(&app, "192.0.2.1", &[]).await, 200);
    server.kill();
    let other = RateLimitLayer::builder(&limits)
        .with_limit(Rate::new("other", 1, LONG), By::everyone())
        .with_fallback(Fallback::Deny);
    let response = send(&self::app(other), request("192.0.2.1", &[])).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(header(&response, "retry-after"), "1");
    let problem: Value = serde_json::from_str(response.body()).expect("JSON");
    let kind = "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity";
    assert_eq!(problem["type"], kind);
}

#[test]
fn a_layer_without_limits_or_with_two_of_one_name_is_an_error() {
    let error = builder().build().unwrap_err();
    assert_eq!(error.option(), "with_limit");
    let one = || Rate::new("one", 1, LONG);
    let twice = builder().with_limit(one(), By::everyone());
    let twice = twice.with_limit(one(), By::everyone());
    assert!(
        twice
            .build()
            .unwrap_err()
            .to_string()
            .contains("two limits")
    );
    let many = (0..17).fold(builder(), |builder, number| {
        builder.with_limit(Rate::new(number.to_string(), 1, LONG), By::everyone())
    });
    assert!(many.build().unwrap_err().to_string().contains("16"));
    let nobody = builder().with_limit(one(), By::everyone());
    let nobody = nobody.with_fallback(Fallback::Local { servers: 0 });
    assert_eq!(nobody.build().unwrap_err().option(), "with_fallback");
}
