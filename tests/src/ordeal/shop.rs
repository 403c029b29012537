//! The app of the ordeals. Each of its handlers answers `none` if there is no session.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Path;
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{Request, Response, StatusCode};
use axum::routing::get;
use cloakroom::{EndedMeanwhile, Session, SessionError, SessionLayer};
use cloakroom_redis::RedisStore;
use serde::{Deserialize, Serialize};
use tower::ServiceExt;

/// What a session holds, as its visitor sees it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Seen {
    /// Whose it is.
    pub(super) mark: u64,
    pub(super) hits: u64,
    pub(super) notes: Vec<u32>,
}

/// What a visitor sees of an answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// `name=value`; an empty value removes the cookie.
    pub(super) cookie: Option<String>,
    /// `None`: there was no session.
    pub(super) seen: Option<Seen>,
}

pub(super) async fn open(url: &str) -> Router {
    let store = RedisStore::connect(url).await;
    let layer = SessionLayer::new(store.expect("that Redis works"));
    Router::new()
        .route("/begin/{mark}", get(begin))
        .route("/look", get(look))
        .route("/hit", get(hit))
        .route("/note/{note}", get(note))
        .route("/renew", get(renew))
        .route("/leave", get(leave))
        .layer(layer)
}

pub(super) async fn ask(server: Router, path: String, cookie: Option<String>) -> Answer {
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
    // What was edited went nowhere, and the answer tells it.
    let went_nowhere = response.extensions().get::<EndedMeanwhile>().is_some();
    let body = to_bytes(response.into_body(), 1 << 16).await;
    let body = body.expect("a short body");
    let seen = serde_json::from_slice(&body).ok().filter(|_| !went_nowhere);
    Answer {
        status,
        cookie,
        seen,
    }
}

type Said = Result<String, SessionError>;

async fn begin(Path(mark): Path<u64>, session: Session) -> Said {
    session.insert("mark", mark)?;
    say(&session)
}

async fn look(session: Session) -> Said {
    say(&session)
}

async fn hit(session: Session) -> Said {
    if session.contains("mark") {
        session.update("hits", |hits: Option<u64>| hits.unwrap_or(0) + 1)?;
    }
    say(&session)
}

async fn note(Path(note): Path<u32>, session: Session) -> Said {
    if session.contains("mark") {
        session.insert(format!("note {note}"), true)?;
    }
    say(&session)
}

async fn renew(session: Session) -> Said {
    if session.contains("mark") {
        session.renew()?;
    }
    say(&session)
}

async fn leave(session: Session) -> Said {
    let said = say(&session)?;
    session.destroy().await?;
    Ok(said)
}

fn say(session: &Session) -> Said {
    let Some(mark) = session.get("mark")? else {
        return Ok("none".to_owned());
    };
    let keys = session.keys();
    let note = |key: &str| key.strip_prefix("note ")?.parse().ok();
    let seen = Seen {
        mark,
        hits: session.get("hits")?.unwrap_or(0),
        notes: keys.iter().filter_map(|key| note(key)).collect(),
    };
    Ok(serde_json::to_string(&seen).expect("numbers are JSON"))
}
