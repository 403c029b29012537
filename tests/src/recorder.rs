//! A metrics recorder for tests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metrics::{
    Counter, CounterFn, Gauge, Histogram, HistogramFn, Key, KeyName, LocalRecorderGuard, Metadata,
    Recorder, SharedString, Unit,
};

/// A recorder for one thread, for tests such as those of `#[tokio::test]`.
#[derive(Debug, Default)]
pub struct MetricsRecorder {
    recorded: Mutex<BTreeMap<Name, Arc<Cell>>>,
    described: Mutex<BTreeMap<String, Description>>,
}

/// A metric's name, and its labels in the order of their names.
type Name = (String, BTreeMap<String, String>);

/// A metric's unit and description.
type Description = (Option<Unit>, String);

/// One series, and what was recorded in it.
#[derive(Clone, Debug)]
pub struct Series {
    /// The metric's name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The count, or the number of recorded durations.
    pub count: u64,
    /// The recorded values of a histogram.
    pub times: Vec<f64>,
}

#[derive(Debug, Default)]
struct Cell(Mutex<(u64, Vec<f64>)>);

impl MetricsRecorder {
    /// Records the metrics of this thread, until the guard is dropped.
    #[must_use]
    pub fn record(&self) -> LocalRecorderGuard<'_> {
        metrics::set_default_local_recorder(self)
    }

    /// The series since the last call.
    #[must_use]
    pub fn take(&self) -> Vec<Series> {
        let recorded = std::mem::take(&mut *lock(&self.recorded));
        let series = recorded.into_iter().map(|((name, labels), cell)| {
            let (count, times) = std::mem::take(&mut *lock(&cell.0));
            Series {
                name,
                labels,
                count,
                times,
            }
        });
        series.filter(|series| series.count > 0).collect()
    }

    /// The unit and description of each described metric.
    #[must_use]
    pub fn described(&self) -> BTreeMap<String, Description> {
        lock(&self.described).clone()
    }

    fn cell(&self, key: &Key) -> Arc<Cell> {
        let labels = key.labels();
        let labels = labels.map(|label| (label.key().to_owned(), label.value().to_owned()));
        let name = (key.name().to_owned(), labels.collect());
        Arc::clone(lock(&self.recorded).entry(name).or_default())
    }

    fn describe(&self, name: &KeyName, unit: Option<Unit>, meaning: SharedString) {
        let description = (unit, meaning.into_owned());
        lock(&self.described).insert(name.as_str().to_owned(), description);
    }
}

impl Recorder for MetricsRecorder {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, meaning: SharedString) {
        self.describe(&name, unit, meaning);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, meaning: SharedString) {
        self.describe(&name, unit, meaning);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, meaning: SharedString) {
        self.describe(&name, unit, meaning);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.cell(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        unreachable!("{key}: no gauge is used")
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.cell(key))
    }
}

impl CounterFn for Cell {
    fn increment(&self, by: u64) {
        lock(&self.0).0 += by;
    }

    fn absolute(&self, value: u64) {
        lock(&self.0).0 = value;
    }
}

impl HistogramFn for Cell {
    fn record(&self, value: f64) {
        let mut recorded = lock(&self.0);
        recorded.0 += 1;
        recorded.1.push(value);
    }
}

impl Series {
    /// As Prometheus would show it, without the prefix: `loads_total{result="hit"} 1`.
    #[must_use]
    pub fn line(&self) -> String {
        let labels = self.labels.iter();
        let labels: Vec<_> = labels
            .map(|(name, value)| format!("{name}=\"{value}\""))
            .collect();
        let name = self.name.trim_start_matches("cloakroom_");
        if labels.is_empty() {
            format!("{name} {}", self.count)
        } else {
            format!("{name}{{{}}} {}", labels.join(","), self.count)
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
