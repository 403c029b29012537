//! The parts that all pages have in common.

use cloakroom::{EndReason, Session, SessionId};
use maud::{DOCTYPE, Markup, html};

use super::ended;
use crate::flash::{Flash, Kind};
use crate::users::ADMIN;

/// The pages of the navigation.
const PAGES: [(&str, &str); 4] = [
    ("/", "Home"),
    ("/devices", "Devices"),
    ("/security", "Security"),
    (ADMIN_PAGE, "Admin"),
];

const ADMIN_PAGE: &str = "/admin";

/// What the header shows of the user.
enum Viewer {
    /// The session could not be loaded, or was not.
    Unknown,
    Anonymous,
    User {
        name: String,
        session: Option<SessionId>,
    },
}

/// Renders a page. `path` is the page's own, to mark it in the navigation. A visitor whose session has ended learns why.
pub(super) fn page(title: &str, path: &str, session: &Session, body: Markup) -> Markup {
    let viewer = match session.user() {
        Some(user) => Viewer::User {
            name: user.to_string(),
            session: session.id(),
        },
        None => Viewer::Anonymous,
    };
    let reason = session.ended_reason().filter(|_| session.user().is_none());
    let body = html! { (ended_notice(reason)) (body) };
    whole_page(title, path, &viewer, html! {}, body)
}

/// Renders the page of a request without a signed-in user, whose session may have ended for a reason.
pub(super) fn anonymous_page(
    title: &str,
    path: &str,
    reason: Option<EndReason>,
    body: Markup,
) -> Markup {
    let body = html! { (ended_notice(reason)) (body) };
    whole_page(title, path, &Viewer::Anonymous, html! {}, body)
}

/// Renders a page without the session. `head` goes into the page's head.
pub(super) fn page_without_session(title: &str, head: Markup, body: Markup) -> Markup {
    whole_page(title, "", &Viewer::Unknown, head, body)
}

/// Says why the session of the browser's cookie has ended.
fn ended_notice(reason: Option<EndReason>) -> Markup {
    html! {
        @if let Some(reason) = reason {
            p.flash.error #why-ended role="status" { "You are signed out. " (ended::text(reason)) }
        }
    }
}

/// Renders a flash message.
pub(super) fn message(flash: Option<&Flash>) -> Markup {
    html! {
        @if let Some(flash) = flash {
            @let (class, role) = match flash.kind {
                Kind::Success => ("flash success", "status"),
                Kind::Error => ("flash error", "alert"),
            };
            p #flash class=(class) role=(role) { (flash.text) }
        }
    }
}

/// A destructive action: the first button only shows the second, which sends the form. It needs no script; with
/// scripts, Escape cancels it.
pub(super) struct Confirmed<'a> {
    /// The text of both buttons.
    pub(super) label: &'a str,
    /// What follows the label for screen readers, if several buttons have the same label.
    pub(super) detail: &'a str,
    /// The path that the form is sent to.
    pub(super) action: &'a str,
    /// Name and value of a hidden field.
    pub(super) field: Option<(&'a str, String)>,
}

impl Confirmed<'_> {
    pub(super) fn render(&self) -> Markup {
        let label = html! {
            (self.label)
            @if !self.detail.is_empty() { span.hidden-text { (self.detail) } }
        };
        html! {
            details.confirm name="confirm" {
                summary.button.quiet.danger {
                    span.when-closed { (label) }
                    span.when-open { "Cancel" }
                }
                form method="post" action=(self.action) {
                    @if let Some((name, value)) = &self.field {
                        input type="hidden" name=(name) value=(value);
                    }
                    button.danger type="submit" { (label) }
                }
            }
        }
    }
}

fn navigation(current: &str, viewer: &Viewer) -> Markup {
    let is_admin = matches!(viewer, Viewer::User { name, .. } if name == ADMIN);
    let pages = PAGES.iter();
    html! {
        nav.pages aria-label="Pages" {
            @for (path, label) in pages.filter(|(path, _)| is_admin || *path != ADMIN_PAGE) {
                a href=(path) aria-current=[(*path == current).then_some("page")] { (label) }
            }
        }
    }
}

fn account(viewer: &Viewer) -> Markup {
    html! {
        div.account {
            @match viewer {
                Viewer::Unknown => {}
                Viewer::Anonymous => a.button.quiet href="/sign-in" { "Sign in" },
                Viewer::User { name, .. } => {
                    p { span.prefix { "Signed in as " } strong #user { (name) } }
                    form method="post" action="/sign-out" {
                        button.quiet #sign-out type="submit" { "Sign out" }
                    }
                }
            }
        }
    }
}

/// Pages of a signed-in user have a script that listens to the events of the session.
fn whole_page(title: &str, path: &str, viewer: &Viewer, head: Markup, body: Markup) -> Markup {
    let session = match viewer {
        Viewer::User { session, .. } => *session,
        Viewer::Unknown | Viewer::Anonymous => None,
    };
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " \u{2013} Cloakroom demo" }
                link rel="icon" href="/icon.svg" type="image/svg+xml";
                link rel="stylesheet" href="/style.css";
                (head)
                script src="/clock.js" defer {}
                @if let Some(session) = session {
                    script src="/events.js" defer {}
                    script src="/live.js" data-session=(session) defer {}
                    script src="/confirm.js" defer {}
                }
            }
            body {
                a.skip href="#main" { "Skip to content" }
                header.top {
                    a.brand href="/" { (logo()) "Cloakroom" }
                    (navigation(path, viewer))
                    (account(viewer))
                }
                @if session.is_some() {
                    // The script fills it in while the server or the store does not respond.
                    p.flash.error #offline role="status" hidden {}
                    (ended_section())
                }
                main #main tabindex="-1" { (body) }
                footer.bottom {
                    p { "A demo of Cloakroom, session middleware for axum. All pages also work without scripts." }
                }
            }
        }
    }
}

/// Replaces the page when the session has ended. The script fills it in.
fn ended_section() -> Markup {
    html! {
        section.ended.narrow #ended role="alert" hidden {
            h1 tabindex="-1" { "You were signed out" }
            p.lede #ended-reason {}
            p { a.button href="/sign-in" { "Sign in again" } }
        }
    }
}

fn logo() -> Markup {
    html! {
        svg viewBox="0 0 32 24" width="32" height="24" aria-hidden="true" {
            path d="M13 6.5a3 3 0 1 1 4.6 2.5c-1 .6-1.6 1.3-1.6 2.5l13.3 8.2a1.2 1.2 0 0 1-.7 2.2H3.4a1.2 1.2 0 0 1-.7-2.2L16 11.5" {}
        }
    }
}
