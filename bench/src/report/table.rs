//! The tables, in Markdown, for people and for the docs.

use std::fmt::Write;

use super::book::{Book, Figure, Metric};
use super::conditions::Conditions;
use crate::subject::{Route, Subject};

/// All tables.
pub(crate) fn tables(book: &Book, conditions: &Conditions) -> String {
    let mut out = format!("{conditions}\n");
    let mut table = |title: &str, metric, cell: fn(&Figure) -> String| {
        let table = by_route(book, metric, cell);
        if !table.is_empty() {
            out.push_str(&format!("\n{title}\n\n{table}"));
        }
    };
    table(
        "CPU of the server's process, in ms per 1000 requests, and its ratio to the floor: the median of \
         the rounds (the least to the most).",
        Metric::CpuMs,
        with_ratio,
    );
    table("Requests per second.", Metric::Rate, |it| {
        format!("{:.0}", it.value.median)
    });
    table(
        "Latency in µs: the median, and in brackets what all but one in a hundred stay below, in the table after it.",
        Metric::P50,
        whole,
    );
    table(
        "The 99th percentile of the latency, in µs.",
        Metric::P99,
        whole,
    );
    table(
        "The median of the latency with one connection, in µs.",
        Metric::AloneP50,
        whole,
    );
    table(
        "CPU of Redis, in ms per 1000 requests, and its ratio.",
        Metric::RedisCpuMs,
        with_ratio,
    );
    table(
        "The time that Redis spends in commands, in µs for each request.",
        Metric::CommandTime,
        |it| format!("{:.2}", it.value.median),
    );
    table("Allocations for each request.", Metric::Allocations, |it| {
        format!("{:.1}", it.value.median)
    });
    out.push_str(&commands(book));
    out.push_str(&bytes(book));
    out
}

/// A table with a row for each subject, and a column for each route.
fn by_route(book: &Book, metric: Metric, cell: fn(&Figure) -> String) -> String {
    let routes = book.routes();
    rows(
        book,
        &routes.iter().map(|route| route.title()).collect::<Vec<_>>(),
        |subject| {
            let figure = |&route: &Route| book.figure(subject, route, metric);
            routes
                .iter()
                .map(|route| figure(route).as_ref().map(cell))
                .collect()
        },
    )
}

/// What is sent to Redis.
fn commands(book: &Book) -> String {
    let routes = book.routes();
    let titles: Vec<_> = routes.iter().map(|route| route.title()).collect();
    let table = rows(book, &titles, |subject| {
        let sent = |&route: &Route| Some(book.commands.get(&(subject, route))?.clone());
        let or_nothing = |sent: String| {
            if sent.is_empty() {
                "-".to_owned()
            } else {
                sent
            }
        };
        routes
            .iter()
            .map(|route| sent(route).map(or_nothing))
            .collect()
    });
    format!("\nCommands that came to Redis for each request.\n\n{table}")
}

/// What sessions and requests take in memory.
fn bytes(book: &Book) -> String {
    let metrics = [Metric::SessionBytes, Metric::AllBytes, Metric::LiveBytes];
    let titles = [
        "a session",
        "with its part of an index",
        "a waiting request",
    ];
    let table = rows(book, &titles, |subject| {
        let figure = |&metric: &Metric| book.figure(subject, None, metric).as_ref().map(whole);
        metrics.iter().map(figure).collect()
    });
    format!("\nBytes: in Redis of a session, and in the server of a request.\n\n{table}")
}

/// A table of these rows; rows without anything are left out.
fn rows(book: &Book, titles: &[&str], row: impl Fn(Subject) -> Vec<Option<String>>) -> String {
    let mut body = String::new();
    for subject in book.subjects() {
        let cells = row(subject);
        if cells.iter().all(Option::is_none) {
            continue;
        }
        let cells = cells.into_iter().map(Option::unwrap_or_default);
        let line = cells.collect::<Vec<_>>().join(" | ");
        drop(writeln!(body, "| {} | {line} |", subject.title()));
    }
    if body.is_empty() {
        return body;
    }
    let rule = "|---".repeat(titles.len() + 1);
    format!("| | {} |\n{rule}|\n{body}", titles.join(" | "))
}

fn whole(figure: &Figure) -> String {
    format!("{:.0}", figure.value.median)
}

fn with_ratio(figure: &Figure) -> String {
    let value = figure.value.median;
    match figure.ratio {
        None => format!("{value:.1}"),
        Some(ratio) if ratio.least == 1.0 && ratio.most == 1.0 => format!("{value:.1}"),
        Some(ratio) => format!(
            "{value:.1} = **{:.2}x** ({:.2} to {:.2})",
            ratio.median, ratio.least, ratio.most
        ),
    }
}
