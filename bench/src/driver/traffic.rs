//! What a subject sends to Redis, and what that costs there.
//!
//! Redis counts the commands that a script runs beside those that clients send, and gives their time
//! to the script as well. So `MONITOR`, which tells one from the other, is asked for a while how much
//! of each command comes from clients.

use std::collections::BTreeMap;
use std::thread::{self, JoinHandle};

use super::redis::{Redis, Work};
use super::resp::Connection;
use crate::Problem;

/// How often each command came from clients, and from scripts.
#[derive(Clone, Debug, Default)]
pub(super) struct Traffic {
    commands: BTreeMap<String, Origins>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Origins {
    /// How many others were heard before it.
    place: usize,
    clients: f64,
    scripts: f64,
}

/// Listens until it is told to stop.
pub(super) struct Listener {
    redis: Connection,
    ear: JoinHandle<Result<Traffic, String>>,
}

const END: &str = "that was all";

impl Listener {
    pub(super) fn start(redis: &Redis) -> Result<Self, Problem> {
        let mut connection = redis.connect()?;
        connection.command(&[b"MONITOR"])?;
        let ear = thread::spawn(move || listen(connection).map_err(|error| error.to_string()));
        let redis = redis.connect()?;
        Ok(Self { redis, ear })
    }

    /// What was heard up to now.
    pub(super) fn stop(mut self) -> Result<Traffic, Problem> {
        self.redis.command(&[b"ECHO", END.as_bytes()])?;
        let heard = self.ear.join().map_err(|_| "the listener has panicked")?;
        Ok(heard?)
    }
}

fn listen(mut connection: Connection) -> Result<Traffic, Problem> {
    let mut traffic = Traffic::default();
    loop {
        let line = connection.read()?.text();
        if line.contains(END) {
            return Ok(traffic);
        }
        // 1700000000.000000 [0 127.0.0.1:40000] "GET" "key"
        let (origin, words) = line.split_once("] ").ok_or("half of a line")?;
        let name = words.split('"').nth(1).ok_or("no command")?.to_lowercase();
        let place = traffic.commands.len();
        let new = Origins {
            place,
            ..Origins::default()
        };
        let origins = traffic.commands.entry(name).or_insert(new);
        match origin.ends_with("lua") {
            true => origins.scripts += 1.0,
            false => origins.clients += 1.0,
        }
    }
}

impl Traffic {
    /// Commands that clients sent, for each request.
    pub(super) fn commands(&self, requests: usize) -> f64 {
        let sent = self.commands.values().map(|origins| origins.clients);
        sent.sum::<f64>() / requests.max(1) as f64
    }

    /// The same in words: names in the order of the first request, with how often if not once.
    pub(super) fn in_words(&self, requests: usize) -> String {
        let each = |(name, origins): (&String, &Origins)| {
            let times = origins.clients / requests.max(1) as f64;
            let name = name.to_uppercase();
            match times {
                // What is sent now and then belongs to no request.
                ..0.05 => None,
                0.95..1.05 => Some(name),
                times => Some(format!("{times:.1} {name}")),
            }
        };
        let mut commands: Vec<_> = self.commands.iter().collect();
        commands.sort_by_key(|(_, origins)| origins.place);
        let names: Vec<_> = commands.into_iter().filter_map(each).collect();
        names.join(", ")
    }

    /// The microseconds that the server spent between `before` and `after` for its clients.
    pub(super) fn time(&self, before: &Work, after: &Work) -> f64 {
        let each = |(name, after): (&String, &f64)| {
            // `EXEC` has the time of what it executes, which is counted already.
            let origins = self.commands.get(name).filter(|_| name != "exec")?;
            let share = origins.clients / (origins.clients + origins.scripts);
            Some((after - before.get(name).unwrap_or(&0.0)) * share)
        };
        after
            .iter()
            .filter_map(each)
            .fold(0.0, |sum, own| sum + own)
    }
}
