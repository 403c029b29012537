//! Sign-in with a password: the guard, "Remember me", the cart, and where the user wanted to go.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, Form, State};
use axum::http::header::{RETRY_AFTER, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use cloakroom::{Expiry, Key, Next, Session, SessionError, days};
use cloakroom_limit::{LoginRefused, SignedIn};
use maud::{Markup, html};
use serde::Deserialize;

use super::home::CART;
use super::second_factor::{ASSURANCE, Assurance};
use crate::app::App;
use crate::database::{Cart, Credentials};
use crate::errors::AppError;
use crate::notice::{NOTICES, Notice};
use crate::page::{Page, field};

/// The timeouts of a session with "Remember me". Its cookie is kept when the browser closes.
pub(crate) const REMEMBERED: Expiry = Expiry::idle(days(14)).absolute(days(90));

/// Whether the user has chosen it: signing in again keeps it.
pub(crate) const REMEMBER: Key<bool> = Key::new("remember");

#[derive(Deserialize)]
pub(crate) struct SignIn {
    name: String,
    password: String,
    /// Browsers send a box only if it is checked.
    remember: Option<String>,
}

/// Without an `action`, the form goes to the address of this page, with its `next`.
pub(crate) async fn show(page: Page, next: Next) -> Result<Response, AppError> {
    page.show("Sign in", form(None, &next)).await
}

/// Signs in, if the guard lets the password be checked, and it is right.
pub(crate) async fn sign_in(
    page: Page,
    next: Next,
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Form(form_data): Form<SignIn>,
) -> Result<Response, AppError> {
    let checked = check(
        &app,
        &headers,
        peer.ip(),
        &form_data.name,
        form_data.password,
    );
    let (user, guard) = match checked.await? {
        Checked::Right(user, guard) => (user, guard),
        Checked::Wrong => {
            let form = form(Some("The name or the password is wrong."), &next);
            return page
                .with_status(StatusCode::UNAUTHORIZED, "Sign in", form)
                .await;
        }
        Checked::Refused(refused) => return refused_page(page, &refused, &next).await,
    };
    let is_remembered = form_data.remember.is_some();
    let sign_in = with_one_factor(&page.session, user.id, is_remembered)?;
    if !sign_in_unless_changed(&app, &page.session, sign_in, &user).await? {
        return Err(password_changed());
    }
    take_over_cart(&app, &page.session, user.id).await?;
    let notice = Notice::SignedIn {
        name: form_data.name.trim().to_owned(),
        failures: guard.failures(),
    };
    page.session.flash(NOTICES, notice)?;
    // Pages that need the second factor lead to it.
    let redirect = Redirect::to(next.or("/account"));
    Ok(with_device_cookie(redirect.into_response(), guard))
}

/// The result of checking a password.
pub(crate) enum Checked {
    Right(Credentials, SignedIn),
    Wrong,
    Refused(LoginRefused),
}

/// Checks a password, if the guard allows it: the attempt is counted before, and given back on success.
pub(crate) async fn check(
    app: &App,
    headers: &HeaderMap,
    peer: IpAddr,
    account: &str,
    password: String,
) -> Result<Checked, AppError> {
    let attempt = match app.guard.attempt(account, headers, Some(peer)).await {
        Ok(attempt) => attempt,
        Err(refused) => return Ok(Checked::Refused(refused)),
    };
    let found = match app.database.credentials(account).await {
        Ok(found) => found,
        Err(error) => {
            attempt.cancelled().await;
            return Err(error.into());
        }
    };
    let hash = found.as_ref().and_then(|user| user.password.clone());
    // Without an account this takes as long.
    let is_right = app.passwords.verify(password, hash).await;
    match found.filter(|_| is_right) {
        Some(user) => Ok(Checked::Right(user, attempt.succeeded().await)),
        None => Ok(Checked::Wrong),
    }
}

/// A sign-in with one factor, to be awaited.
pub(crate) fn with_one_factor(
    session: &Session,
    user: i64,
    is_remembered: bool,
) -> Result<cloakroom::SignIn, SessionError> {
    let sign_in = session
        .sign_in(user)
        .insert(ASSURANCE, Assurance::OneFactor)?
        .insert(REMEMBER, is_remembered)?;
    Ok(if is_remembered {
        sign_in.with_expiry(REMEMBERED)
    } else {
        sign_in
    })
}

/// Signs in with a password that was right, unless it has changed meanwhile: then this returns `false`, and the session has
/// ended.
///
/// The hash may have been read a while ago: the check waits for its turn. A change of the password stores the new hash, and then
/// ends the sessions that it finds. If it has stored the hash before it is read here, this finds out; otherwise the change
/// finds this session, which has been stored before.
pub(crate) async fn sign_in_unless_changed(
    app: &App,
    session: &Session,
    sign_in: cloakroom::SignIn,
    checked: &Credentials,
) -> Result<bool, AppError> {
    sign_in.await?;
    let current = app.database.password(checked.id).await;
    if matches!(&current, Ok(hash) if *hash == checked.password) {
        return Ok(true);
    }
    // Also if the hash cannot be read.
    session.destroy().await?;
    current?;
    Ok(false)
}

/// The response to a sign-in whose password has changed meanwhile.
pub(crate) fn password_changed() -> AppError {
    let text = "Your password was changed meanwhile. Please sign in with the new one.";
    AppError::page(StatusCode::UNAUTHORIZED, "Not signed in", text)
}

/// The cart in the session, of a guest for instance, and the one that the user has left behind become one.
pub(crate) async fn take_over_cart(
    app: &App,
    session: &Session,
    user: i64,
) -> Result<(), AppError> {
    // Until it is removed, a transaction is open. Nothing else here uses the database.
    if let Some(taken) = app.database.take_cart(user).await? {
        let saved = taken.cart.clone();
        let merge = move |cart: Option<Cart>| merged(cart.unwrap_or_default(), &saved);
        session.update_now(CART, merge).await?;
        taken.remove().await?;
    }
    Ok(())
}

fn merged(mut cart: Cart, saved: &Cart) -> Cart {
    for (product, count) in saved {
        let sum = cart.entry(product.clone()).or_default();
        *sum = sum.saturating_add(*count);
    }
    cart
}

/// Adds the cookie by which the guard knows the browser from now on.
pub(crate) fn with_device_cookie(mut response: Response, signed_in: SignedIn) -> Response {
    if let Some(cookie) = signed_in.into_set_cookie() {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

async fn refused_page(
    page: Page,
    refused: &LoginRefused,
    next: &Next,
) -> Result<Response, AppError> {
    let form = form(Some("There were too many attempts. Please wait."), next);
    let mut response = page.with_status(refused.status(), "Sign in", form).await?;
    if let Some(wait) = refused.retry_after() {
        let seconds = wait.as_secs().saturating_add(1);
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    Ok(response)
}

fn form(problem: Option<&str>, next: &Next) -> Markup {
    html! {
        h1 { "Sign in" }
        form.card #password-form method="post" {
            @if let Some(problem) = problem { p.notice.problem #problem role="alert" { (problem) } }
            (field("Name", "name", "text", "username"))
            (field("Password", "password", "password", "current-password"))
            label.check { input name="remember" type="checkbox"; "Remember me" }
            button #submit { "Sign in" }
        }
        form.card method="post" action="/oauth/begin" {
            input type="hidden" name="next" value=(next.or("/account"));
            button #provider { "Sign in with Example ID" }
        }
    }
}
