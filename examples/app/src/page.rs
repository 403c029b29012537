//! The parts that all pages have in common.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use cloakroom::Session;
use cloakroom_cache::CurrentUser;
use maud::{DOCTYPE, Markup, html};

use crate::app::{App, User};
use crate::ended;
use crate::errors::AppError;
use crate::notice::{NOTICES, Notice};

/// What a page needs of the request: the session, the user, and who acts as the user.
pub(crate) struct Page {
    pub(crate) session: Session,
    pub(crate) user: Option<Arc<User>>,
    impersonator: Option<Arc<User>>,
    csrf: Option<String>,
}

impl FromRequestParts<App> for Page {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, AppError> {
        let session = Session::from_request_parts(parts, app).await?;
        let user = Option::<CurrentUser<User>>::from_request_parts(parts, app).await?;
        let impersonator = match session.impersonator().map(|user| user.parse::<i64>()) {
            Some(Ok(id)) => app.users.get(&id).await?,
            _ => None,
        };
        // Guests get no token, which would create a session for each visitor: the layer protects their forms.
        let csrf = match session.user() {
            Some(_) => Some(session.csrf_token().await?),
            None => None,
        };
        Ok(Self {
            session,
            user: user.map(|CurrentUser(user)| user),
            impersonator,
            csrf,
        })
    }
}

impl Page {
    /// The hidden field of a form with a CSRF token.
    pub(crate) fn csrf(&self) -> Markup {
        html! { @if let Some(token) = &self.csrf { input type="hidden" name="csrf" value=(token); } }
    }

    /// Renders the page, with the messages that wait for it.
    pub(crate) async fn show(self, title: &str, body: Markup) -> Result<Response, AppError> {
        self.with_status(StatusCode::OK, title, body).await
    }

    /// Renders the page, with a status.
    pub(crate) async fn with_status(
        self,
        status: StatusCode,
        title: &str,
        body: Markup,
    ) -> Result<Response, AppError> {
        let notices = self.session.take_flashes(NOTICES).await?;
        let content = html! {
            (self.banner())
            (self.signed_out())
            @for notice in &notices { (message(notice)) }
            (body)
        };
        Ok((status, self.whole(title, &content)).into_response())
    }

    /// Who is really there, while somebody acts as another user.
    fn banner(&self) -> Markup {
        html! {
            @if let (Some(by), Some(user)) = (&self.impersonator, &self.user) {
                form.banner #acting method="post" action="/acting/stop" {
                    (self.csrf())
                    span { (by.name) " acts as " strong { (user.name) } }
                    button { "Stop" }
                }
            }
        }
    }

    /// Why the previous session of this browser has ended. The browser still has its cookie.
    fn signed_out(&self) -> Markup {
        let reason = self.session.ended_reason().and_then(ended::text);
        html! { @if let Some(reason) = reason { p.notice.error #ended-reason role="status" { (reason) } } }
    }

    fn whole(&self, title: &str, content: &Markup) -> Markup {
        let account = html! {
            @match &self.user {
                Some(user) => {
                    a href="/account" { span #user { (user.name) } }
                    a href="/devices" { "Devices" }
                    @if user.is_staff { a href="/admin" { "Admin" } }
                    form method="post" action="/sign-out" { (self.csrf()) button #sign-out { "Sign out" } }
                },
                None => {
                    a href="/register" { "Register" }
                    a href="/sign-in" { "Sign in" }
                },
            }
        };
        document(title, &account, self.user.is_some(), content)
    }
}

/// A page of a request whose session is not known.
pub(crate) fn without_session(title: &str, content: &Markup) -> Markup {
    document(title, &html! {}, false, content)
}

/// A field of a form, with its label.
pub(crate) fn field(label: &str, name: &str, kind: &str, autocomplete: &str) -> Markup {
    html! {
        label { (label) input name=(name) type=(kind) autocomplete=(autocomplete) required maxlength="200"; }
    }
}

fn message(notice: &Notice) -> Markup {
    let class = if notice.is_error() {
        "notice error"
    } else {
        "notice"
    };
    html! { p class=(class) role="status" { (notice.text()) } }
}

/// Pages of a signed-in user have a script that hides them when the session ends.
fn document(title: &str, account: &Markup, is_live: bool, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " \u{2013} Hat shop" }
                link rel="stylesheet" href="/style.css";
                link rel="icon" href="data:,";
                @if is_live { script src="/live.js" defer {} }
            }
            body {
                header { a.brand href="/" { "Hat shop" } nav aria-label="Account" { (account) } }
                main #main { (content) }
            }
        }
    }
}
