//! The app under load. Each of its handlers responds `none` if there is no session.

use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Path;
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{Request, Response, StatusCode};
use axum::routing::get;
use cloakroom::{EndedConcurrently, Session, SessionError, SessionLayer};
use cloakroom_redis::RedisStore;
use serde::{Deserialize, Serialize};
use tower::ServiceExt;

use super::PATIENCE;

/// What a session holds, as its client sees it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SessionView {
    /// Identifies the client and its session.
    pub(super) owner: u64,
    pub(super) hits: u64,
    pub(super) notes: Vec<u32>,
}

/// What a client sees of a response.
#[derive(Debug)]
pub(super) struct TestResponse {
    pub(super) status: StatusCode,
    /// `name=value`; an empty value removes the cookie.
    pub(super) cookie: Option<String>,
    /// `None` if there was no session.
    pub(super) seen: Option<SessionView>,
}

/// How long the app waits for the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimeLimits {
    /// As an app has them that sets none.
    Default,
    /// So long that no request fails only because the machine is busy.
    Generous,
}

/// The generous limit of a request, and of a command.
const GENEROUS: Duration = Duration::from_secs(10);

impl TimeLimits {
    /// How long a request may wait for the store.
    pub(super) const fn of_a_request(self) -> Duration {
        match self {
            Self::Default => Duration::from_secs(1),
            Self::Generous => GENEROUS,
        }
    }
}

pub(super) async fn start(url: &str, limits: TimeLimits) -> Router {
    let mut builder = SessionLayer::builder(connect(url, limits).await);
    if limits == TimeLimits::Generous {
        builder = builder.with_store_timeout(GENEROUS);
    }
    let layer = builder.build().expect("a valid configuration");
    Router::new()
        .route("/begin/{owner}", get(begin))
        .route("/read", get(read))
        .route("/increment", get(increment))
        .route("/note/{note}", get(note))
        .route("/renew", get(renew))
        .route("/destroy", get(destroy))
        .layer(layer)
}

/// Connects, again and again for as long as a busy machine may need.
async fn connect(url: &str, limits: TimeLimits) -> RedisStore {
    let began = Instant::now();
    loop {
        let mut builder = RedisStore::builder(url, "cloakroom");
        if limits == TimeLimits::Generous {
            builder = builder.with_command_timeout(GENEROUS);
        }
        match builder.connect().await {
            Ok(store) => return store,
            Err(error) => assert!(began.elapsed() < PATIENCE, "Redis does not work: {error}"),
        }
    }
}

pub(super) async fn send_request(
    server: Router,
    path: String,
    cookie: Option<String>,
) -> TestResponse {
    let mut request = Request::get(path);
    if let Some(cookie) = cookie {
        request = request.header(COOKIE, cookie);
    }
    let request = request.body(Body::empty()).expect("a valid request");
    let response: Response<Body> = server.oneshot(request).await.expect("infallible");
    let set_cookie = response.headers().get(SET_COOKIE);
    let pair = set_cookie.and_then(|value| value.to_str().ok()?.split(';').next());
    let cookie = pair.map(str::to_owned);
    let status = response.status();
    // The edits were dropped, and the response says so.
    let was_dropped = response.extensions().get::<EndedConcurrently>().is_some();
    let body = to_bytes(response.into_body(), 1 << 16).await;
    let body = body.expect("a short body");
    let seen = serde_json::from_slice(&body).ok().filter(|_| !was_dropped);
    TestResponse {
        status,
        cookie,
        seen,
    }
}

type ViewResult = Result<String, SessionError>;

async fn begin(Path(owner): Path<u64>, session: Session) -> ViewResult {
    session.insert("owner", owner)?;
    render(&session)
}

async fn read(session: Session) -> ViewResult {
    render(&session)
}

async fn increment(session: Session) -> ViewResult {
    if session.contains("owner") {
        session.update("hits", |hits: Option<u64>| hits.unwrap_or(0) + 1)?;
    }
    render(&session)
}

async fn note(Path(note): Path<u32>, session: Session) -> ViewResult {
    if session.contains("owner") {
        session.insert(format!("note {note}"), true)?;
    }
    render(&session)
}

async fn renew(session: Session) -> ViewResult {
    if session.contains("owner") {
        session.renew()?;
    }
    render(&session)
}

async fn destroy(session: Session) -> ViewResult {
    let view = render(&session)?;
    session.destroy().await?;
    Ok(view)
}

fn render(session: &Session) -> ViewResult {
    let Some(owner) = session.get("owner")? else {
        return Ok("none".to_owned());
    };
    let keys = session.keys();
    let note = |key: &str| key.strip_prefix("note ")?.parse().ok();
    let seen = SessionView {
        owner,
        hits: session.get("hits")?.unwrap_or(0),
        notes: keys.iter().filter_map(|key| note(key)).collect(),
    };
    Ok(serde_json::to_string(&seen).expect("numbers are JSON"))
}
