//! Histories of many seeds violate no promise, and those of a store that breaks one on purpose do.

use std::process::Command;

use simulation::check::{Kind, check};
use simulation::history::{Action, History};
use simulation::scenario::Scenario;
use simulation::shorten::{shorten, shows};
use simulation::simulate::{simulate, simulate_with_trace};
use simulation::store::Broken;

/// How many histories are checked. `scripts/simulate` checks more.
const HISTORIES: u64 = 6000;

/// How many histories of a store that breaks a promise are searched for a violation.
const SEARCHED: u64 = 3000;

/// Seeds that once showed an anomaly.
const REGRESSIONS: &str = include_str!("../regressions.txt");

fn assert_legal(seed: u64) -> History {
    let scenario = Scenario::of_seed(seed);
    let history = simulate(&scenario);
    let anomalies = check(&history);
    assert!(
        anomalies.is_empty(),
        "seed {seed}: {anomalies:?}; see `scripts/simulate 1 --from {seed}`"
    );
    history
}

#[test]
fn no_history_violates_a_promise() {
    let (mut edits, mut reads, mut takes, mut failures) = (0, 0, 0, 0);
    for seed in 0..HISTORIES {
        let history = assert_legal(seed);
        for request in &history.requests {
            let list = request.found.as_ref().map_or(0, |found| found.list.len());
            reads += u64::from(list > 2);
            edits += u64::from(request.action.appends() && request.after.is_some());
            takes += u64::from(!request.taken.is_empty());
            failures += u64::from(request.outcome == simulation::history::Outcome::Unknown);
        }
    }
    // The histories have something to check.
    assert!(edits > HISTORIES * 3, "{edits}");
    assert!(reads > HISTORIES / 2, "{reads}");
    assert!(takes > HISTORIES / 10, "{takes}");
    assert!(failures > HISTORIES / 10, "{failures}");
}

#[test]
fn seeds_that_once_showed_an_anomaly_show_none() {
    let mut count = 0;
    for line in REGRESSIONS.lines().filter(|line| !line.starts_with('#')) {
        let seed = line.split_whitespace().next();
        let seed = seed.and_then(|seed| seed.parse().ok());
        assert_legal(seed.unwrap_or_else(|| panic!("regressions.txt: no seed in {line:?}")));
        count += 1;
    }
    assert!(count > 0);
}

#[test]
fn every_promise_that_the_store_breaks_is_noticed() {
    for broken in Broken::ALL {
        let kind = expected(broken);
        let mut scenarios = (0..SEARCHED).map(|seed| with_broken(seed, broken));
        let found = scenarios.find(|scenario| shows(scenario, kind));
        assert!(found.is_some(), "{broken:?} shows no {kind:?}");
    }
}

#[test]
fn a_store_that_ignores_revisions_gives_an_element_to_two_requests() {
    let mut scenarios = (0..SEARCHED).map(|seed| with_broken(seed, Broken::RevisionIgnored));
    assert!(scenarios.any(|scenario| shows(&scenario, Kind::TakenTwice)));
}

/// A scenario whose store breaks a promise.
fn with_broken(seed: u64, broken: Broken) -> Scenario {
    let mut scenario = Scenario {
        broken: Some(broken),
        ..Scenario::of_seed(seed)
    };
    if broken == Broken::EndlessGrace {
        // Tokens rotate, and every third request or so has a new one.
        scenario.rotation = Some((20_000, 10_000));
        for step in &mut scenario.steps {
            step.at = u64::from(step.number) * 8_000;
        }
    }
    scenario
}

/// A violation that follows from a broken promise.
const fn expected(broken: Broken) -> Kind {
    match broken {
        Broken::RevisionIgnored => Kind::Lost,
        Broken::NoTombstone => Kind::Resurrected,
        Broken::StoredAndRefused => Kind::Duplicated,
        Broken::EndlessGrace => Kind::LateToken,
        Broken::NewestEvicted => Kind::SignedOut,
        Broken::NotIndexed => Kind::Unlisted,
        Broken::LimitIgnored => Kind::TooMany,
    }
}

#[test]
fn an_anomaly_is_shortened_to_the_requests_that_it_needs() {
    let mut scenarios = (0..SEARCHED).map(|seed| Scenario {
        broken: Some(Broken::RevisionIgnored),
        ..Scenario::of_seed(seed)
    });
    let found = scenarios.find(|scenario| shows(scenario, Kind::Lost));
    let shortest = shorten(&found.expect("it is noticed"), Kind::Lost);
    assert!(shows(&shortest, Kind::Lost));
    assert!(shortest.steps.len() <= 6, "{:?}", shortest.steps);
    let appends = shortest.steps.iter().filter(|step| step.action.appends());
    assert!(appends.count() >= 2);
}

#[test]
fn a_seed_has_one_history() {
    for seed in 0..200 {
        let scenario = Scenario::of_seed(seed);
        let (history, lines) = simulate_with_trace(&scenario);
        assert_eq!(simulate(&scenario), history, "seed {seed}");
        assert_eq!(
            simulate_with_trace(&scenario),
            (history, lines),
            "seed {seed}"
        );
    }
}

#[test]
fn a_seed_has_the_same_history_in_every_process() {
    let run = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_simulation"));
        let output = command.args(["30", "--from", "1000", "--trace"]).output();
        let output = output.expect("it can be started").stdout;
        let output = String::from_utf8(output).expect("text");
        // The last line has the time that it took.
        output
            .lines()
            .filter(|line| !line.contains("anomalies"))
            .collect::<Vec<_>>()
            .join("\n")
    };
    let (one, other) = (run(), run());
    assert!(one.contains("create S0: created"), "{one}");
    assert_eq!(one, other);
    let (_, lines) = simulate_with_trace(&Scenario::of_seed(1000));
    assert!(one.contains(&lines.join("\n")));
}

#[test]
fn scenarios_contain_every_action_and_every_trouble() {
    let scenarios: Vec<_> = (0..500).map(Scenario::of_seed).collect();
    let has = |check: fn(&Scenario) -> bool| scenarios.iter().any(check);
    assert!(has(|scenario| scenario.rotation.is_some()));
    assert!(has(|scenario| scenario.session_limit.is_some()));
    assert!(has(
        |scenario| scenario.troubles.late > 0 && scenario.troubles.lost_replies > 0
    ));
    assert!(has(|scenario| scenario.troubles.frozen.is_some()));
    assert!(has(|scenario| scenario.troubles.failover.is_some()));
    assert!(has(|scenario| scenario
        .servers
        .iter()
        .any(|server| server.ahead != 0)));
    assert!(has(|scenario| scenario
        .servers
        .iter()
        .any(|server| server.max_staleness > 0)));
    let steps = || scenarios.iter().flat_map(|scenario| &scenario.steps);
    assert!(steps().any(|step| step.former > 0));
    assert!(steps().any(|step| step.interrupted.is_some()));
    assert!(steps().any(|step| step.back.is_none()));
    let is_action = |wanted: fn(Action) -> bool| steps().any(|step| wanted(step.action));
    assert!(is_action(|action| action == Action::SignOut));
    assert!(is_action(|action| action == Action::RevokeOthers));
    assert!(is_action(|action| matches!(action, Action::RevokeAll(_))));
    assert!(is_action(|action| action == Action::RevokeEveryone));
    assert!(is_action(Action::renews));
    assert!(is_action(|action| action.signs_in().is_some()));
}
