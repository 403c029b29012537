//! Samples, and the results that are computed from them: medians, and medians of the ratio to the
//! baseline in the same round.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::conditions::Conditions;
use crate::subject::{Route, Subject};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Metric {
    /// CPU of the server's process, in ms per 1000 requests.
    CpuMs,
    /// CPU of its Redis, in ms per 1000 requests.
    RedisCpuMs,
    /// Requests per second.
    Rate,
    /// The median of the latency in µs.
    P50,
    /// The 99th percentile of the latency in µs.
    P99,
    /// The median of the latency in µs, with one connection.
    SingleConnectionP50,
    /// Commands that clients send to Redis, per request.
    Commands,
    /// Time in µs that Redis spends in these commands, per request.
    CommandTime,
    /// Allocations and reallocations of the server, per request.
    Allocations,
    /// Bytes in Redis of one session.
    SessionBytes,
    /// Bytes in Redis of all that is stored for one session.
    AllBytes,
    /// Bytes of the server's memory that a request occupies while its handler waits.
    RequestBytes,
}

/// What grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Axis {
    /// Small entries in a session, besides the usual five.
    Entries,
    /// Bytes of a session, nearly all in one large entry.
    Bytes,
    /// Connections that send requests at the same time.
    Connections,
}

/// A baseline below this, in any unit, is too small for a meaningful ratio.
const MIN_BASELINE: f64 = 0.05;

/// The samples of all rounds.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    samples: BTreeMap<(Subject, Option<Route>, Metric), Vec<f64>>,
    commands: BTreeMap<(Subject, Route), String>,
    growth: BTreeMap<(Axis, Subject, Route, usize), Vec<f64>>,
}

impl Samples {
    /// Adds a sample. The samples of all subjects must come in the same order of rounds.
    pub(crate) fn record(
        &mut self,
        subject: Subject,
        route: impl Into<Option<Route>>,
        metric: Metric,
        sample: f64,
    ) {
        let key = (subject, route.into(), metric);
        self.samples.entry(key).or_default().push(sample);
    }

    /// Adds a description of the commands that a request sends.
    pub(crate) fn record_commands(&mut self, subject: Subject, route: Route, commands: String) {
        self.commands.insert((subject, route), commands);
    }

    /// Adds a sample of the CPU milliseconds per 1000 requests, at a position on an axis.
    pub(crate) fn record_growth(
        &mut self,
        axis: Axis,
        subject: Subject,
        route: Route,
        x: usize,
        sample: f64,
    ) {
        let key = (axis, subject, route, x);
        self.growth.entry(key).or_default().push(sample);
    }

    pub(crate) fn summarize(&self, conditions: Conditions) -> Results {
        let mut results: Vec<Row> = Vec::new();
        for (&(subject, route, metric), samples) in &self.samples {
            let baseline = self.samples.get(&(Subject::Baseline, route, metric));
            let Some(figure) = Figure::of(samples, baseline) else {
                continue;
            };
            match results.last_mut() {
                Some(row) if (row.subject, row.route) == (subject, route) => {
                    row.figures.insert(metric, figure);
                }
                _ => results.push(Row {
                    subject,
                    route,
                    commands: route.and_then(|route| self.commands.get(&(subject, route)).cloned()),
                    figures: BTreeMap::from([(metric, figure)]),
                }),
            }
        }
        let growth = self.growth.iter();
        let growth = growth.filter_map(|(&(axis, subject, route, x), samples)| {
            let baseline = self.growth.get(&(axis, Subject::Baseline, route, x));
            Some(GrowthPoint {
                axis,
                subject,
                route,
                x,
                cpu_ms: Figure::of(samples, baseline)?,
            })
        });
        Results {
            conditions,
            growth: growth.collect(),
            results,
        }
    }
}

/// The results, as `--json` writes them.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) conditions: Conditions,
    results: Vec<Row>,
    pub(crate) growth: Vec<GrowthPoint>,
}

/// The results of a subject on a route.
#[derive(Debug, Serialize, Deserialize)]
struct Row {
    subject: Subject,
    /// `None` for figures that belong to no route.
    route: Option<Route>,
    commands: Option<String>,
    figures: BTreeMap<Metric, Figure>,
}

/// The CPU per request of a subject on a route, at a position on an axis.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct GrowthPoint {
    pub(crate) axis: Axis,
    pub(crate) subject: Subject,
    pub(crate) route: Route,
    pub(crate) x: usize,
    pub(crate) cpu_ms: Figure,
}

/// What the samples of all rounds amount to.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Figure {
    #[serde(flatten)]
    pub(crate) value: Summary,
    /// To the baseline in the same round. That of the baseline itself is 1; there is none where the
    /// baseline is nearly zero.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ratio: Option<Summary>,
}

/// A median, and the extremes.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Summary {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Results {
    /// Returns a figure, if it was measured.
    pub(crate) fn figure(
        &self,
        subject: Subject,
        route: impl Into<Option<Route>>,
        metric: Metric,
    ) -> Option<&Figure> {
        self.row(subject, route.into())?.figures.get(&metric)
    }

    /// Returns a description of the commands that a request sends.
    pub(crate) fn commands(&self, subject: Subject, route: Route) -> Option<&str> {
        self.row(subject, Some(route))?.commands.as_deref()
    }

    /// Returns what was measured, in the order of the tables.
    pub(crate) fn subjects(&self) -> Vec<Subject> {
        let mut subjects: Vec<_> = self.results.iter().map(|row| row.subject).collect();
        subjects.sort_unstable();
        subjects.dedup();
        subjects
    }

    /// Returns the routes that were measured, in the order of the tables.
    pub(crate) fn routes(&self) -> Vec<Route> {
        let mut routes: Vec<_> = self.results.iter().filter_map(|row| row.route).collect();
        routes.sort_unstable();
        routes.dedup();
        routes
    }

    fn row(&self, subject: Subject, route: Option<Route>) -> Option<&Row> {
        let mut rows = self.results.iter();
        rows.find(|row| (row.subject, row.route) == (subject, route))
    }
}

impl Figure {
    fn of(samples: &[f64], baseline: Option<&Vec<f64>>) -> Option<Self> {
        Some(Self {
            value: Summary::of(samples)?,
            ratio: baseline.and_then(|baseline| Summary::of_ratios(samples, baseline)),
        })
    }
}

impl Summary {
    fn of(samples: &[f64]) -> Option<Self> {
        let mut sorted = samples.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let median = if sorted.len().is_multiple_of(2) {
            f64::midpoint(*sorted.get(middle.checked_sub(1)?)?, *sorted.get(middle)?)
        } else {
            *sorted.get(middle)?
        };
        Some(Self {
            median,
            min: *sorted.first()?,
            max: *sorted.last()?,
        })
    }

    fn of_ratios(samples: &[f64], baseline: &[f64]) -> Option<Self> {
        if baseline.iter().any(|&baseline| baseline < MIN_BASELINE) {
            return None;
        }
        let rounds = samples.iter().zip(baseline);
        let ratios: Vec<_> = rounds.map(|(own, baseline)| own / baseline).collect();
        Self::of(&ratios)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_the_median_over_rounds_and_not_the_ratio_of_medians() {
        let figure = Figure::of(&[2.0, 11.0, 3.0], Some(&vec![1.0, 10.0, 2.0]));
        let figure = figure.expect("there are samples");
        assert_eq!(figure.value.median, 3.0);
        let ratio = figure.ratio.expect("there is a baseline");
        assert_eq!((ratio.min, ratio.median, ratio.max), (1.1, 1.5, 2.0));
    }

    #[test]
    fn an_even_number_of_rounds_has_its_median_in_between() {
        let summary = Summary::of(&[4.0, 1.0, 3.0, 2.0]).expect("there are samples");
        assert_eq!((summary.min, summary.median, summary.max), (1.0, 2.5, 4.0));
        assert!(Summary::of(&[]).is_none());
    }

    #[test]
    fn there_is_no_ratio_to_nearly_nothing() {
        let figure = Figure::of(&[2.0], Some(&vec![0.01])).expect("there is a sample");
        assert!(figure.ratio.is_none());
    }
}
