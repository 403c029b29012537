//! Notes: what a session keeps for its browser, whoever is signed in.

use axum::Form;
use axum::response::Redirect;
use cloakroom::{Key, Session, SessionError, SessionErrorKind};
use maud::{Markup, html};
use serde::{Deserialize, Serialize};

use crate::flash::{self, Tone};

/// The notes of a session.
const NOTES: Key<Notes> = Key::new("notes");

/// The longest note, in characters.
const LONGEST: usize = 280;

/// Notes, and the number that the next one gets: numbers are never given twice.
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

/// What the form for a new note sends.
#[derive(Deserialize)]
pub(crate) struct NewNote {
    text: String,
}

/// What the button of a note sends.
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
    let (tone, answer) = match text.chars().count() {
        0 => (Tone::Bad, "There was nothing on that note."),
        1..=LONGEST => put_in(&session, text)?,
        _ => (
            Tone::Bad,
            "That note is too long: 280 characters fit on one.",
        ),
    };
    flash::say(&session, tone, answer)?;
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
    flash::say(&session, Tone::Good, "The note is gone.")?;
    Ok(Redirect::to("/"))
}

/// Puts a note in, if there is room.
fn put_in(session: &Session, text: &str) -> Result<(Tone, &'static str), SessionError> {
    const FULL: &str = "Your pockets are full, and a session should stay small. \
         Take a note out first, then there is room for this one.";
    // The longest message goes in first. So what fits beside it leaves room for all the small things
    // that a session must always be able to take: the counter, a message, who is signed in.
    flash::say(session, Tone::Bad, FULL)?;
    let text = text.to_owned();
    // `update` rather than `insert`: if another tab adds one at this very moment, this runs again, on
    // what that tab has stored, and neither note is lost.
    let added = session.update(NOTES, move |notes| {
        let mut notes = notes.unwrap_or_default();
        let number = notes.next;
        notes.next += 1;
        let text = text.clone();
        notes.list.push(Note { number, text });
        notes
    });
    match added {
        Ok(_) => Ok((Tone::Good, "The note is in your pocket.")),
        Err(error) if error.kind() == SessionErrorKind::TooLarge => Ok((Tone::Bad, FULL)),
        Err(error) => Err(error),
    }
}

/// The notes, and the form for another one.
pub(super) fn section(session: &Session) -> Result<Markup, SessionError> {
    let notes = session.get(NOTES)?.unwrap_or_default();
    Ok(html! {
        section.card #notes aria-labelledby="notes-title" {
            h2 #notes-title { "In your pockets" }
            @if notes.list.is_empty() {
                p.empty { "Nothing yet. A note stays as long as your session does." }
            } @else {
                ul.notes {
                    @for note in &notes.list { (line(note)) }
                }
            }
            form.add method="post" action="/notes" {
                label for="text" { "Another note" }
                div.row {
                    input #text name="text" type="text" maxlength=(LONGEST) autocomplete="off" required;
                    button type="submit" { "Add" }
                }
            }
        }
    })
}

fn line(note: &Note) -> Markup {
    html! {
        li {
            span.text { (note.text) }
            form method="post" action="/notes/remove" {
                input type="hidden" name="number" value=(note.number);
                button.quiet type="submit" aria-label={ "Remove the note: " (note.text) } { "Remove" }
            }
        }
    }
}
