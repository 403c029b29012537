//! The same app with the limits of several libraries, all by GCRA and by a header.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use cloakroom_limit::{By, Limits, Rate, RateLimitLayer};
use cloakroom_redis::RedisStore;
use http::{HeaderName, Request, Response};
use redis::aio::MultiplexedConnection;
use tower_governor::GovernorLayer;
use tower_governor::errors::GovernorError;
use tower_governor::governor::GovernorConfigBuilder;
use tower_governor::key_extractor::KeyExtractor;
use tower_rate_limit_redis::KeyResolver;

/// The header by which requests are counted.
pub(crate) const KEY: HeaderName = HeaderName::from_static("x-api-key");

const MILLISECOND: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// A limit that no request reaches, and one that all exceed: interval and burst.
const OPEN: (Duration, u16) = (MILLISECOND, 60_000);
const EXHAUSTED: (Duration, u16) = (HOUR, 1);

/// An app with a limit that allows all requests, and one with a limit that refuses all but the first.
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    pub(crate) on_redis: bool,
    pub(crate) open: Option<Router>,
    pub(crate) exhausted: Option<Router>,
}

fn app() -> Router {
    Router::new().route("/", get(|| async { "Hello" }))
}

/// All subjects; the first has no limit.
pub(crate) async fn all(url: &str) -> Vec<Subject> {
    let subject = |name, on_redis, of: &dyn Fn((Duration, u16)) -> Router| Subject {
        name,
        on_redis,
        open: Some(of(OPEN)),
        exhausted: Some(of(EXHAUSTED)),
    };
    let store = RedisStore::builder(url, "bench").with_command_timeout(Duration::from_secs(10));
    let store = store.connect().await.expect("the server is running");
    let client = redis::Client::open(url).expect("a URL");
    let connection = client.get_multiplexed_async_connection().await;
    let connection = connection.expect("the server is running");
    let (memory, stored) = (Limits::in_memory(), Limits::new(&store));
    vec![
        Subject {
            name: "none",
            on_redis: false,
            open: Some(app()),
            exhausted: None,
        },
        subject("cloakroom-limit, in memory", false, &|limit| {
            ours(&memory, limit, true)
        }),
        subject(
            "cloakroom-limit, in memory, without headers",
            false,
            &|limit| ours(&memory, limit, false),
        ),
        subject("tower_governor", false, &governor),
        subject("cloakroom-limit, on Redis", true, &|limit| {
            ours(&stored, limit, true)
        }),
        subject("tower-rate-limit-redis", true, &|limit| {
            on_redis(connection.clone(), limit)
        }),
    ]
}

fn ours(limits: &Limits, (interval, burst): (Duration, u16), headers: bool) -> Router {
    let burst = u32::from(burst);
    let name = format!("{burst}-{headers}");
    let mut builder = RateLimitLayer::builder(limits)
        .with_limit(Rate::new(name, burst, interval * burst), By::header(KEY));
    if !headers {
        builder = builder.without_headers();
    }
    app().layer(builder.build().expect("a valid configuration"))
}

#[derive(Clone, Debug)]
struct ByHeader;

fn key_of<T>(request: &Request<T>) -> String {
    let value = request.headers().get(KEY).expect("a key");
    value.to_str().expect("ASCII").to_owned()
}

impl KeyExtractor for ByHeader {
    type Key = String;

    fn extract<T>(&self, request: &Request<T>) -> Result<String, GovernorError> {
        Ok(key_of(request))
    }
}

fn governor((interval, burst): (Duration, u16)) -> Router {
    let config = GovernorConfigBuilder::default()
        .period(interval)
        .burst_size(u32::from(burst))
        .key_extractor(ByHeader)
        .finish();
    let config = Arc::new(config.expect("a valid configuration"));
    app().layer(GovernorLayer::new(config))
}

fn on_redis(connection: MultiplexedConnection, (interval, burst): (Duration, u16)) -> Router {
    let layer = tower_rate_limit_redis::RateLimitLayer::builder()
        .conn(connection)
        .key_resolver(ByHeaderAnd(burst))
        .capacity(burst)
        .emission_interval(interval)
        .timeout(Duration::from_secs(10))
        .build();
    app().route_layer(layer)
}

/// Keys of their own for each limit.
#[derive(Clone)]
struct ByHeaderAnd(u16);

impl KeyResolver for ByHeaderAnd {
    type Key = String;
    type ErrorBody = Body;

    fn key<T>(&self, request: &Request<T>) -> Result<String, Response<Body>> {
        Ok(format!("{}:{}", self.0, key_of(request)))
    }
}
