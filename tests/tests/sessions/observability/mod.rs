//! Metrics and spans, and that they hold no secret.

mod commands;
mod failures;
mod lifecycle;
mod secrets;

use cloakroom::{Session, SessionError};
use tests::recorder::{MetricsRecorder, Series};

const DOCUMENT: &str = include_str!("../../../../docs/observability.md");

/// Checks all counters since the last call, and that there is one duration per command.
#[track_caller]
fn assert_recorded(recorder: &MetricsRecorder, wanted: &[&str]) {
    let (timed, counted): (Vec<_>, Vec<_>) = recorder
        .take()
        .into_iter()
        .partition(|series| !series.times.is_empty());
    let mut lines: Vec<_> = counted.iter().map(Series::line).collect();
    lines.sort();
    let mut wanted = wanted.to_vec();
    wanted.sort_unstable();
    assert_eq!(lines, wanted);

    for verb in ["create", "load", "update", "touch", "end"] {
        let of_verb = |series: &&Series| series.labels.get("verb").is_some_and(|of| of == verb);
        let commands = counted.iter().filter(|series| series.name == COMMANDS);
        let commands: u64 = commands.filter(of_verb).map(|series| series.count).sum();
        let times: u64 = timed
            .iter()
            .filter(of_verb)
            .map(|series| series.count)
            .sum();
        assert_eq!(times, commands, "{verb}");
    }
    for series in counted.iter().chain(&timed) {
        is_documented(&series.name, series.labels.values());
    }
}

const COMMANDS: &str = "cloakroom_store_commands_total";

/// Checks that the metric and each value of its labels are documented.
fn is_documented<'a>(name: &str, values: impl Iterator<Item = &'a String>) {
    let row = DOCUMENT
        .lines()
        .find(|line| line.starts_with(&format!("| `{name}` |")))
        .unwrap_or_else(|| panic!("docs/observability.md has no row for {name}"));
    for value in values {
        // Verbs and outcomes are in a separate table.
        let place = if row.contains("`verb`") {
            DOCUMENT
        } else {
            row
        };
        let is_there = place.contains(&format!("`{value}`"));
        assert!(is_there, "docs/observability.md: {name} lacks {value}");
    }
}

async fn nothing(_: Session) -> Result<(), SessionError> {
    Ok(())
}

async fn edit(session: Session) -> Result<(), SessionError> {
    session.insert("n", 2)
}

async fn destroy(session: Session) -> Result<(), SessionError> {
    session.destroy().await.map(drop)
}
