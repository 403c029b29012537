//! The app: a handler that does what the request asks for, behind a session layer.

use std::convert::Infallible;
use std::time::Duration;

use cloakroom::{
    EditsDiscarded, EndedConcurrently, LazySession, RevokedBy, Session, SessionError,
    SessionErrorKind, SessionId, SessionLayer,
};
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderValue, Request, Response};
use tokio::time::sleep;
use tower::util::BoxCloneSyncService;
use tower::{Layer, ServiceExt, service_fn};

use crate::history::{Action, Outcome, User};

/// What a request asks of the handler.
#[derive(Clone, Copy, Debug)]
pub struct Task {
    /// The number that it appends.
    pub number: u32,
    /// What it does.
    pub action: Action,
    /// How long the handler works between loading the session and using it.
    pub pause: Duration,
}

/// A session with what is in it.
#[derive(Clone, Debug)]
pub struct FoundSession {
    /// The session.
    pub id: SessionId,
    /// Who is signed in.
    pub user: Option<User>,
    /// The list.
    pub list: Vec<u32>,
    /// The mailbox.
    pub mailbox: Vec<u32>,
    /// The counter.
    pub count: u64,
}

/// What the handler has found and done.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The session that was found.
    pub found: Option<FoundSession>,
    /// The session afterwards.
    pub after: Option<SessionId>,
    /// What was taken from the mailbox.
    pub taken: Vec<u32>,
    /// The sessions in a list.
    pub listed: Vec<SessionId>,
}

/// A response, as a client sees it.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What is known of the effect.
    pub outcome: Outcome,
    /// The handler's report, unless it has failed.
    pub report: Report,
    /// The value of the cookie that is set: empty if it is removed.
    pub cookie: Option<String>,
}

/// One server of the app.
#[derive(Clone, Debug)]
pub struct App(BoxCloneSyncService<Request<Task>, Answer, Infallible>);

impl App {
    /// Creates the app on a session layer.
    #[must_use]
    pub fn new(layer: &SessionLayer) -> Self {
        let service = layer.layer(service_fn(handle));
        let service = service.map_response(|response| {
            let outcome = outcome(&response);
            let cookie = response.headers().get(SET_COOKIE).and_then(value_of);
            let report = response.into_body().into_inner().unwrap_or_default();
            Answer {
                outcome,
                report,
                cookie,
            }
        });
        Self(BoxCloneSyncService::new(service))
    }

    /// Sends a request with the value of the session's cookie.
    ///
    /// # Panics
    ///
    /// If the value cannot be in a header: it is none that a response has set.
    pub async fn send(&self, task: Task, cookie: Option<&str>) -> Answer {
        let mut request = Request::new(task);
        if let Some(cookie) = cookie {
            let header = format!("{}={cookie}", cloakroom::CookieConfig::DEFAULT_NAME);
            let header = HeaderValue::try_from(header).expect("a token is ASCII");
            request.headers_mut().insert(COOKIE, header);
        }
        let sent = self.0.clone().oneshot(request).await;
        sent.unwrap_or_else(|infallible| match infallible {})
    }
}

fn outcome<B>(response: &Response<B>) -> Outcome {
    let extensions = response.extensions();
    if let Some(error) = extensions.get::<SessionError>() {
        return match error.kind() {
            SessionErrorKind::OutcomeUnknown | SessionErrorKind::NotReplicated => Outcome::Unknown,
            _ => Outcome::Refused,
        };
    }
    let is_discarded = extensions.get::<EndedConcurrently>().is_some()
        || extensions.get::<EditsDiscarded>().is_some();
    if is_discarded {
        Outcome::Refused
    } else {
        Outcome::Done
    }
}

/// The value in a `Set-Cookie` header.
fn value_of(header: &HeaderValue) -> Option<String> {
    let (_, rest) = header.to_str().ok()?.split_once('=')?;
    Some(rest.split(';').next().unwrap_or_default().to_owned())
}

async fn handle(request: Request<Task>) -> Result<Response<Report>, Infallible> {
    let lazy = request.extensions().get::<LazySession>().cloned();
    let lazy = lazy.expect("the layer adds it");
    let task = *request.body();
    Ok(run(&lazy, task).await.unwrap_or_else(|error| {
        let mut response = Response::new(Report::default());
        *response.status_mut() = error.status();
        response.extensions_mut().insert(error);
        response
    }))
}

async fn run(lazy: &LazySession, task: Task) -> Result<Response<Report>, SessionError> {
    let sessions = lazy.sessions();
    let mut report = Report::default();
    match task.action {
        Action::RevokeAll(user) => {
            sessions.revoke_all(user, RevokedBy::Admin).await?;
            return Ok(Response::new(report));
        }
        Action::RevokeEveryone => {
            sessions.revoke_everyone().await?;
            return Ok(Response::new(report));
        }
        Action::List(user) => {
            let listed = sessions.list(user).await?;
            report.listed = listed.iter().map(cloakroom::SessionInfo::id).collect();
            return Ok(Response::new(report));
        }
        _ => {}
    }
    let session = lazy.load().await?;
    report.found = found(&session)?;
    if !task.pause.is_zero() {
        sleep(task.pause).await;
    }
    if task.action == Action::Take {
        report.taken = session.take_once("mailbox").await?.unwrap_or_default();
    }
    act(&session, &sessions, task).await?;
    report.after = session.id();
    Ok(Response::new(report))
}

fn found(session: &Session) -> Result<Option<FoundSession>, SessionError> {
    let Some(id) = session.id() else {
        return Ok(None);
    };
    Ok(Some(FoundSession {
        id,
        user: session.user_id()?,
        list: session.get("list")?.unwrap_or_default(),
        mailbox: session.get("mailbox")?.unwrap_or_default(),
        count: session.get("count")?.unwrap_or_default(),
    }))
}

async fn act(
    session: &Session,
    sessions: &cloakroom::Sessions,
    task: Task,
) -> Result<(), SessionError> {
    if task.action.appends() {
        session.push("list", task.number)?;
        session.push("mailbox", task.number)?;
        session.increment("count", 1_u64)?;
    }
    if task.action.renews() {
        session.renew()?;
    }
    if let Some(user) = task.action.signs_in() {
        session.sign_in(user).await?;
    }
    match task.action {
        Action::AppendAndSave | Action::RenewAndAppend => {
            session.save().await?;
        }
        Action::SignOut => {
            session.sign_out().await?;
        }
        Action::RevokeOthers if session.user().is_some() => {
            sessions.revoke_others(session).await?;
        }
        _ => {}
    }
    Ok(())
}
