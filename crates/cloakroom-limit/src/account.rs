//! The rules for attempts to sign in to one account. They are the same in `scripts/attempt.lua` and
//! `scripts/settle.lua`.

use crate::algorithm::Algorithm;

/// The limits of an account. Times are in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AccountPolicy {
    /// Attempts of unknown browsers without delay.
    pub(crate) free: u32,
    pub(crate) first_delay_ms: u64,
    pub(crate) max_delay_ms: u64,
    /// Failures in a row that stop unknown browsers.
    pub(crate) unknown_stop: u32,
    /// Failures in a row that stop all browsers.
    pub(crate) stop: u32,
    /// After this time without an attempt of an unknown browser, delays start anew.
    pub(crate) forget_ms: u64,
    /// How long an account is remembered after the last attempt.
    pub(crate) keep_ms: u64,
    /// The limit of each known browser.
    pub(crate) device: Algorithm,
}

/// What is kept of an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct AccountState {
    /// Attempts of unknown browsers, for their delays.
    pub(crate) level: u32,
    /// Failures since the last success, of all browsers. Attempts under way are among them.
    pub(crate) streak: u32,
    /// When an unknown browser made its last attempt.
    pub(crate) last_ms: u64,
}

/// Why an attempt was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denial {
    /// The account's delay has not passed: milliseconds to wait.
    Delayed(u64),
    /// The known browser has failed too often: milliseconds to wait.
    Device(u64),
    /// Too many failures in a row.
    Stopped,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settlement {
    /// The password was right.
    Success,
    /// The password was not checked.
    Cancelled,
    /// Another proof of identity lifts delays and stop.
    Lifted,
}

impl Denial {
    /// The same denial some milliseconds later.
    pub(crate) fn after(self, passed_ms: u64) -> Self {
        let left = |wait: u64| wait.saturating_sub(passed_ms).max(1);
        match self {
            Self::Delayed(wait) => Self::Delayed(left(wait)),
            Self::Device(wait) => Self::Device(left(wait)),
            Self::Stopped => Self::Stopped,
        }
    }
}

impl AccountPolicy {
    /// The share of one of several servers.
    pub(crate) fn divided(&self, servers: u32) -> Self {
        Self {
            free: (self.free / servers).max(1),
            ..*self
        }
    }

    /// The delay after an attempt at this level.
    fn delay_ms(&self, level: u32) -> u64 {
        match level.checked_sub(self.free) {
            None => 0,
            Some(over) => {
                let factor = 1_u64 << over.min(40);
                let delay = self.first_delay_ms.saturating_mul(factor);
                delay.min(self.max_delay_ms)
            }
        }
    }
}

impl AccountState {
    /// The state with what has been forgotten by now.
    pub(crate) fn at(mut self, policy: &AccountPolicy, now: u64) -> Self {
        // The clock may have been set back.
        self.last_ms = self.last_ms.min(now);
        if now - self.last_ms >= policy.forget_ms {
            self.level = 0;
        }
        self
    }

    /// Takes an attempt of an unknown browser.
    pub(crate) fn take(mut self, policy: &AccountPolicy, now: u64) -> Result<Self, Denial> {
        if self.streak >= policy.unknown_stop {
            return Err(Denial::Stopped);
        }
        let next = self.last_ms + policy.delay_ms(self.level);
        if now < next {
            return Err(Denial::Delayed(next - now));
        }
        self.level = self.level.saturating_add(1).min(1_000_000);
        self.streak += 1;
        self.last_ms = now;
        Ok(self)
    }

    /// Takes an attempt of a known browser, whose own counter has allowed it.
    pub(crate) fn take_known(mut self, policy: &AccountPolicy) -> Result<Self, Denial> {
        if self.streak >= policy.stop {
            return Err(Denial::Stopped);
        }
        self.streak += 1;
        Ok(self)
    }

    /// Records how an attempt ended. `None` if nothing is left to keep.
    pub(crate) fn settle(mut self, settlement: Settlement, is_known: bool) -> Option<Self> {
        match settlement {
            // The delays of other browsers stay: they are due to others.
            Settlement::Success if is_known => self.streak = 0,
            Settlement::Success | Settlement::Lifted => return None,
            Settlement::Cancelled => {
                self.streak = self.streak.saturating_sub(1);
                if !is_known {
                    self.level = self.level.saturating_sub(1);
                }
            }
        }
        (self.level > 0 || self.streak > 0).then_some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: AccountPolicy = AccountPolicy {
        free: 10,
        first_delay_ms: 30_000,
        max_delay_ms: 900_000,
        unknown_stop: 90,
        stop: 100,
        forget_ms: 86_400_000,
        keep_ms: 86_400_000 * 30,
        device: Algorithm::Gcra {
            interval_us: 90_000_000,
            burst: 10,
        },
    };

    #[test]
    fn delays_double_up_to_the_longest_and_then_everything_stops() {
        let (mut state, mut now, mut delays) = (AccountState::default(), 1_000_000_000, vec![]);
        loop {
            match state.take(&POLICY, now) {
                Ok(taken) => state = taken,
                Err(Denial::Delayed(wait)) => {
                    delays.push(wait / 1000);
                    assert!(state.take(&POLICY, now + wait - 1).is_err());
                    now += wait;
                }
                Err(denial) => {
                    assert_eq!((denial, state.streak), (Denial::Stopped, 90));
                    break;
                }
            }
        }
        assert_eq!(delays[..7], [30, 60, 120, 240, 480, 900, 900]);
        assert_eq!(delays.len(), 80, "the first ten are free");
        for _ in 0..10 {
            state = state.take_known(&POLICY).unwrap();
        }
        assert_eq!(state.take_known(&POLICY), Err(Denial::Stopped));
    }

    #[test]
    fn success_on_a_known_browser_lifts_the_stop_and_keeps_the_delays_of_others() {
        let state = AccountState {
            level: 90,
            streak: 95,
            last_ms: 5,
        };
        let after = state.settle(Settlement::Success, true).unwrap();
        assert_eq!((after.level, after.streak, after.last_ms), (90, 0, 5));
        assert_eq!(state.settle(Settlement::Success, false), None);
        assert_eq!(state.settle(Settlement::Lifted, true), None);
    }

    #[test]
    fn a_cancelled_attempt_is_given_back() {
        let now = 1_000_000_000;
        let state = AccountState::default().take(&POLICY, now).unwrap();
        assert_eq!(state.settle(Settlement::Cancelled, false), None);
        let state = AccountState::default().take_known(&POLICY).unwrap();
        assert_eq!(state.settle(Settlement::Cancelled, true), None);
    }

    #[test]
    fn a_quiet_day_forgets_the_delays_and_not_the_failures_in_a_row() {
        let state = AccountState {
            level: 50,
            streak: 60,
            last_ms: 1_000,
        };
        let later = state.at(&POLICY, 1_000 + POLICY.forget_ms);
        assert_eq!((later.level, later.streak), (0, 60));
        let sooner = state.at(&POLICY, 999 + POLICY.forget_ms);
        assert_eq!(sooner, state);
        assert_eq!(
            state.at(&POLICY, 10).last_ms,
            10,
            "a clock that was set back"
        );
    }
}
