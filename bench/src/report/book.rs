//! Samples, and what they come to: medians, and medians of the ratio to the floor in the same round.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::subject::{Route, Subject};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Metric {
    /// CPU of the server's process, in ms per 1000 requests.
    CpuMs,
    /// CPU of its Redis, in ms per 1000 requests.
    RedisCpuMs,
    /// Requests per second.
    Rate,
    /// Latency in µs.
    P50,
    P99,
    /// Latency in µs, with one connection.
    AloneP50,
    /// Commands that came to Redis, for each request.
    Commands,
    /// Time in µs that Redis spent in these commands, for each request.
    CommandTime,
    /// Allocations and reallocations of the server, for each request.
    Allocations,
    /// Bytes in Redis of one session.
    SessionBytes,
    /// Bytes in Redis of all that is kept for one session.
    AllBytes,
    /// Bytes of the server's memory that a request keeps while its handler waits.
    LiveBytes,
}

/// What is less, in whatever unit, has no ratio to it that would tell anything.
const NEXT_TO_NOTHING: f64 = 0.05;

/// The samples of all rounds.
#[derive(Debug, Default)]
pub(crate) struct Book {
    samples: BTreeMap<Key, Vec<f64>>,
    /// Which commands a request sends, for people.
    pub(crate) commands: BTreeMap<(Subject, Route), String>,
    pub(crate) growth: Growth,
}

type Key = (Subject, Option<Route>, Metric);

/// A median, and the extremes.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Middle {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

/// What the samples come to.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Figure {
    #[serde(flatten)]
    pub(crate) value: Middle,
    /// To the floor in the same round. The floor itself has one too, which is 1; nothing has one
    /// where the floor has none of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ratio: Option<Middle>,
}

impl Book {
    /// Writes down a sample. All subjects must have theirs in the same order of rounds.
    pub(crate) fn note(
        &mut self,
        subject: Subject,
        route: impl Into<Option<Route>>,
        metric: Metric,
        sample: f64,
    ) {
        let key = (subject, route.into(), metric);
        self.samples.entry(key).or_default().push(sample);
    }

    /// What was measured, if it was.
    pub(crate) fn figure(
        &self,
        subject: Subject,
        route: impl Into<Option<Route>>,
        metric: Metric,
    ) -> Option<Figure> {
        let route = route.into();
        let samples = self.samples.get(&(subject, route, metric))?;
        Some(Figure {
            value: Middle::of(samples)?,
            ratio: self
                .samples
                .get(&(Subject::Floor, route, metric))
                .and_then(|floor| Middle::of_ratios(samples, floor)),
        })
    }

    /// Everything that was measured.
    pub(crate) fn figures(&self) -> impl Iterator<Item = (Key, Figure)> {
        let keys = self.samples.keys();
        keys.filter_map(|&key| Some((key, self.figure(key.0, key.1, key.2)?)))
    }

    /// Who was measured, in the order in which they are shown.
    pub(crate) fn subjects(&self) -> Vec<Subject> {
        let mut subjects: Vec<_> = self.samples.keys().map(|key| key.0).collect();
        subjects.dedup();
        subjects
    }

    /// The routes that were measured.
    pub(crate) fn routes(&self) -> Vec<Route> {
        let mut routes: Vec<_> = self.samples.keys().filter_map(|key| key.1).collect();
        routes.sort_unstable();
        routes.dedup();
        routes
    }
}

/// What is made to grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Axis {
    /// Small entries in a session, besides the five.
    Entries,
    /// Bytes of a session, nearly all in one large entry.
    Bytes,
    Connections,
}

/// How the CPU per request grows.
#[derive(Debug, Default)]
pub(crate) struct Growth(BTreeMap<GrowthKey, Vec<f64>>);

type GrowthKey = (Axis, Subject, Route, usize);

impl Growth {
    pub(crate) fn note(&mut self, key: GrowthKey, sample: f64) {
        self.0.entry(key).or_default().push(sample);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn figures(&self) -> impl Iterator<Item = (GrowthKey, Figure)> {
        self.0.iter().filter_map(|(&key, samples)| {
            let floor = self.0.get(&(key.0, Subject::Floor, key.2, key.3));
            let figure = Figure {
                value: Middle::of(samples)?,
                ratio: floor.and_then(|floor| Middle::of_ratios(samples, floor)),
            };
            Some((key, figure))
        })
    }
}

impl Middle {
    fn of(samples: &[f64]) -> Option<Self> {
        let mut sorted = samples.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let median = match sorted.len() % 2 {
            0 => f64::midpoint(*sorted.get(middle.checked_sub(1)?)?, *sorted.get(middle)?),
            _ => *sorted.get(middle)?,
        };
        Some(Self {
            median,
            least: *sorted.first()?,
            most: *sorted.last()?,
        })
    }

    fn of_ratios(samples: &[f64], floor: &[f64]) -> Option<Self> {
        if floor.iter().any(|&floor| floor < NEXT_TO_NOTHING) {
            return None;
        }
        let rounds = samples.iter().zip(floor);
        Self::of(&rounds.map(|(own, floor)| own / floor).collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_the_median_over_rounds_and_not_the_ratio_of_medians() {
        let mut book = Book::default();
        for (floor, own) in [(1.0, 2.0), (10.0, 11.0), (2.0, 3.0)] {
            book.note(Subject::Floor, Route::Read, Metric::CpuMs, floor);
            book.note(Subject::Cloakroom, Route::Read, Metric::CpuMs, own);
        }
        let figure = book.figure(Subject::Cloakroom, Route::Read, Metric::CpuMs);
        let figure = figure.expect("it was noted");
        assert_eq!(figure.value.median, 3.0);
        let ratio = figure.ratio.expect("the floor was noted");
        assert_eq!((ratio.least, ratio.median, ratio.most), (1.1, 1.5, 2.0));
    }

    #[test]
    fn an_even_number_of_rounds_has_its_median_in_between() {
        let middle = Middle::of(&[4.0, 1.0, 3.0, 2.0]).expect("there are samples");
        assert_eq!((middle.least, middle.median, middle.most), (1.0, 2.5, 4.0));
        assert!(Middle::of(&[]).is_none());
    }
}
