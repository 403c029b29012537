//! Signing in.

use std::net::SocketAddr;

use axum::Form;
use axum::extract::{ConnectInfo, Query, State};
use axum::http::header::{CACHE_CONTROL, RETRY_AFTER, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use cloakroom::{Expiry, Key, Session, SessionError, days};
use cloakroom_limit::{LoginRefused, RefusalReason, SignedIn};
use maud::{Markup, html};
use serde::Deserialize;

use super::time::{in_seconds, whole_seconds};
use super::{errors, layout};
use crate::app::App;
use crate::flash::{self, Kind};
use crate::users::{ACCOUNTS, ADMIN};

/// Whether the user chose "Remember me".
pub(crate) const REMEMBER: Key<bool> = Key::new("remember");

/// The timeouts of a session with "Remember me".
pub(crate) const REMEMBERED: Expiry = Expiry::idle(days(7)).absolute(days(30));

/// The form.
#[derive(Deserialize)]
pub(crate) struct Credentials {
    name: String,
    password: String,
    #[serde(default)]
    remember: bool,
    next: Option<String>,
    /// The account whose button was pressed, if one was.
    account: Option<String>,
}

impl Credentials {
    /// Fills in name and password, if the button of an account was pressed.
    fn complete(mut self) -> Self {
        let mut accounts = ACCOUNTS.iter();
        let pressed = accounts.find(|(name, _)| self.account.as_deref() == Some(name));
        if let Some((name, password)) = pressed {
            (self.name, self.password) = ((*name).to_owned(), (*password).to_owned());
        }
        self
    }
}

/// The query of the page.
#[derive(Deserialize)]
pub(crate) struct Destination {
    next: Option<String>,
}

/// Shows the form.
pub(crate) async fn show(
    session: Session,
    Query(destination): Query<Destination>,
) -> Result<impl IntoResponse, SessionError> {
    let flash = flash::take(&session)?;
    let form = SignInForm {
        next: local_path(destination.next.as_deref()),
        ..SignInForm::default()
    };
    let body = html! {
        (layout::message(flash.as_ref()))
        (form.page_body("Sign in", html! {
            @if let Some(user) = session.user() {
                p.lede { "You are signed in as " (user) ". Signing in as another user ends that session." }
            }
        }))
    };
    let page = layout::page("Sign in", "/sign-in", &session, body);
    Ok(([(CACHE_CONTROL, "no-store")], page))
}

/// Signs in, if the guard lets the password be checked, and it is right.
pub(crate) async fn sign_in(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    session: Session,
    headers: HeaderMap,
    Form(form): Form<Credentials>,
) -> Result<Response, SessionError> {
    let form = form.complete();
    let next = local_path(form.next.as_deref());
    let form_again = |status, problem| {
        let form = SignInForm {
            name: &form.name,
            remember: form.remember,
            next,
            problem: Some(problem),
        };
        let body = form.page_body("Sign in", html! {});
        let page = layout::page("Sign in", "/sign-in", &session, body);
        errors::with_headers((status, page).into_response())
    };
    let attempt = app.guard.attempt(&form.name, &headers, Some(peer.ip()));
    let attempt = match attempt.await {
        Ok(attempt) => attempt,
        Err(refused) => {
            let response = form_again(refused.status(), &too_many_failures(&refused));
            return Ok(with_retry_after(response, &refused));
        }
    };
    let Some(name) = app.users.check(&form.name, form.password).await else {
        let problem = "The name or the password is wrong.";
        return Ok(form_again(StatusCode::UNAUTHORIZED, problem));
    };
    // Signing in always creates a new session, so an attacker cannot plant one (session fixation). The data
    // is kept, unless it belongs to another user.
    let sign_in = session.sign_in(name).insert(REMEMBER, form.remember)?;
    if form.remember {
        sign_in.with_expiry(REMEMBERED).await?;
    } else {
        sign_in.await?;
    }
    let signed_in = attempt.succeeded().await;
    flash::set(&session, Kind::Success, welcome(name, &signed_in))?;
    Ok(with_device_cookie(
        Redirect::to(next).into_response(),
        signed_in,
    ))
}

/// The message after signing in.
fn welcome(name: &str, signed_in: &SignedIn) -> String {
    let failures = match signed_in.failures() {
        0 => String::new(),
        1 => " There was a failed attempt since your last sign-in.".to_owned(),
        count => format!(" There were {count} failed attempts since your last sign-in."),
    };
    format!("You are signed in as {name}.{failures}")
}

/// Adds the cookie by which the guard knows the browser from now on.
pub(super) fn with_device_cookie(mut response: Response, signed_in: SignedIn) -> Response {
    if let Some(cookie) = signed_in.into_set_cookie() {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

/// What to tell a user whose password is not checked.
pub(super) fn too_many_failures(refused: &LoginRefused) -> String {
    if refused.reason() == RefusalReason::Unavailable {
        return "Signing in is not possible right now. Please try again in a moment.".to_owned();
    }
    let what_helps = match refused.retry_after() {
        Some(wait) => format!("Try again {}.", in_seconds(wait)),
        None => "Use a browser that you have signed in with before.".to_owned(),
    };
    format!("There were too many failed attempts. {what_helps}")
}

/// Adds the header that says when to try again.
pub(super) fn with_retry_after(mut response: Response, refused: &LoginRefused) -> Response {
    if let Some(wait) = refused.retry_after() {
        let headers = response.headers_mut();
        headers.insert(RETRY_AFTER, whole_seconds(wait).into());
    }
    response
}

/// Returns where to go after signing in: a path of this site, `/` by default. A URL of another site would
/// make this an open redirect.
pub(super) fn local_path(next: Option<&str>) -> &str {
    let is_local = |path: &&str| {
        path.starts_with('/')
            && !path.starts_with("//")
            // Browsers treat a backslash as a slash.
            && !path.contains('\\')
            && path.bytes().all(|byte| byte.is_ascii_graphic())
    };
    next.filter(is_local).unwrap_or("/")
}

/// The sign-in form.
pub(super) struct SignInForm<'a> {
    /// The name to fill in.
    pub(super) name: &'a str,
    /// Whether "Remember me" is chosen.
    pub(super) remember: bool,
    /// Where to go after signing in.
    pub(super) next: &'a str,
    /// Why the last attempt has failed.
    pub(super) problem: Option<&'a str>,
}

impl Default for SignInForm<'_> {
    fn default() -> Self {
        Self {
            name: "",
            remember: false,
            next: "/",
            problem: None,
        }
    }
}

impl SignInForm<'_> {
    /// The content of a page with the form.
    pub(super) fn page_body(&self, title: &str, intro: Markup) -> Markup {
        html! {
            div.narrow {
                h1 { (title) }
                (intro)
                section.card #sign-in aria-label="Sign in" { (self.render(true)) }
            }
        }
    }

    /// The form, and the accounts. On a page that is only about signing in, the first field to fill in has the
    /// focus.
    fn render(&self, has_focus: bool) -> Markup {
        let error = self.problem.map(|_| "sign-in-error");
        let invalid = self.problem.map(|_| "true");
        html! {
            form method="post" action="/sign-in" {
                @if let Some(problem) = self.problem {
                    p.form-error id=[error] role="alert" { (problem) }
                }
                input type="hidden" name="next" value=(self.next);
                div.fields {
                    div.field {
                        label for="name" { "Name" }
                        input #name name="name" type="text" value=(self.name) autocomplete="username"
                            autocapitalize="none" spellcheck="false" required
                            autofocus[has_focus && self.problem.is_none()]
                            aria-invalid=[invalid] aria-describedby=[error];
                    }
                    div.field {
                        label for="password" { "Password" }
                        input #password name="password" type="password" autocomplete="current-password"
                            required autofocus[has_focus && self.problem.is_some()] aria-invalid=[invalid] aria-describedby=[error];
                    }
                }
                div.submit {
                    label.check for="remember" {
                        input #remember name="remember" type="checkbox" value="true" checked[self.remember];
                        span { "Remember me for 30 days" }
                    }
                    button type="submit" { "Sign in" }
                }
                (accounts())
            }
        }
    }
}

/// The accounts of the demo, with a button for each. They are a part of the form, so "Remember me" holds for them
/// as well.
fn accounts() -> Markup {
    html! {
        table.accounts {
            caption { "Accounts of this demo" }
            tbody {
                @for (name, password) in ACCOUNTS {
                    tr {
                        th scope="row" {
                            (name)
                            @if name == ADMIN { " " small { "(admin)" } }
                        }
                        td { code { (password) } }
                        td.action {
                            button.quiet type="submit" name="account" value=(name) formnovalidate {
                                "Sign in as " (name)
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The form as a part of the start page.
pub(super) fn card() -> Markup {
    html! {
        section.card #sign-in aria-labelledby="sign-in-title" {
            h2 #sign-in-title { "Sign in" }
            (SignInForm::default().render(false))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_this_site_are_accepted() {
        for path in ["/", "/devices", "/admin?a=b#c"] {
            assert_eq!(local_path(Some(path)), path);
        }
        for other in [
            "",
            "devices",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example/",
            "/\t/evil.example",
            "javascript:alert(1)",
            "/caf\u{e9}",
        ] {
            assert_eq!(local_path(Some(other)), "/", "{other}");
        }
        assert_eq!(local_path(None), "/");
    }
}
