//! How the cost grows: a panel for each axis, logarithmic both ways.

use std::collections::BTreeSet;

use super::super::book::{Axis, Growth};
use super::bars::ink;
use super::svg::{Anchor, Ink, Sheet};
use crate::subject::{Route, Subject};

const PANEL: f64 = 300.0;
const HEIGHT: f64 = 220.0;
const TOP: f64 = 66.0;
const LEFT: f64 = 42.0;
const GAP: f64 = 34.0;

const TITLE: &str = "CPU of the server in ms per 1000 requests, as it grows";

pub(super) fn draw(growth: &Growth) -> String {
    let axes = [
        (Axis::Entries, "small entries"),
        (Axis::Bytes, "bytes of a session"),
        (Axis::Connections, "connections"),
    ];
    let width = axes.len() as f64 * (PANEL + GAP);
    let mut sheet = Sheet::new(width, TOP + HEIGHT + 92.0, TITLE);
    legend(&mut sheet, growth, TOP + HEIGHT + 62.0);
    for (number, (axis, name)) in axes.into_iter().enumerate() {
        let x = number as f64 * (PANEL + GAP);
        panel(&mut sheet, growth, axis, x);
        sheet.text(Ink::Muted, Anchor::Start, (x + LEFT, TOP - 16.0), name);
    }
    sheet.finish()
}

fn panel(sheet: &mut Sheet, growth: &Growth, axis: Axis, left: f64) {
    let points: Vec<_> = growth
        .figures()
        .filter(|(key, _)| key.0 == axis)
        .map(|((_, subject, route, x), figure)| (subject, route, x, figure.value.median))
        .collect();
    let scale = Scale::of(points.iter().map(|&(_, _, x, y)| (x, y)), left);
    for &tick in scale.ys() {
        let y = scale.y(tick);
        let end = left + PANEL;
        sheet.line(Ink::Grid, 1.0, "", &[(left + LEFT, y), (end, y)]);
        let at = (left + LEFT - 6.0, y + 4.0);
        sheet.text(Ink::Muted, Anchor::End, at, &tick.to_string());
    }
    for &tick in &scale.xs {
        let at = (scale.x(tick), TOP + HEIGHT + 18.0);
        sheet.text(Ink::Muted, Anchor::Middle, at, &short(tick));
    }
    let mut lines: Vec<(Subject, Route)> = points.iter().map(|it| (it.0, it.1)).collect();
    lines.dedup();
    for (subject, route) in lines {
        let own = points.iter().filter(|it| (it.0, it.1) == (subject, route));
        let own: Vec<_> = own.map(|it| (scale.x(it.2), scale.y(it.3))).collect();
        sheet.line(ink(subject), 2.0, dashes(route), &own);
    }
}

/// A row for each route, a column for each subject.
fn legend(sheet: &mut Sheet, growth: &Growth, top: f64) {
    let (subjects, routes): (BTreeSet<_>, BTreeSet<_>) =
        growth.figures().map(|(key, _)| (key.1, key.2)).unzip();
    for (column, &subject) in subjects.iter().enumerate() {
        for (row, &route) in routes.iter().enumerate() {
            let x = LEFT + column as f64 * (PANEL + GAP);
            let y = top + row as f64 * 20.0;
            let line = [(x, y - 4.0), (x + 30.0, y - 4.0)];
            sheet.line(ink(subject), 2.0, dashes(route), &line);
            let text = format!("{}, {}", subject.plain_title(), route.title());
            sheet.text(Ink::Muted, Anchor::Start, (x + 36.0, y), &text);
        }
    }
}

fn dashes(route: Route) -> &'static str {
    match route {
        Route::Write => "6 4",
        _ => "",
    }
}

/// A number as one says it: 64 Ki, 1 Mi.
fn short(number: usize) -> String {
    match number {
        ..1024 => number.to_string(),
        1024..1_048_576 => format!("{} Ki", number / 1024),
        _ => format!("{} Mi", number / 1_048_576),
    }
}

/// Where a value lies in a panel.
struct Scale {
    left: f64,
    xs: Vec<usize>,
    least: f64,
    most: f64,
}

const TICKS: [f64; 13] = [
    1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10_000.0,
];

impl Scale {
    fn of(points: impl Iterator<Item = (usize, f64)>, left: f64) -> Self {
        let (mut xs, ys): (Vec<_>, Vec<_>) = points.unzip();
        xs.sort_unstable();
        xs.dedup();
        let least = ys.iter().copied().fold(f64::INFINITY, f64::min);
        let most = ys.iter().copied().fold(0.0, f64::max);
        let below = TICKS.iter().rev().find(|&&tick| tick <= least);
        let above = TICKS.iter().find(|&&tick| tick >= most);
        Self {
            left,
            xs,
            least: below.copied().unwrap_or(1.0),
            most: above.copied().unwrap_or(10_000.0),
        }
    }

    fn ys(&self) -> impl Iterator<Item = &f64> {
        let inside = |tick: &&f64| (self.least..=self.most).contains(*tick);
        TICKS.iter().filter(inside)
    }

    /// The values stand side by side, each as far from the next.
    fn x(&self, value: usize) -> f64 {
        let place = self.xs.iter().position(|&x| x == value).unwrap_or(0);
        let steps = self.xs.len().saturating_sub(1).max(1);
        let inset = 16.0;
        let room = PANEL - LEFT - 2.0 * inset;
        self.left + LEFT + inset + room * place as f64 / steps as f64
    }

    fn y(&self, value: f64) -> f64 {
        let part = (value / self.least).ln() / (self.most / self.least).ln();
        TOP + HEIGHT * (1.0 - part)
    }
}
