//! Which commands a subject sends to Redis, and the time that these take there.
//!
//! The statistics of Redis count the commands that a script runs like those of clients, and add their
//! time to the script's as well. `MONITOR` distinguishes them, so a recording of it tells which share of
//! each command comes from clients.

use std::collections::BTreeMap;

use test_support::monitor::Recorded;

use super::nodes::Nodes;

/// Microseconds, by the command's name.
pub(super) type CommandTimes = BTreeMap<String, f64>;

/// Returns the time that all nodes together have spent so far in each command.
pub(super) fn command_times(redis: &Nodes) -> CommandTimes {
    let mut times = CommandTimes::new();
    for node in redis.iter() {
        let info = node.command(&["INFO", "commandstats"]).text();
        for (name, time) in info.lines().filter_map(parse_times) {
            *times.entry(name).or_default() += time;
        }
    }
    times
}

/// Parses a line such as `cmdstat_get:calls=2,usec=5,usec_per_call=2.50`.
fn parse_times(line: &str) -> Option<(String, f64)> {
    let (name, figures) = line.strip_prefix("cmdstat_")?.split_once(':')?;
    let mut figures = figures.split(',');
    let time = figures.find_map(|figure| figure.strip_prefix("usec="))?;
    Some((name.to_lowercase(), time.parse().ok()?))
}

/// How often clients and scripts ran each command.
#[derive(Clone, Debug, Default)]
pub(super) struct Traffic(BTreeMap<String, Calls>);

#[derive(Clone, Copy, Debug, Default)]
struct Calls {
    /// How many other commands came before its first call.
    position: usize,
    by_clients: f64,
    by_scripts: f64,
}

impl Traffic {
    pub(super) fn of(recorded: &[Recorded]) -> Self {
        let mut commands: BTreeMap<String, Calls> = BTreeMap::new();
        for command in recorded {
            let name = command.words.first().map(|name| name.to_lowercase());
            let position = commands.len();
            let calls = commands.entry(name.unwrap_or_default()).or_insert(Calls {
                position,
                ..Calls::default()
            });
            if command.by_script {
                calls.by_scripts += 1.0;
            } else {
                calls.by_clients += 1.0;
            }
        }
        Self(commands)
    }

    /// Returns how many commands clients sent for each request.
    pub(super) fn commands_per_request(&self, requests: usize) -> f64 {
        let sent = self.0.values().map(|calls| calls.by_clients);
        sent.sum::<f64>() / requests.max(1) as f64
    }

    /// Describes the commands of a request: their names in the order of the first one, each with its
    /// average number unless that is 1.
    pub(super) fn describe(&self, requests: usize) -> String {
        let mut commands: Vec<_> = self.0.iter().collect();
        commands.sort_by_key(|(_, calls)| calls.position);
        let mut parts = Vec::new();
        for (name, calls) in commands {
            let name = name.to_uppercase();
            match calls.by_clients / requests.max(1) as f64 {
                // A command that is sent now and then does not belong to a request.
                ..0.05 => {}
                0.95..1.05 => parts.push(name),
                average => parts.push(format!("{average:.1} {name}")),
            }
        }
        parts.join(", ")
    }

    /// Returns the microseconds that the server spent for its clients between `before` and `after`.
    pub(super) fn client_time(&self, before: &CommandTimes, after: &CommandTimes) -> f64 {
        let mut sum = 0.0;
        for (name, after) in after {
            // `EXEC` includes the time of what it executes, which is counted already.
            if name == "exec" {
                continue;
            }
            if let Some(calls) = self.0.get(name) {
                let share = calls.by_clients / (calls.by_clients + calls.by_scripts);
                sum += (after - before.get(name).unwrap_or(&0.0)) * share;
            }
        }
        sum
    }
}
