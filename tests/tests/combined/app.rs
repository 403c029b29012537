//! A small shop with a cart and users, on the native session.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Extension, Path};
use axum::routing::{get, post};
use axum::{Router, response::IntoResponse};
use cloakroom::{
    Destroyed, EndedConcurrently, Expiry, RevokedBy, Session, SessionError, Sessions, hours,
};
use tests::user_agent::Incoming;
use tokio::sync::Barrier;
use tokio::time::timeout;

/// The marks that requests may leave in a session.
pub(crate) const MARKS: [&str; 6] = ["a", "b", "c", "d", "f", "s"];

/// What a page shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Who is signed in; empty if nobody is.
    pub(crate) user: String,
    /// What is in the cart; empty if nothing is.
    pub(crate) cart: String,
    /// The marks, in their order; one that another user has left has a `!` before it.
    pub(crate) marks: String,
}

impl Seen {
    pub(crate) fn to_text(&self) -> String {
        format!("{}|{}|{}", self.user, self.cart, self.marks)
    }

    /// Parses the page `/me`.
    #[track_caller]
    pub(crate) fn of(page: &Incoming) -> Self {
        assert_eq!(page.status, 200, "{}", page.text());
        let mut parts = page.text().split('|').map(str::to_owned);
        let mut next = || parts.next().expect("a part");
        Self {
            user: next(),
            cart: next(),
            marks: next(),
        }
    }
}

/// Where requests wait for each other, after they have loaded their session.
#[derive(Clone, Debug)]
pub(crate) struct Meeting(Arc<Barrier>);

impl Meeting {
    pub(crate) fn of(requests: usize) -> Self {
        Self(Arc::new(Barrier::new(requests)))
    }

    /// Waits for the others, unless they never come.
    pub(crate) async fn wait(&self) {
        drop(timeout(Duration::from_secs(5), self.0.wait()).await);
    }
}

pub(crate) type Meet = Option<Extension<Meeting>>;

pub(crate) async fn meet(meeting: Meet) {
    if let Some(Extension(meeting)) = meeting {
        meeting.wait().await;
    }
}

/// Whether a response says that edits were not saved, since the session had ended.
pub(crate) fn edits_dropped(response: &Incoming) -> bool {
    response.extensions.get::<EndedConcurrently>().is_some()
}

/// All pages.
pub(crate) fn whole() -> Router {
    edits().merge(users())
}

/// The pages that edit a session.
pub(crate) fn edits() -> Router {
    Router::new()
        .route("/cart/{item}", post(cart))
        .route("/mark/{mark}", post(mark))
        .route("/renew/{mark}", post(renew))
        .route("/save/{mark}", post(save))
        .route("/update-now/{mark}", post(update_now))
        .route("/live-for/{seconds}", post(live_for))
        .route("/app/mark/{mark}", post(mark))
        .route("/app/renew/{mark}", post(renew))
        .route("/app/cart/{item}", post(cart))
}

/// The pages about users.
pub(crate) fn users() -> Router {
    Router::new()
        .route("/me", get(me))
        .route("/app/me", get(me))
        .route("/sign-in/{user}/{mark}", post(sign_in))
        .route("/app/sign-in/{user}/{mark}", post(sign_in))
        .route("/idle-for/{seconds}", post(idle_for))
        .route("/slow/{millis}", post(slow))
        .route("/sign-out", post(sign_out))
        .route("/app/sign-out", post(sign_out))
        .route("/app/destroy", post(destroy))
        .route("/destroy", post(destroy))
        .route("/revoke-all/{user}", post(revoke_all))
        .route("/revoke-others", post(revoke_others))
        .route("/revoke-others-late", post(revoke_others_late))
}

async fn me(session: Session) -> Result<String, SessionError> {
    let mut seen = Seen {
        user: session
            .user()
            .map(|user| user.to_string())
            .unwrap_or_default(),
        cart: session.get("cart")?.unwrap_or_default(),
        marks: String::new(),
    };
    for mark in MARKS {
        let left_by: Option<String> = session.get(format!("mark-{mark}").as_str())?;
        let Some(left_by) = left_by else { continue };
        if !left_by.is_empty() && left_by != owner(&session) {
            seen.marks.push('!');
        }
        seen.marks.push_str(mark);
    }
    Ok(seen.to_text())
}

/// What a mark holds: who was signed in when it was left. In capitals, so that only a session in which
/// somebody is signed in contains the user's name.
fn owner(session: &Session) -> String {
    let user = session.user().map(|user| user.to_string());
    user.unwrap_or_default().to_uppercase()
}

fn leave(session: &Session, mark: &str) -> Result<(), SessionError> {
    session.insert(format!("mark-{mark}").as_str(), owner(session))
}

async fn cart(session: Session, Path(item): Path<String>) -> Result<(), SessionError> {
    session.insert("cart", item)
}

async fn mark(
    session: Session,
    meeting: Meet,
    Path(mark): Path<String>,
) -> Result<(), SessionError> {
    meet(meeting).await;
    leave(&session, &mark)
}

async fn renew(
    session: Session,
    meeting: Meet,
    Path(mark): Path<String>,
) -> Result<(), SessionError> {
    meet(meeting).await;
    session.renew()?;
    leave(&session, &mark)
}

async fn live_for(session: Session, Path(seconds): Path<u64>) -> Result<(), SessionError> {
    let life = Duration::from_secs(seconds);
    session.set_expiry(Expiry::idle(life).absolute(life))
}

/// With the absolute timeout of an hour.
async fn idle_for(session: Session, Path(seconds): Path<u64>) -> Result<(), SessionError> {
    let idle = Duration::from_secs(seconds);
    session.set_expiry(Expiry::idle(idle).absolute(hours(1)))
}

/// Takes a while after it has loaded the session.
async fn slow(session: Session, Path(millis): Path<u64>) -> Result<String, SessionError> {
    tokio::time::sleep(Duration::from_millis(millis)).await;
    Ok(session.require_user()?.to_string())
}

async fn save(session: Session, Path(mark): Path<String>) -> Result<String, SessionError> {
    leave(&session, &mark)?;
    Ok(format!("{:?}", session.save().await?))
}

async fn update_now(session: Session, Path(mark): Path<String>) -> Result<(), SessionError> {
    let (key, owner) = (format!("mark-{mark}"), owner(&session));
    session
        .update_now(key.as_str(), move |_: Option<String>| owner.clone())
        .await?;
    Ok(())
}

async fn sign_in(
    session: Session,
    meeting: Meet,
    Path((user, mark)): Path<(String, String)>,
) -> Result<(), SessionError> {
    meet(meeting).await;
    session.sign_in(user).await?;
    leave(&session, &mark)
}

fn ended(outcome: Destroyed) -> &'static str {
    match outcome {
        Destroyed::Ended => "ended",
        Destroyed::AlreadyEnded => "already ended",
        Destroyed::NoSession => "no session",
        other => unreachable!("a new outcome: {other:?}"),
    }
}

async fn sign_out(session: Session, meeting: Meet) -> Result<impl IntoResponse, SessionError> {
    meet(meeting).await;
    Ok(ended(session.sign_out().await?))
}

async fn destroy(session: Session, meeting: Meet) -> Result<impl IntoResponse, SessionError> {
    meet(meeting).await;
    Ok(ended(session.destroy().await?))
}

async fn revoke_all(sessions: Sessions, Path(user): Path<String>) -> Result<String, SessionError> {
    Ok(sessions
        .revoke_all(user, RevokedBy::User)
        .await?
        .to_string())
}

async fn revoke_others(session: Session, sessions: Sessions) -> Result<String, SessionError> {
    if session.user().is_none() {
        return Ok("0".to_owned());
    }
    Ok(sessions.revoke_others(&session).await?.to_string())
}

/// The same, between two meetings: the session is loaded before the first.
async fn revoke_others_late(
    session: Session,
    sessions: Sessions,
    Extension(meeting): Extension<Meeting>,
) -> Result<String, SessionError> {
    meeting.wait().await;
    meeting.wait().await;
    Ok(sessions.revoke_others(&session).await?.to_string())
}
