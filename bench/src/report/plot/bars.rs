//! A row of bars for each subject, a column for each route; the line is the floor.

use super::super::book::{Book, Figure, Metric};
use super::svg::{Anchor, Ink, Sheet};
use crate::subject::{Route, Subject};

const NAMES: f64 = 260.0;
const COLUMN: f64 = 140.0;
const GAP: f64 = 14.0;
const ROW: f64 = 26.0;
const HEAD: f64 = 56.0;

/// So much of the floor is the longest bar; what is longer is cut off, and its number tells.
const LONGEST: f64 = 4.0;

/// Room beside the longest bar, for its number.
const NUMBER: f64 = 36.0;

/// Draws bars of the length, and with the number, that `bar` makes of a figure.
pub(super) fn draw(
    book: &Book,
    metric: Metric,
    title: &str,
    bar: fn(&Figure) -> Option<(f64, String)>,
) -> String {
    let (subjects, routes) = (book.subjects(), book.routes());
    let width = NAMES + routes.len() as f64 * (COLUMN + GAP);
    let bottom = HEAD + subjects.len() as f64 * ROW;
    let mut sheet = Sheet::new(width, bottom + 8.0, title);
    for (column, route) in routes.iter().enumerate() {
        let x = left(column);
        sheet.text(Ink::Muted, Anchor::Start, (x, HEAD - 12.0), route.title());
        sheet.line(Ink::Grid, 1.0, "", &[(x, HEAD - 4.0), (x, bottom)]);
    }
    for (row, &subject) in subjects.iter().enumerate() {
        let y = HEAD + row as f64 * ROW;
        let name = (NAMES - GAP, y + 17.0);
        sheet.text(name_ink(subject), Anchor::End, name, &subject.plain_title());
        let mut draw = |column, route: Route| {
            let (length, number) = bar(&book.figure(subject, route, metric)?)?;
            cell(&mut sheet, ink(subject), (left(column), y), length, &number);
            Some(())
        };
        for (column, &route) in routes.iter().enumerate() {
            // Not every subject has every route.
            draw(column, route).unwrap_or_default();
        }
    }
    for column in 0..routes.len() {
        let x = left(column) + unit();
        sheet.line(Ink::Muted, 1.0, "2 3", &[(x, HEAD - 4.0), (x, bottom)]);
    }
    sheet.finish()
}

fn cell(sheet: &mut Sheet, ink: Ink, (x, y): (f64, f64), length: f64, number: &str) {
    let width = length.min(LONGEST) * unit();
    sheet.bar(ink, (x, y + 5.0), (width.max(1.0), ROW - 10.0));
    if length > LONGEST {
        // A gap near the end tells that it goes on.
        sheet.bar(Ink::Grid, (x + width - 10.0, y + 3.0), (4.0, ROW - 6.0));
    }
    let text = if ink == Ink::Other {
        Ink::Muted
    } else {
        Ink::Text
    };
    sheet.text(text, Anchor::Start, (x + width + 5.0, y + 17.0), number);
}

fn left(column: usize) -> f64 {
    NAMES + column as f64 * (COLUMN + GAP)
}

/// The length of the floor's bar.
fn unit() -> f64 {
    (COLUMN - NUMBER) / LONGEST
}

fn name_ink(subject: Subject) -> Ink {
    match ink(subject) {
        Ink::Floor | Ink::Other => Ink::Muted,
        _ => Ink::Text,
    }
}

pub(super) fn ink(subject: Subject) -> Ink {
    match subject {
        Subject::Floor | Subject::FloorNodelay | Subject::FloorLayered => Ink::Floor,
        Subject::Cloakroom | Subject::CloakroomTouching => Ink::Own,
        Subject::CloakroomNear => Ink::Near,
        _ => Ink::Other,
    }
}
