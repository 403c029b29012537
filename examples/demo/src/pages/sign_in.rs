//! Signing in.

use axum::Form;
use axum::extract::State;
use axum::response::Redirect;
use cloakroom::{Expiry, Key, Session, SessionError, days};
use maud::{Markup, html};
use serde::Deserialize;

use crate::app::App;
use crate::flash::{self, Tone};
use crate::users::GUESTS;

/// Whether the session is to outlive the browser.
pub(crate) const KEPT: Key<bool> = Key::new("kept");

/// How long a session lives whose guest asked to be remembered.
pub(crate) const REMEMBERED: Expiry = Expiry::idle(days(7)).absolute(days(30));

/// What the form sends.
#[derive(Deserialize)]
pub(crate) struct Credentials {
    name: String,
    password: String,
    #[serde(default)]
    remember: bool,
}

/// The way to the form. A link to a place on the front page would not load it again, for who is there.
pub(crate) async fn counter() -> Redirect {
    Redirect::to("/#sign-in")
}

/// Signs in, if the password is right.
pub(crate) async fn sign_in(
    State(app): State<App>,
    session: Session,
    Form(form): Form<Credentials>,
) -> Result<Redirect, SessionError> {
    let Some(name) = app.users.check(&form.name, form.password).await else {
        flash::say(
            &session,
            Tone::Bad,
            "That name and that password do not go together.",
        )?;
        return Ok(Redirect::to("/"));
    };
    // A new ticket for new rights, or one that was slipped in before would now open the account. If
    // somebody else was signed in, nothing of theirs is left.
    let ticket = session.sign_in(name).insert(KEPT, form.remember)?;
    if form.remember {
        ticket.with_expiry(REMEMBERED).await?;
    } else {
        ticket.await?;
    }
    flash::say(
        &session,
        Tone::Good,
        format!("Welcome, {name}. You have a new ticket."),
    )?;
    Ok(Redirect::to("/"))
}

/// The form, and whom it lets in.
pub(super) fn form() -> Markup {
    html! {
        section.card #sign-in aria-labelledby="sign-in-title" {
            h2 #sign-in-title { "At the counter" }
            form method="post" action="/sign-in" {
                div.fields {
                    div.field {
                        label for="name" { "Name" }
                        input #name name="name" type="text" autocomplete="username"
                            autocapitalize="none" spellcheck="false" required;
                    }
                    div.field {
                        label for="password" { "Password" }
                        input #password name="password" type="password"
                            autocomplete="current-password" required;
                    }
                }
                div.submit {
                    label.check for="remember" {
                        input #remember name="remember" type="checkbox" value="true";
                        span { "Remember me for 30 days" }
                    }
                    button type="submit" { "Sign in" }
                }
            }
            (guests())
        }
    }
}

fn guests() -> Markup {
    html! {
        table.guests {
            caption { "Tonight\u{2019}s guests, and their passwords" }
            tbody {
                @for (name, password) in GUESTS {
                    tr {
                        th scope="row" { (name) }
                        td { code { (password) } }
                    }
                }
            }
        }
    }
}
