//! What goes wrong between the servers of the app and the store.

use std::cell::Cell;

use crate::rng::SeededRng;

/// How long a server of the app waits for a reply, in milliseconds: the default of `RedisStore`.
pub const COMMAND_TIMEOUT: u64 = 250;

/// How much later than its caller gave up a command is carried out, at most, in milliseconds. It is less than a
/// tombstone is kept, which the protocol relies on.
const MAX_LATE: u64 = 20_000;

/// What goes wrong. The default is nothing, without any delay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Troubles {
    /// The seed from which the fate of each command is drawn.
    pub seed: u64,
    /// The longest time before and after a command is carried out, in milliseconds.
    pub max_delay: u64,
    /// How many of a thousand commands are refused.
    pub refused: u64,
    /// How many of a thousand commands are lost.
    pub lost_commands: u64,
    /// How many of a thousand replies are lost.
    pub lost_replies: u64,
    /// How many of a thousand commands are carried out long after their caller has given up.
    pub late: u64,
    /// From when until when the server is frozen, in milliseconds since the start.
    pub frozen: Option<(u64, u64)>,
    /// When the replica takes the place of the primary.
    pub failover: Option<u64>,
    /// How long a write takes to the replica. If there is a failover, new sessions and ends wait for it.
    pub lag: u64,
    /// When the troubles end, except for the delays: `None` for never.
    pub end: Option<u64>,
}

/// What happens to one command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fate {
    /// How long it takes to the server, and how long its reply takes back.
    pub(super) before: u64,
    pub(super) after: u64,
    pub(super) loss: Loss,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    Nothing,
    /// It is not sent, and the caller learns that.
    Refused,
    Command,
    Reply,
}

/// The request that sends a command, so that its fate does not depend on what other requests do.
#[derive(Debug)]
pub(crate) struct Origin {
    step: u64,
    sent: Cell<u64>,
}

tokio::task_local! {
    /// The request that runs.
    pub(crate) static ORIGIN: Origin;
}

impl Origin {
    pub(crate) const fn new(step: u64) -> Self {
        Self {
            step,
            sent: Cell::new(0),
        }
    }

    /// Draws the generator for the next command of the request that runs, or of the background.
    fn next_rng(seed: u64, verb: &str, now: u64) -> SeededRng {
        let next = ORIGIN.try_with(|origin| {
            origin.sent.set(origin.sent.get() + 1);
            SeededRng::new(&[seed, 1, origin.step, origin.sent.get()])
        });
        next.unwrap_or_else(|_| {
            let verb = verb
                .bytes()
                .fold(0, |sum: u64, byte| sum * 31 % 65_521 + u64::from(byte));
            SeededRng::new(&[seed, 2, verb, now])
        })
    }
}

impl Troubles {
    pub(super) fn fate(&self, verb: &str, now: u64) -> Fate {
        let mut rng = Origin::next_rng(self.seed, verb, now);
        let is_finished = self.end.is_some_and(|end| now >= end);
        let mut delay = || {
            // Many take no time at all, so that several are carried out at the same moment.
            let is_fast = rng.happens(400);
            let millis = rng.below(self.max_delay + 1);
            if is_fast { 0 } else { millis }
        };
        let mut fate = Fate {
            before: delay(),
            after: delay(),
            loss: Loss::Nothing,
        };
        if is_finished {
            return fate;
        }
        let drawn = rng.below(1000);
        let late = self.late;
        let refused = late + self.refused;
        let commands = refused + self.lost_commands;
        let replies = commands + self.lost_replies;
        if drawn < late {
            fate.before = COMMAND_TIMEOUT + rng.below(MAX_LATE);
        } else if drawn < refused {
            fate.loss = Loss::Refused;
        } else if drawn < commands {
            fate.loss = Loss::Command;
        } else if drawn < replies {
            fate.loss = Loss::Reply;
        }
        fate
    }

    /// How long a command waits that reaches the server now.
    pub(super) fn frozen_for(&self, now: u64) -> u64 {
        match self.frozen {
            Some((from, until)) if (from..until).contains(&now) => until - now,
            _ => 0,
        }
    }
}
