//! The result for programs.

use std::fs;
use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::book::{Book, Figure, Metric};
use super::conditions::Conditions;
use crate::Problem;

pub(crate) fn write(book: &Book, conditions: &Conditions, file: &Path) -> Result<(), Problem> {
    let mut text = serde_json::to_string_pretty(&value(book, conditions)?)?;
    text.push('\n');
    Ok(fs::write(file, text)?)
}

fn value(book: &Book, conditions: &Conditions) -> Result<Value, Problem> {
    let mut results = Vec::new();
    for subject in book.subjects() {
        let routes = book.routes();
        let mut routes = routes.iter().map(|&route| Some(route)).collect::<Vec<_>>();
        routes.push(None);
        for route in routes {
            let own = |&((whose, where_, _), _): &((_, _, Metric), Figure)| {
                whose == subject && where_ == route
            };
            let mut figures = Map::new();
            for ((_, _, metric), figure) in book.figures().filter(own) {
                figures.insert(name(metric)?, serde_json::to_value(figure)?);
            }
            if figures.is_empty() {
                continue;
            }
            let commands = route.and_then(|route| book.commands.get(&(subject, route)));
            results.push(json!({
                "subject": subject.name(),
                // What belongs to no route is told of the subject.
                "route": route.map(crate::subject::Route::name),
                "sent": commands,
                "figures": figures,
            }));
        }
    }
    let growth: Result<Vec<Value>, Problem> = book
        .growth
        .figures()
        .map(|((axis, subject, route, x), cpu)| {
            Ok(json!({
                "axis": axis,
                "x": x,
                "subject": subject.name(),
                "route": route.name(),
                "cpu_ms": cpu,
            }))
        })
        .collect();
    Ok(json!({ "conditions": conditions, "results": results, "growth": growth? }))
}

fn name(metric: impl Serialize) -> Result<String, Problem> {
    let name = serde_json::to_value(metric)?;
    Ok(name.as_str().ok_or("a metric has a name")?.to_owned())
}
