//! The table of the races, in Markdown.

use std::fmt::Write as _;

use clap::ValueEnum;

use super::{Race, Tally};
use crate::subject::Subject;

impl Race {
    /// What happens to the user if it goes wrong.
    fn title(self) -> &'static str {
        match self {
            Self::Edits => "lost update: two requests write different keys",
            Self::SignOut => "signed in again: a slow request writes while the user signs out",
            Self::SignIn => {
                "signed out, or the cart lost: a slow request writes while the visitor signs in"
            }
            Self::TwoRenewals => "signed out, or the cart lost: two requests renew the session",
            Self::TwoSignIns => "signed out, or the cart lost: two requests sign the visitor in",
        }
    }
}

/// Returns the table: a row for each race, a column for each library.
pub(super) fn table(tallies: &[Tally]) -> String {
    let mut subjects: Vec<Subject> = Vec::new();
    for tally in tallies {
        if !subjects.contains(&tally.subject) {
            subjects.push(tally.subject);
        }
    }
    let trials = tallies.first().map_or(0, |tally| tally.trials);
    let mut text = format!("Of {trials} races each, on two servers with one Redis:\n\n|");
    for subject in &subjects {
        text.push_str(" | ");
        text.push_str(subject.title());
    }
    text.push_str(" |\n|---|");
    text.push_str(&"---|".repeat(subjects.len()));
    text.push('\n');
    for &race in Race::value_variants() {
        let _ = write!(text, "| {} |", race.title());
        for &subject in &subjects {
            let mut cells = tallies.iter();
            let tally = cells.find(|tally| (tally.subject, tally.race) == (subject, race));
            let _ = write!(text, " {} |", tally.map_or_else(String::new, cell));
        }
        text.push('\n');
    }
    text
}

/// The number of failures, and of refused requests if there are any.
fn cell(tally: &Tally) -> String {
    let failed = match tally.failed {
        0 => "**0**".to_owned(),
        failed => failed.to_string(),
    };
    match tally.refused {
        0 => failed,
        refused => format!("{failed} ({refused} refused)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_for_each_race_and_a_column_for_each_subject() {
        let tally = |subject, race, failed, refused| Tally {
            subject,
            race,
            trials: 9,
            failed,
            refused,
        };
        let text = table(&[
            tally(Subject::Cloakroom, Race::Edits, 0, 0),
            tally(Subject::TowerSessions, Race::Edits, 9, 2),
        ]);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[2], "| | **Cloakroom** | tower-sessions 0.14 |");
        assert_eq!(lines[3], "|---|---|---|");
        assert!(lines[4].ends_with("| **0** | 9 (2 refused) |"), "{text}");
        assert_eq!(lines.len(), 4 + Race::value_variants().len());
    }
}
