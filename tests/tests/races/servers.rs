//! Two servers on a real Redis, for concurrent requests of one session: hundreds of interleavings of
//! each race of the README.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{Request, Response, StatusCode};
use axum::routing::get;
use cloakroom::{Destroyed, EndedConcurrently, Session, SessionError, SessionRejection};
use tests::generous;
use tests::redis::RedisServer;
use tokio::sync::Notify;
use tokio::task::{JoinSet, yield_now};
use tokio::time::{sleep, timeout};
use tower::ServiceExt;

/// How long a test waits for what must happen, before it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Interleavings of each race.
pub(crate) const TRIALS: u32 = 200;

/// Two servers of one app on one Redis, and the gate of their slow handlers.
pub(crate) struct Servers {
    pub(crate) redis: RedisServer,
    pub(crate) apps: [Router; 2],
    pub(crate) gate: Arc<Gate>,
}

/// A gate at which a slow handler waits: it signals its arrival, and continues when the gate opens.
#[derive(Default)]
pub(crate) struct Gate {
    pub(crate) arrived: Notify,
    pub(crate) open: Notify,
}

impl Servers {
    pub(crate) async fn start() -> Self {
        let redis = RedisServer::start();
        let gate = Arc::<Gate>::default();
        let one = app(&redis, &gate).await;
        let two = app(&redis, &gate).await;
        Self {
            redis,
            apps: [one, two],
            gate,
        }
    }

    /// Sends a request to one of the servers.
    pub(crate) async fn send(
        &self,
        server: usize,
        path: &str,
        cookie: Option<&str>,
    ) -> TestResponse {
        send(
            self.apps[server % 2].clone(),
            path.to_owned(),
            cookie.map(str::to_owned),
        )
        .await
    }

    /// Sends requests to the servers in turn, all at once. Returns the responses in the order of their
    /// arrival.
    pub(crate) async fn race(&self, requests: Vec<(String, String)>) -> Vec<(usize, TestResponse)> {
        self.race_staggered(requests, Duration::ZERO).await
    }

    /// The same, with a pause between one request and the next.
    pub(crate) async fn race_staggered(
        &self,
        requests: Vec<(String, String)>,
        pause: Duration,
    ) -> Vec<(usize, TestResponse)> {
        let mut tasks = JoinSet::new();
        for (index, (path, cookie)) in requests.into_iter().enumerate() {
            let app = self.apps[index % 2].clone();
            tasks.spawn(async move { (index, send(app, path, Some(cookie)).await) });
            if !pause.is_zero() {
                sleep(pause).await;
            }
        }
        let mut responses = Vec::new();
        while let Some(response) = tasks.join_next().await {
            responses.push(response.expect("no request panics"));
        }
        responses
    }

    /// Creates a session, and returns its cookie.
    pub(crate) async fn begin(&self) -> String {
        let response = self.send(0, "/set/began/1", None).await;
        response.cookie.expect("a new session has a cookie")
    }

    /// The key, value and TTL of the only session.
    pub(crate) fn only_key(&self) -> (String, String, Duration) {
        let mut keys = self.redis.keys_with_ttl();
        assert_eq!(keys.len(), 1, "{keys:?}");
        let (key, ttl) = keys.remove(0);
        let stored = self.redis.command(&["GET", &key]).text();
        (key, stored, ttl.expect("every key has a TTL"))
    }

    pub(crate) async fn read(&self, key: &str, cookie: &str) -> String {
        self.send(1, &format!("/get/{key}"), Some(cookie))
            .await
            .body
    }
}

async fn app(redis: &RedisServer, gate: &Arc<Gate>) -> Router {
    let store = generous::connect(&redis.url(), "cloakroom")
        .await
        .expect("redis-server was just started");
    // Hundreds of concurrent writers of one session queue for longer than the six of a browser.
    let layer = generous::layer_builder(store)
        .with_store_timeout(Duration::from_secs(30))
        .build()
        .expect("a time limit above zero");
    Router::new()
        .route("/get/{key}", get(read))
        .route("/set/{key}/{value}", get(set))
        .route("/slow/{key}/{value}", get(set_slowly))
        .route("/hit", get(hit))
        .route("/once/{key}", get(once))
        .route("/login/{user}", get(sign_in))
        .route("/logout", get(sign_out))
        .layer(layer)
        .with_state(Arc::clone(gate))
}

async fn read(Path(key): Path<String>, session: Session) -> Result<String, SessionError> {
    Ok(session.get::<String>(&key)?.unwrap_or_default())
}

async fn set(
    Path((key, value)): Path<(String, String)>,
    session: Session,
) -> Result<(), SessionError> {
    yield_now().await;
    session.insert(&key, value)
}

async fn set_slowly(
    State(gate): State<Arc<Gate>>,
    Path((key, value)): Path<(String, String)>,
    session: Session,
) -> Result<(), SessionError> {
    gate.arrived.notify_one();
    let opened = timeout(PATIENCE, gate.open.notified()).await;
    assert!(opened.is_ok(), "nobody opens the gate");
    session.insert(&key, value)
}

async fn hit(session: Session) -> Result<(), SessionError> {
    session.update("hits", |hits: Option<u64>| hits.unwrap_or(0) + 1)?;
    Ok(())
}

async fn once(Path(key): Path<String>, session: Session) -> Result<String, SessionError> {
    let value = session.take_once::<String>(&key).await?;
    Ok(value.unwrap_or_default())
}

async fn sign_in(Path(user): Path<String>, session: Session) -> Result<(), SessionError> {
    session.insert("user", &user)?;
    session.sign_in(user).await
}

async fn sign_out(session: Result<Session, SessionRejection>) -> Result<String, SessionError> {
    Ok(match session?.destroy().await? {
        Destroyed::Ended => "ended".to_owned(),
        _ => "was over".to_owned(),
    })
}

/// What a browser sees of a response, and the extension for the server's log.
#[derive(Debug)]
pub(crate) struct TestResponse {
    pub(crate) status: StatusCode,
    /// `name=value`; an empty value removes the cookie.
    pub(crate) cookie: Option<String>,
    pub(crate) body: String,
    pub(crate) ended_concurrently: bool,
}

pub(crate) async fn send(app: Router, path: String, cookie: Option<String>) -> TestResponse {
    let mut request = Request::get(path);
    if let Some(cookie) = cookie {
        request = request.header(COOKIE, cookie);
    }
    let request = request.body(Body::empty()).expect("a valid request");
    let response: Response<Body> = app.oneshot(request).await.expect("infallible");
    let set_cookie = response.headers().get(SET_COOKIE);
    let pair = set_cookie.and_then(|value| value.to_str().ok()?.split(';').next());
    TestResponse {
        status: response.status(),
        cookie: pair.map(str::to_owned),
        ended_concurrently: response.extensions().get::<EndedConcurrently>().is_some(),
        body: {
            let bytes = to_bytes(response.into_body(), 1 << 16).await;
            String::from_utf8(bytes.expect("a short body").to_vec()).expect("text")
        },
    }
}
