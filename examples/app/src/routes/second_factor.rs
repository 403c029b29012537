//! A second factor: codes of an authenticator app (TOTP, RFC 6238).

use std::net::{IpAddr, SocketAddr};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::{ConnectInfo, Form, Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next as NextHandler;
use axum::response::{IntoResponse, Redirect, Response};
use cloakroom::{Key, LocalPath, Next, Permitted, Session, minutes};
use cloakroom_cache::CurrentUser;
use cloakroom_limit::{LoginRefused, SignedIn};
use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use totp_rs::{Builder, Secret, Totp};

use super::account::Themselves;
use super::sign_in::with_device_cookie;
use crate::app::{App, User};
use crate::csrf_form::CsrfForm;
use crate::errors::AppError;
use crate::notice::{NOTICES, Notice};
use crate::page::{Page, field};
use crate::random;

/// How the user has authenticated. Absent counts as `OneFactor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Assurance {
    OneFactor,
    TwoFactors,
}

/// It is stored with each sign-in, so it never outlives one.
pub(crate) const ASSURANCE: Key<Assurance> = Key::new("assurance");

/// The secret of an authenticator that is being set up.
const NEW_SECRET: Key<Vec<u8>> = Key::new("new_totp_secret");

/// The guard of pages that need all that the account requires. Somebody who acts as the user has
/// given a second factor of their own.
pub(crate) async fn require(
    State(app): State<App>,
    session: Session,
    request: Request,
    next: NextHandler,
) -> Result<Response, AppError> {
    if !is_missing(&app, &session).await? {
        return Ok(next.run(request).await);
    }
    // A form cannot be sent again after the redirect.
    let path = request.uri().path_and_query().map(ToString::to_string);
    let path = path.filter(|_| request.method() == Method::GET);
    let path = path.and_then(|path| path.parse::<LocalPath>().ok());
    let query = path.map(|path| format!("?next={}", percent_encoded(path.as_str())));
    let page = format!("/second-factor{}", query.unwrap_or_default());
    Ok(Redirect::to(&page).into_response())
}

/// Returns whether the account requires a second factor that this session does not have.
pub(crate) async fn is_missing(app: &App, session: &Session) -> Result<bool, AppError> {
    if session.impersonator().is_some() || session.get(ASSURANCE)? == Some(Assurance::TwoFactors) {
        return Ok(false);
    }
    let user = app.users.get(&session.require_user_id()?).await?;
    Ok(user.is_none_or(|user| user.has_second_factor))
}

pub(crate) async fn show(page: Page) -> Result<Response, AppError> {
    page.show("Enter your code", form(None)).await
}

#[derive(Deserialize)]
pub(crate) struct Code {
    code: String,
}

/// The second factor raises the level, and renews the session: a cookie from before gains nothing. Somebody who acts as the
/// user must not use up the user's attempts.
pub(crate) async fn check(
    page: Page,
    _: Permitted<Themselves>,
    next: Next,
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Form(form_data): Form<Code>,
) -> Result<Response, AppError> {
    let user: i64 = page.session.require_user_id()?;
    let checked = check_code(&app, &headers, peer.ip(), user, &form_data.code);
    let (status, problem) = match checked.await? {
        CheckedCode::Right(guard) => {
            page.session.insert(ASSURANCE, Assurance::TwoFactors)?;
            page.session.renew()?;
            let redirect = Redirect::to(next.or("/account")).into_response();
            return Ok(with_device_cookie(redirect, guard));
        }
        CheckedCode::Wrong => (
            StatusCode::FORBIDDEN,
            "The code is wrong, or was used already.",
        ),
        CheckedCode::Refused(refused) => (
            refused.status(),
            "There were too many attempts. Please wait.",
        ),
    };
    page.with_status(status, "Enter your code", form(Some(problem)))
        .await
}

/// The result of checking a code.
pub(crate) enum CheckedCode {
    Right(SignedIn),
    Wrong,
    Refused(LoginRefused),
}

/// Checks a code, if the guard allows it, which counts the attempts as those at a password.
pub(crate) async fn check_code(
    app: &App,
    headers: &HeaderMap,
    peer: IpAddr,
    user: i64,
    code: &str,
) -> Result<CheckedCode, AppError> {
    let account = format!("second factor of {user}");
    let attempt = match app.guard.attempt(&account, headers, Some(peer)).await {
        Ok(attempt) => attempt,
        Err(refused) => return Ok(CheckedCode::Refused(refused)),
    };
    match is_right(app, user, code).await {
        Ok(true) => Ok(CheckedCode::Right(attempt.succeeded().await)),
        // The attempt is dropped: it has failed.
        Ok(false) => Ok(CheckedCode::Wrong),
        Err(error) => {
            attempt.cancelled().await;
            Err(error.into())
        }
    }
}

/// Checks a code of a user. Each works once, also for somebody who has read it over the user's shoulder.
async fn is_right(app: &App, user: i64, code: &str) -> Result<bool, sqlx::Error> {
    let Some(secret) = app.database.totp_secret(user).await? else {
        return Ok(false);
    };
    match step_of(&authenticator(secret), code) {
        Some(step) => app.database.use_totp_step(user, step).await,
        None => Ok(false),
    }
}

/// Shows a secret for the authenticator, which is valid for ten minutes.
pub(crate) async fn set_up(page: Page, _: Permitted<Themselves>) -> Result<Response, AppError> {
    let secret = match page.session.get(NEW_SECRET)? {
        Some(secret) => secret,
        None => random::bytes::<20>().to_vec(),
    };
    page.session
        .insert_for(NEW_SECRET, secret.clone(), minutes(10))?;
    let secret = Secret::from(secret).to_base32();
    let body = html! {
        h1 { "Second factor" }
        p { "Enter this key in your authenticator app, and then the code that it shows." }
        p { code #secret { (secret) } }
        form.card method="post" {
            (page.csrf())
            (field("Code", "code", "text", "one-time-code"))
            button #submit { "Enable" }
        }
    };
    page.show("Second factor", body).await
}

/// Enables it, if the authenticator has the secret.
pub(crate) async fn enable(
    session: Session,
    CurrentUser(user): CurrentUser<User>,
    State(app): State<App>,
    _: Permitted<Themselves>,
    CsrfForm(form): CsrfForm<Code>,
) -> Result<Redirect, AppError> {
    let secret = session.get(NEW_SECRET)?;
    let step = secret.as_ref().and_then(|secret| {
        let authenticator = authenticator(secret.clone());
        step_of(&authenticator, &form.code)
    });
    let (Some(secret), Some(step)) = (secret, step) else {
        session.flash(NOTICES, Notice::WrongCode)?;
        return Ok(Redirect::to("/account/second-factor"));
    };
    app.database.set_totp_secret(user.id, &secret).await?;
    app.database.use_totp_step(user.id, step).await?;
    app.users.forget(&user.id).await?;
    session.remove(NEW_SECRET)?;
    session.insert(ASSURANCE, Assurance::TwoFactors)?;
    session.renew()?;
    session.flash(NOTICES, Notice::SecondFactorEnabled)?;
    Ok(Redirect::to("/account"))
}

fn authenticator(secret: Vec<u8>) -> Totp {
    let secret = Secret::from(secret);
    let builder = Builder::new().with_secret(secret);
    builder.build().expect("the secret has 160 bits")
}

/// Returns the time step of a right code.
fn step_of(authenticator: &Totp, code: &str) -> Option<i64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    let step = authenticator.check(code.trim(), now.as_secs())?;
    i64::try_from(step).ok()
}

fn percent_encoded(path: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    path.bytes().map(encode).collect()
}

fn form(problem: Option<&str>) -> Markup {
    html! {
        h1 { "Enter your code" }
        form.card method="post" {
            @if let Some(problem) = problem { p.notice.problem #problem role="alert" { (problem) } }
            (field("Code of your authenticator", "code", "text", "one-time-code"))
            button #submit { "Continue" }
        }
    }
}
