//! Notes: data of the session, with or without a user.

use axum::Form;
use axum::response::Redirect;
use cloakroom::{Key, Session, SessionError, SessionErrorKind};
use maud::{Markup, html};
use serde::{Deserialize, Serialize};

use super::layout::Confirmed;
use crate::flash::{self, Kind};

/// The notes of a session.
const NOTES: Key<Notes> = Key::new("notes");

/// The maximum length of a note, in characters.
const MAX_LENGTH: usize = 280;

/// Notes, and the number of the next one: numbers are not reused.
#[derive(Default, Serialize, Deserialize)]
struct Notes {
    next: u32,
    list: Vec<Note>,
}

#[derive(Serialize, Deserialize)]
struct Note {
    number: u32,
    text: String,
}

/// The form for a new note.
#[derive(Deserialize)]
pub(crate) struct NewNote {
    text: String,
}

/// The form that removes a note.
#[derive(Deserialize)]
pub(crate) struct OldNote {
    number: u32,
}

/// Adds a note.
pub(crate) async fn add(
    session: Session,
    Form(form): Form<NewNote>,
) -> Result<Redirect, SessionError> {
    let text = form.text.trim();
    let (kind, message) = match text.chars().count() {
        0 => (Kind::Error, "The note is empty."),
        1..=MAX_LENGTH => add_note(&session, text)?,
        _ => (
            Kind::Error,
            "The note is too long: the limit is 280 characters.",
        ),
    };
    flash::set(&session, kind, message)?;
    Ok(Redirect::to("/"))
}

/// Removes a note.
pub(crate) async fn remove(
    session: Session,
    Form(form): Form<OldNote>,
) -> Result<Redirect, SessionError> {
    session.update(NOTES, move |notes| {
        let mut notes = notes.unwrap_or_default();
        notes.list.retain(|note| note.number != form.number);
        notes
    })?;
    flash::set(&session, Kind::Success, "The note is removed.")?;
    Ok(Redirect::to("/"))
}

/// Adds a note, if the session does not get too large.
fn add_note(session: &Session, text: &str) -> Result<(Kind, &'static str), SessionError> {
    const FULL: &str = "The session is full: this demo limits it to 4 KiB. \
         Remove a note first, then add this one.";
    // The longest message is inserted first. A note that fits beside it leaves enough space for the small
    // entries that must always fit: the counter, a message, the user.
    flash::set(session, Kind::Error, FULL)?;
    let text = text.to_owned();
    // `update` rather than `insert`: if another tab adds a note concurrently, the closure runs again on the
    // stored notes, and neither note is lost.
    let added = session.update(NOTES, move |notes| {
        let mut notes = notes.unwrap_or_default();
        let number = notes.next;
        notes.next += 1;
        let text = text.clone();
        notes.list.push(Note { number, text });
        notes
    });
    match added {
        Ok(_) => Ok((Kind::Success, "The note is added.")),
        Err(error) if error.kind() == SessionErrorKind::TooLarge => Ok((Kind::Error, FULL)),
        Err(error) => Err(error),
    }
}

/// The notes, and the form for a new one.
pub(super) fn section(session: &Session) -> Result<Markup, SessionError> {
    let notes = session.get(NOTES)?.unwrap_or_default();
    Ok(html! {
        section.card #notes aria-labelledby="notes-title" {
            h2 #notes-title { "Notes" }
            @if notes.list.is_empty() {
                p.empty { "No notes yet. They are kept as long as the session." }
            } @else {
                ul.notes {
                    @for note in &notes.list { (item(note)) }
                }
            }
            form.add method="post" action="/notes" {
                label for="text" { "New note" }
                div.row {
                    input #text name="text" type="text" maxlength=(MAX_LENGTH) autocomplete="off" required;
                    button type="submit" { "Add" }
                }
            }
        }
    })
}

fn item(note: &Note) -> Markup {
    html! {
        li {
            span.text { (note.text) }
            (Confirmed {
                label: "Remove",
                detail: &format!(": {}", note.text),
                action: "/notes/remove",
                field: Some(("number", note.number.to_string())),
            }.render())
        }
    }
}
