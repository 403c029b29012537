//! Signing in.

use axum::Form;
use axum::extract::State;
use axum::response::Redirect;
use cloakroom::{Expiry, Key, Session, SessionError, days};
use maud::{Markup, html};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::flash::{self, Tone};
use crate::users::GUESTS;

/// Who is signed in.
pub(crate) const GUEST: Key<Guest> = Key::new("guest");

/// How long a session lives whose guest asked to be remembered.
pub(crate) const REMEMBERED: Expiry = Expiry::idle(days(7)).absolute(days(30));

/// A guest who is signed in.
#[derive(Serialize, Deserialize)]
pub(crate) struct Guest {
    pub(crate) name: String,
    /// Whether the session is to outlive the browser.
    pub(crate) remembered: bool,
}

/// What the form sends.
#[derive(Deserialize)]
pub(crate) struct Credentials {
    name: String,
    password: String,
    #[serde(default)]
    remember: bool,
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
    let before = session.get(GUEST)?;
    if before.as_ref().is_some_and(|guest| guest.name != name) {
        // Somebody else's coat: the new guest gets nothing of it, not even its deadlines.
        session.destroy().await?;
    }
    // A new ticket for new rights, or one that was slipped in before would now open the account.
    session.renew()?;
    // A new life with it: as long as the guest asked for, from now.
    if form.remember {
        session.set_expiry(REMEMBERED)?;
    } else {
        session.reset_expiry()?;
    }
    let guest = Guest {
        name: name.to_owned(),
        remembered: form.remember,
    };
    session.insert(GUEST, guest)?;
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
