//! The ticket: the viewer's own session, as the store has it.

use std::time::{Duration, SystemTime};

use cloakroom::{Session, SessionError};
use humantime::format_rfc3339_seconds;
use maud::{Markup, html};
use serde_json::value::RawValue;

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

fn moment(time: Option<SystemTime>) -> Markup {
    html! {
        @if let Some(time) = time {
            @let text = format_rfc3339_seconds(time).to_string();
            time datetime=(text) { (text.replace('T', " ").replace('Z', " UTC")) }
        } @else { "\u{2013}" }
    }
}

/// How long it is until then. The script lets it tick.
fn countdown(time: Option<SystemTime>) -> Markup {
    html! {
        @if let Some(time) = time {
            @let left = time.duration_since(SystemTime::now()).unwrap_or_default();
            time datetime=(format_rfc3339_seconds(time)) data-countdown { "in " (in_words(left)) }
        } @else { "\u{2013}" }
    }
}

/// Minutes and seconds matter only on the last day.
fn in_words(left: Duration) -> String {
    let seconds = left.as_secs();
    let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
    let (minutes, seconds) = (seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {seconds} s"),
        (0, ..) => format!("{hours} h {minutes} min {seconds} s"),
        (1, ..) => format!("1 day {hours} h"),
        _ => format!("{days} days {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_matter_only_on_the_last_day() {
        let words = |seconds| in_words(Duration::from_secs(seconds));
        assert_eq!(words(0), "0 s");
        assert_eq!(words(1799), "29 min 59 s");
        assert_eq!(words(86_399), "23 h 59 min 59 s");
        assert_eq!(words(86_400), "1 day 0 h");
        assert_eq!(words(2_591_999), "29 days 23 h");
    }
}
