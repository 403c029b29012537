//! The tables, in Markdown, for people and for the docs.

use super::book::{Book, Figure, Metric};
use super::conditions::Conditions;
use crate::subject::{Route, Subject};

/// All tables.
pub(crate) fn tables(book: &Book, conditions: &Conditions) -> String {
    let one = |metric, cell: fn(&Figure) -> String| {
        move |subject, route| book.figure(subject, route, metric).as_ref().map(cell)
    };
    let sections = [
        (
            "CPU of the server's process in ms per 1000 requests, and its ratio to the floor: the median of \
             the rounds, from the least to the most.",
            by_route(book, one(Metric::CpuMs, with_ratio)),
        ),
        (
            "Requests per second.",
            by_route(book, one(Metric::Rate, whole)),
        ),
        (
            "Latency in µs: the median, and the 99th percentile.",
            by_route(book, |subject, route| {
                let figure = |metric| book.figure(subject, route, metric);
                let (p50, p99) = (figure(Metric::P50)?, figure(Metric::P99)?);
                Some(format!("{}, {}", whole(&p50), whole(&p99)))
            }),
        ),
        (
            "The median of the latency in µs, with one connection.",
            by_route(book, one(Metric::AloneP50, whole)),
        ),
        (
            "What comes to Redis for each request.",
            by_route(book, |subject, route| {
                let sent = book.commands.get(&(subject, route))?.clone();
                Some(if sent.is_empty() {
                    "-".to_owned()
                } else {
                    sent
                })
            }),
        ),
        (
            "The time that Redis spends in these commands, in µs for each request.",
            by_route(
                book,
                one(Metric::CommandTime, |it| format!("{:.1}", it.value.median)),
            ),
        ),
        (
            "CPU of Redis, with reading and writing its sockets, in ms per 1000 requests.",
            by_route(book, one(Metric::RedisCpuMs, with_ratio)),
        ),
        (
            "Allocations for each request.",
            by_route(
                book,
                one(Metric::Allocations, |it| format!("{:.1}", it.value.median)),
            ),
        ),
        (
            "Bytes: in Redis of a session, and in the server of a request whose handler waits.",
            bytes(book),
        ),
    ];
    let mut out = format!("{conditions}\n");
    for (title, table) in sections {
        if !table.is_empty() {
            out.push_str(&format!("\n{title}\n\n{table}"));
        }
    }
    out
}

/// A table with a column for each route.
fn by_route(book: &Book, cell: impl Fn(Subject, Route) -> Option<String>) -> String {
    let routes = book.routes();
    let titles: Vec<_> = routes.iter().map(|route| route.title()).collect();
    rows(book, &titles, |subject| {
        routes.iter().map(|&route| cell(subject, route)).collect()
    })
}

fn bytes(book: &Book) -> String {
    let metrics = [Metric::SessionBytes, Metric::AllBytes, Metric::LiveBytes];
    let titles = ["a session", "and its part of an index", "a request"];
    rows(book, &titles, |subject| {
        let figure = |&metric: &Metric| book.figure(subject, None, metric).as_ref().map(whole);
        metrics.iter().map(figure).collect()
    })
}

/// A table with a row for each subject; rows without anything are left out.
fn rows(book: &Book, titles: &[&str], row: impl Fn(Subject) -> Vec<Option<String>>) -> String {
    let mut body = String::new();
    for subject in book.subjects() {
        let cells = row(subject);
        if cells.iter().any(Option::is_some) {
            let cells = cells.into_iter().map(Option::unwrap_or_default);
            let cells = cells.collect::<Vec<_>>().join(" | ");
            body.push_str(&format!("| {} | {cells} |\n", subject.title()));
        }
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
        // The floor itself.
        Some(ratio) if (ratio.least, ratio.most) == (1.0, 1.0) => format!("{value:.1}"),
        Some(ratio) if ratio.least == ratio.most => format!("{value:.1} = {:.2}x", ratio.median),
        Some(ratio) => format!(
            "{value:.1} = {:.2}x ({:.2} to {:.2})",
            ratio.median, ratio.least, ratio.most
        ),
    }
}
