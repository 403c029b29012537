//! The user's own session, as it is stored.

use cloakroom::{Session, SessionError};
use maud::{Markup, html};
use serde_json::value::RawValue;

use super::time::{countdown, timestamp};

/// The panel of the start page that shows the session.
pub(super) struct SessionPanel<'a> {
    pub(super) session: &'a Session,
    pub(super) store: &'a str,
    pub(super) cookie: &'a str,
    pub(super) cookie_is_secure: bool,
    pub(super) remembered: bool,
}

impl SessionPanel<'_> {
    pub(super) fn render(&self) -> Result<Markup, SessionError> {
        let id = self.session.id().map(|id| id.to_string());
        Ok(html! {
            aside.session #session aria-labelledby="session-title" {
                div.heading {
                    h2 #session-title { "Your session, as it is stored" }
                    @match &id {
                        Some(id) => p.id { "Id " code #session-id { (id) } },
                        None => p.id {
                            "The session of your cookie has ended. Sign in, or reload in a minute to get a new one."
                        }
                    }
                }
                div.facts {
                    (self.cookie())
                    @if id.is_some() {
                        (self.times())
                        (self.entries()?)
                    }
                    p.hint {
                        "The id is public and may be logged. The cookie also has a secret, of which the store has \
                         only a digest."
                    }
                }
            }
        })
    }

    fn cookie(&self) -> Markup {
        let lifetime = match self.remembered {
            true => "Max-Age: 30 days",
            false => "until the browser closes",
        };
        html! {
            dl {
                div { dt { "Store" } dd #store { (self.store) } }
                div {
                    dt { "Cookie" }
                    dd {
                        code { (self.cookie) }
                        ul.chips {
                            @if self.cookie_is_secure { li { "Secure" } }
                            li { "HttpOnly" }
                            li { "SameSite=Lax" }
                            li { "Path=/" }
                            li { (lifetime) }
                        }
                    }
                }
            }
        }
    }

    fn times(&self) -> Markup {
        let session = self.session;
        html! {
            dl.times {
                div { dt { "Created" } dd { (timestamp(session.created_at())) } }
                @if let Some(user) = session.user() {
                    div { dt { "User" } dd #signed-in-as { (user) } }
                    div { dt { "Signed in" } dd { (timestamp(session.signed_in_at())) } }
                }
                div { dt { "Last seen" } dd { (timestamp(session.last_seen())) } }
                div { dt { "Idle timeout" } dd #idle { (countdown(session.expires_at())) } }
                div { dt { "Absolute timeout" } dd #absolute { (countdown(session.deadline())) } }
            }
        }
    }

    /// The entries: their keys, and the JSON as it is stored.
    fn entries(&self) -> Result<Markup, SessionError> {
        let mut entries = Vec::new();
        for key in self.session.keys() {
            let json: Option<Box<RawValue>> = self.session.get(&*key)?;
            entries.extend(json.map(|json| (key, json)));
        }
        Ok(html! {
            table.entries {
                caption { "Entries" }
                tbody {
                    @for (key, json) in &entries {
                        tr {
                            th scope="row" { code { (key) } }
                            td { code { (json.get()) } }
                        }
                    }
                }
            }
        })
    }
}
