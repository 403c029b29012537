//! Shortens a scenario that shows an anomaly: the fewest requests and troubles that still show it.

use crate::check::{Kind, check};
use crate::scenario::Scenario;
use crate::simulate::simulate;

/// Returns whether a scenario shows an anomaly of this kind.
#[must_use]
pub fn shows(scenario: &Scenario, kind: Kind) -> bool {
    check(&simulate(scenario))
        .iter()
        .any(|anomaly| anomaly.kind == kind)
}

/// Removes requests and troubles from a scenario as long as it shows an anomaly of this kind. The fate of a command
/// depends on its own request alone, so what is removed does not change the others.
#[must_use]
pub fn shorten(scenario: &Scenario, kind: Kind) -> Scenario {
    let mut shortest = scenario.clone();
    loop {
        let before = shortest.clone();
        for shorter in simpler(&shortest) {
            if shows(&shorter, kind) {
                shortest = shorter;
            }
        }
        let mut size = shortest.steps.len();
        while size > 0 {
            remove_steps(&mut shortest, size, kind);
            size /= 2;
        }
        if shortest == before {
            return shortest;
        }
    }
}

/// Removes groups of this many requests, from the end on.
fn remove_steps(shortest: &mut Scenario, size: usize, kind: Kind) {
    let mut end = shortest.steps.len();
    while end > 0 {
        let start = end.saturating_sub(size);
        let mut shorter = shortest.clone();
        shorter.steps.drain(start..end.min(shorter.steps.len()));
        if shows(&shorter, kind) {
            *shortest = shorter;
        }
        end = start;
    }
}

/// The same scenario with one complication less.
fn simpler(scenario: &Scenario) -> Vec<Scenario> {
    let change = |edit: fn(&mut Scenario)| {
        let mut simpler = scenario.clone();
        edit(&mut simpler);
        simpler
    };
    let mut all = vec![
        change(|scenario| scenario.rotation = None),
        change(|scenario| scenario.session_limit = None),
        change(|scenario| scenario.signs_in_twice = false),
        change(|scenario| scenario.troubles.max_delay = 0),
        change(|scenario| scenario.troubles.refused = 0),
        change(|scenario| scenario.troubles.lost_commands = 0),
        change(|scenario| scenario.troubles.lost_replies = 0),
        change(|scenario| scenario.troubles.late = 0),
        change(|scenario| scenario.troubles.frozen = None),
        change(|scenario| scenario.troubles.failover = None),
        change(|scenario| {
            for server in &mut scenario.servers {
                server.ahead = 0;
            }
        }),
        change(|scenario| {
            for server in &mut scenario.servers {
                server.max_staleness = 0;
            }
        }),
        change(|scenario| {
            for step in &mut scenario.steps {
                step.interrupted = None;
            }
        }),
        change(|scenario| {
            for step in &mut scenario.steps {
                step.pause = 0;
            }
        }),
    ];
    all.retain(|simpler| simpler != scenario);
    all
}
