//! The tables, in Markdown, for the terminal and the docs.

use super::results::{Figure, Metric, Results};
use crate::subject::{Route, Subject};

type Cell = fn(&Results, Subject, Route) -> Option<String>;

/// The tables with a column for each route: the title, and the text of a cell.
const BY_ROUTE: [(&str, Cell); 9] = [
    (
        "CPU per request, compared to the baseline: of the server's process, and of Redis with reading and \
         writing its sockets.",
        ratios,
    ),
    (
        "CPU of the server's process in ms per 1000 requests, and its ratio to the baseline: the median of \
         the rounds (minimum to maximum).",
        |it, subject, route| it.figure(subject, route, Metric::CpuMs).map(with_ratio),
    ),
    ("Requests per second.", |it, subject, route| {
        it.figure(subject, route, Metric::Rate).map(whole)
    }),
    (
        "Latency in µs: the median, and the 99th percentile.",
        |it, subject, route| {
            let p50 = it.figure(subject, route, Metric::P50)?;
            let p99 = it.figure(subject, route, Metric::P99)?;
            Some(format!("{}, {}", whole(p50), whole(p99)))
        },
    ),
    (
        "Median latency in µs, with one connection.",
        |it, subject, route| {
            it.figure(subject, route, Metric::SingleConnectionP50)
                .map(whole)
        },
    ),
    (
        "Commands that are sent to Redis, per request.",
        |it, subject, route| match it.commands(subject, route)? {
            "" => Some("-".to_owned()),
            commands => Some(commands.to_owned()),
        },
    ),
    (
        "Time that Redis spends in these commands, in µs per request.",
        |it, subject, route| it.figure(subject, route, Metric::CommandTime).map(tenths),
    ),
    (
        "CPU of Redis, with reading and writing its sockets, in ms per 1000 requests.",
        |it, subject, route| {
            it.figure(subject, route, Metric::RedisCpuMs)
                .map(with_ratio)
        },
    ),
    ("Allocations per request.", |it, subject, route| {
        it.figure(subject, route, Metric::Allocations).map(tenths)
    }),
];

/// The columns of the last table.
const BYTES: [(&str, Metric); 3] = [
    ("a session", Metric::SessionBytes),
    ("and its part of an index", Metric::AllBytes),
    ("a request", Metric::RequestBytes),
];

/// Returns all tables, under a heading for each setting.
pub(crate) fn tables(all: &[Results]) -> String {
    let tables = all.iter().map(|results| {
        let (setting, tables) = (results.conditions.setting, tables_of(results));
        format!("### {setting}\n\n{tables}")
    });
    tables.collect::<Vec<_>>().join("\n")
}

fn tables_of(results: &Results) -> String {
    let mut out = format!("{}\n", results.conditions);
    let routes = results.routes();
    let titles: Vec<_> = routes.iter().map(|route| route.title()).collect();
    for (title, cell) in BY_ROUTE {
        let body = table(results, &titles, |subject| {
            let cells = routes.iter().map(|&route| cell(results, subject, route));
            cells.collect()
        });
        add(&mut out, title, &body);
    }
    let body = table(results, &BYTES.map(|(title, _)| title), |subject| {
        let cells = BYTES.iter();
        let cells = cells.map(|&(_, metric)| results.figure(subject, None, metric).map(whole));
        cells.collect()
    });
    let title =
        "Bytes: in Redis for a session, and in the server for a request whose handler waits.";
    add(&mut out, title, &body);
    out
}

fn add(out: &mut String, title: &str, table: &str) {
    if !table.is_empty() {
        out.push_str(&format!("\n{title}\n\n{table}"));
    }
}

/// Returns a table with a row for each subject. Rows without figures are omitted.
fn table(
    results: &Results,
    titles: &[&str],
    row: impl Fn(Subject) -> Vec<Option<String>>,
) -> String {
    let mut body = String::new();
    for subject in results.subjects() {
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

/// The ratios of the CPU of the server's process and of Redis.
fn ratios(results: &Results, subject: Subject, route: Route) -> Option<String> {
    let server = results.figure(subject, route, Metric::CpuMs)?.ratio?.median;
    let redis = results.figure(subject, route, Metric::RedisCpuMs)?.ratio;
    Some(match redis {
        Some(redis) => format!("{server:.2}x, Redis {:.2}x", redis.median),
        None => format!("{server:.2}x"),
    })
}

fn whole(figure: &Figure) -> String {
    format!("{:.0}", figure.value.median)
}

fn tenths(figure: &Figure) -> String {
    format!("{:.1}", figure.value.median)
}

fn with_ratio(figure: &Figure) -> String {
    let value = figure.value.median;
    match figure.ratio {
        None => format!("{value:.1}"),
        // The baseline itself.
        Some(ratio) if (ratio.min, ratio.max) == (1.0, 1.0) => format!("{value:.1}"),
        Some(ratio) if ratio.min == ratio.max => format!("{value:.1} = {:.2}x", ratio.median),
        Some(ratio) => format!(
            "{value:.1} = {:.2}x ({:.2} to {:.2})",
            ratio.median, ratio.min, ratio.max
        ),
    }
}
