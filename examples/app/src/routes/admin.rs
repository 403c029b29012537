//! For the staff: the users, acting as one of them, ending their sessions, and the audit log.

use axum::extract::{Path, State};
use axum::response::{Redirect, Response};
use cloakroom::{Permission, RevokedBy, Session, SessionError, Sessions};
use cloakroom_cache::Cached;
use maud::{Markup, html};

use crate::app::{App, User};
use crate::csrf_form::{CsrfForm, NoFields};
use crate::database::AuditRow;
use crate::errors::AppError;
use crate::notice::{NOTICES, Notice};
use crate::page::Page;

/// The permission of the staff. It is read from the user's record, so that it can be withdrawn at once.
#[derive(Clone)]
pub(crate) struct IsStaff(Cached<i64, User>);

impl IsStaff {
    pub(crate) fn new(app: &App) -> Self {
        Self(app.users.clone())
    }
}

impl Permission for IsStaff {
    async fn is_granted(&self, session: &Session) -> Result<bool, SessionError> {
        let user = self.0.get(&session.require_user_id()?).await;
        // If the record cannot be loaded: no.
        Ok(matches!(user, Ok(Some(user)) if user.is_staff))
    }
}

pub(crate) async fn show(page: Page, State(app): State<App>) -> Result<Response, AppError> {
    let (users, log) = (
        app.database.all_users().await?,
        app.database.audit_log().await?,
    );
    let me = page.user.as_ref().map(|user| user.id);
    let body = html! {
        h1 { "Users" }
        ul.list #users {
            @for (id, name) in &users {
                li data-user=(name) {
                    span { (name) }
                    @if Some(*id) != me { (actions(&page, *id)) }
                }
            }
        }
        h2 { "Audit log" }
        (audit_table(&log))
    };
    page.show("Admin", body).await
}

fn actions(page: &Page, user: i64) -> Markup {
    html! {
        form method="post" action={ "/admin/act-as/" (user) } { (page.csrf()) button.act { "Act as" } }
        form method="post" action={ "/admin/sign-out/" (user) } { (page.csrf()) button.end { "Sign out" } }
    }
}

fn audit_table(log: &[AuditRow]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Audit log" {
            table #audit {
                thead { tr { th { "What" } th { "User" } th { "By" } th { "Reason" } th { "Address" } th { "Browser" } } }
                tbody {
                    @for row in log {
                        tr {
                            td { (row.what) }
                            td { (row.user.as_deref().unwrap_or("\u{2013}")) }
                            td { (row.impersonator.as_deref().unwrap_or("\u{2013}")) }
                            td { (row.reason.as_deref().unwrap_or("\u{2013}")) }
                            td { (row.address.as_deref().unwrap_or("\u{2013}")) }
                            td { (row.user_agent.as_deref().unwrap_or("\u{2013}")) }
                        }
                    }
                }
            }
        }
    }
}

/// Begins to act as a user, who is not one of the staff.
pub(crate) async fn act_as(
    session: Session,
    State(app): State<App>,
    Path(user): Path<i64>,
    _: CsrfForm<NoFields>,
) -> Result<Redirect, AppError> {
    let is_customer = app.users.get(&user).await?;
    if is_customer.is_some_and(|user| !user.is_staff) {
        session.impersonate(user).await?;
    }
    Ok(Redirect::to("/account"))
}

/// For the one who acts as a user, and who is not one of the staff meanwhile.
pub(crate) async fn stop_acting(
    session: Session,
    _: CsrfForm<NoFields>,
) -> Result<Redirect, SessionError> {
    if session.stop_impersonating().await? {
        session.flash(NOTICES, Notice::ActingStopped)?;
    }
    Ok(Redirect::to("/admin"))
}

/// Ends all sessions of a user.
pub(crate) async fn sign_out(
    session: Session,
    sessions: Sessions,
    Path(user): Path<i64>,
    _: CsrfForm<NoFields>,
) -> Result<Redirect, SessionError> {
    let count = sessions.revoke_all(user, RevokedBy::Admin).await?;
    session.flash(NOTICES, Notice::UserSignedOut { count })?;
    Ok(Redirect::to("/admin"))
}
