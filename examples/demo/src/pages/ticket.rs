//! The ticket: the viewer's own session, as the store has it.

use cloakroom::{Session, SessionError};
use maud::{Markup, html};
use serde_json::value::RawValue;

use super::time::{countdown, moment};

/// What is shown of a session.
pub(super) struct Ticket<'a> {
    pub(super) session: &'a Session,
    pub(super) store: &'a str,
    pub(super) cookie: &'a str,
    pub(super) cookie_is_secure: bool,
    pub(super) remembered: bool,
}

impl Ticket<'_> {
    pub(super) fn render(&self) -> Result<Markup, SessionError> {
        let id = self.session.id().map(|id| id.to_string());
        Ok(html! {
            aside.ticket #ticket aria-labelledby="ticket-title" {
                div.stub {
                    h2 #ticket-title { "Your session, as the store has it" }
                    @match &id {
                        Some(id) => {
                            p.short aria-hidden="true" { small { "No." } " " (id[id.len() - 4..]) }
                            p.id { code #session-id { (id) } }
                        }
                        None => p.id { "It has ended. A minute from now, this page gives you a new one." }
                    }
                }
                div.facts {
                    (self.whereabouts())
                    @if id.is_some() {
                        (self.life())
                        (self.entries()?)
                    }
                    p.hint {
                        "The id is public, and may be logged. What opens the session is a secret beside it in \
                         your cookie; the store has only its digest."
                    }
                }
            }
        })
    }

    fn whereabouts(&self) -> Markup {
        let keeps = match self.remembered {
            true => "kept for 30 days",
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
                            li { (keeps) }
                        }
                    }
                }
            }
        }
    }

    fn life(&self) -> Markup {
        let session = self.session;
        html! {
            dl.life {
                div { dt { "Ticket issued" } dd { (moment(session.created_at())) } }
                @if let Some(user) = session.user() {
                    div { dt { "Guest" } dd #signed-in-as { (user) } }
                    div { dt { "Signed in" } dd { (moment(session.signed_in_at())) } }
                }
                div { dt { "Last seen" } dd { (moment(session.last_seen())) } }
                div { dt { "Ends if unused" } dd #idle { (countdown(session.expires_at())) } }
                div { dt { "Ends at the latest" } dd #absolute { (countdown(session.deadline())) } }
            }
        }
    }

    /// The entries in the viewer's own session: names, and the JSON as it is stored.
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
