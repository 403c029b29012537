//! Runs the model checker on a protocol.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::hash::Hash;
use std::time::{Duration, Instant};

use stateright::{Checker, Expectation, HasDiscoveries, Model};

/// A model of a protocol, some of whose lines can be removed.
pub(crate) trait Protocol:
    Model<
        State: Clone + Debug + Eq + Hash + Send + Sync,
        Action: Clone + Debug + PartialEq + Send + Sync,
    > + Clone
    + Debug
    + Send
    + Sync
    + 'static
{
    /// A line of the protocol that keeps a promise.
    type Line: Copy + Debug + 'static;

    /// The name of the model.
    const NAME: &'static str;

    /// Every line that can be removed, with the property that does not hold without it.
    const LINES: &'static [(Self::Line, &'static str)];

    /// The configurations that are checked: small ones, or with `long` also large ones.
    fn configurations(long: bool) -> Vec<Self>;

    /// The protocol without a line.
    fn without(self, line: Self::Line) -> Self;
}

/// What was found.
#[derive(Debug)]
pub(crate) struct Report {
    /// Different states.
    pub(crate) states: usize,
    /// The length of the longest of the shortest paths to a state.
    pub(crate) depth: usize,
    pub(crate) time: Duration,
    /// Properties that do not hold, each with the shortest sequence of actions that shows it.
    pub(crate) violated: Vec<(&'static str, Vec<String>)>,
    /// Situations that must be possible, and were found. Without them, a property might hold for want of cases.
    pub(crate) reached: BTreeSet<&'static str>,
}

/// Explores all states of a model.
pub(crate) fn explore<P: Protocol>(protocol: P) -> Report {
    run(protocol, HasDiscoveries::All)
}

/// Explores the states of a model until a property is violated.
pub(crate) fn explore_until<P: Protocol>(protocol: P, property: &'static str) -> Report {
    run(protocol, HasDiscoveries::AllOf(BTreeSet::from([property])))
}

fn run<P: Protocol>(protocol: P, until: HasDiscoveries) -> Report {
    let began = Instant::now();
    let properties = protocol.properties();
    let checker = protocol.checker().finish_when(until).spawn_bfs().join();
    let discoveries = checker.discoveries();
    let mut report = Report {
        states: checker.unique_state_count(),
        depth: checker.max_depth(),
        time: began.elapsed(),
        violated: Vec::new(),
        reached: BTreeSet::new(),
    };
    for property in properties {
        let Some(path) = discoveries.get(property.name) else {
            continue;
        };
        if property.expectation == Expectation::Sometimes {
            report.reached.insert(property.name);
        } else {
            let steps = path.clone().into_actions();
            let steps = steps.iter().map(|step| format!("{step:?}")).collect();
            report.violated.push((property.name, steps));
        }
    }
    report
}

/// Checks that all properties hold in all configurations, and that every situation of interest is reached in
/// one of them. Returns what was found in each.
pub(crate) fn assert_holds<P: Protocol>(long: bool) -> Vec<Report> {
    let mut missing = BTreeSet::new();
    let (mut reached, mut reports) = (BTreeSet::new(), Vec::new());
    for protocol in P::configurations(long) {
        let properties = protocol.properties();
        let sometimes = properties
            .iter()
            .filter(|property| property.expectation == Expectation::Sometimes);
        missing.extend(sometimes.map(|property| property.name));
        let report = explore(protocol);
        assert!(report.violated.is_empty(), "{}: {report:#?}", P::NAME);
        reached.extend(report.reached.iter().copied());
        reports.push(report);
    }
    missing.retain(|name| !reached.contains(name));
    assert!(
        missing.is_empty(),
        "{}: never reached: {missing:?}",
        P::NAME
    );
    reports
}

/// Checks that a property is violated in one of the small configurations of the protocol without a line.
/// Returns the steps of the shortest example.
pub(crate) fn assert_needed<P: Protocol>(line: P::Line, property: &'static str) -> Vec<String> {
    for protocol in P::configurations(false) {
        let report = explore_until(protocol.without(line), property);
        let found = report
            .violated
            .into_iter()
            .find(|(name, _)| *name == property);
        if let Some((_, steps)) = found {
            return steps;
        }
    }
    panic!("{} without {line:?}: {property:?} still holds", P::NAME)
}

/// Declares the tests of a model: that its properties hold, and one for each line that can be removed.
#[cfg(test)]
macro_rules! tests_of {
    ($protocol:ty { $($(#[$attribute:meta])* $test:ident: $line:expr,)* }) => {
        #[cfg(test)]
        mod tests {
            use super::*;
            use $crate::check::{Protocol, assert_holds, assert_needed};

            #[test]
            #[allow(clippy::print_stdout, reason = "the numbers of states are of interest")]
            fn the_protocol_keeps_its_promises() {
                for report in assert_holds::<$protocol>(false) {
                    println!(
                        "{}: {} states, depth {}, {:.1?}",
                        <$protocol>::NAME, report.states, report.depth, report.time
                    );
                }
            }

            #[test]
            fn every_line_has_a_test() {
                let tested = [$($line),*];
                for (line, _) in <$protocol>::LINES {
                    assert!(tested.contains(line), "{line:?}");
                }
            }

            $(
                #[test]
                $(#[$attribute])*
                fn $test() {
                    let lines = <$protocol>::LINES.iter();
                    let properties: Vec<_> = lines
                        .filter(|(line, _)| *line == $line)
                        .map(|(_, property)| *property)
                        .collect();
                    assert!(!properties.is_empty(), "it is not in the list of lines");
                    for property in properties {
                        assert_needed::<$protocol>($line, property);
                    }
                }
            )*
        }
    };
}

#[cfg(test)]
pub(crate) use tests_of;
