//! An attempt to sign in.

use std::fmt;
use std::mem;
use std::sync::Arc;

use http::HeaderValue;

use super::state::{Candidate, Guard};
use crate::account::{AccountState, Settlement};
use crate::check::{Charge, Check};
use crate::telemetry;

/// An attempt to sign in that was taken: the password may be checked.
///
/// It counts as a failure already. If it is dropped, that remains so, without any further command: when the
/// password was wrong, when the account does not exist, and when the request is cancelled.
#[must_use = "an attempt that is dropped has failed"]
pub struct Attempt {
    guard: Arc<Guard>,
    candidate: Candidate,
    state: AccountState,
    charges: Vec<Charge>,
    /// Whether it was taken in memory only, because the store was unavailable.
    is_local: bool,
    cookie: Option<HeaderValue>,
    is_settled: bool,
}

/// A sign-in that has succeeded.
#[derive(Clone, Debug)]
#[must_use = "send the cookie to the browser, so that it is known from now on"]
pub struct SignedIn {
    failures: u32,
    set_cookie: Option<HeaderValue>,
}

impl Attempt {
    pub(super) fn new(
        guard: Arc<Guard>,
        candidate: Candidate,
        state: AccountState,
        charges: Vec<Charge>,
        is_local: bool,
        cookie: Option<HeaderValue>,
    ) -> Self {
        Self {
            guard,
            candidate,
            state,
            charges,
            is_local,
            cookie,
            is_settled: false,
        }
    }

    /// Returns whether the browser has signed in to the account before.
    #[must_use]
    pub const fn is_known_device(&self) -> bool {
        self.candidate.device.is_some()
    }

    /// Returns the failures in a row before this attempt, of all browsers, including attempts under way. They
    /// are forgotten 30 days after the last one.
    #[must_use]
    pub const fn failures(&self) -> u32 {
        self.state.streak.saturating_sub(1)
    }

    /// Records that the password was right: the attempt is given back, and the failures before it do not count
    /// any more. Send the cookie of the result to the browser, which is a known one from now on.
    ///
    /// It returns within a few times the store's command timeout. If the store cannot be reached, that is
    /// logged, and the earlier failures still count.
    pub async fn succeeded(mut self) -> SignedIn {
        self.is_settled = true;
        let failures = match self.settle(Settlement::Success).await {
            Some(streak) if !self.is_local => streak.saturating_sub(1),
            _ => self.failures(),
        };
        telemetry::attempt_succeeded(self.account(), failures, self.is_known_device());
        SignedIn {
            failures,
            set_cookie: self.cookie.take(),
        }
    }

    /// Gives the attempt back, because the password was not checked: the user database could not be reached, for
    /// instance.
    pub async fn cancelled(mut self) {
        self.is_settled = true;
        self.settle(Settlement::Cancelled).await;
        telemetry::attempt_cancelled(self.account());
    }

    async fn settle(&mut self, settlement: Settlement) -> Option<u32> {
        let charges = mem::take(&mut self.charges);
        let (guard, account) = (&self.guard, &self.candidate.account);
        let settled = guard.limits.settle(
            &account.key,
            self.device(),
            settlement,
            &guard.policy,
            self.is_local,
        );
        let streak = match settled.await {
            Ok(streak) => Some(streak),
            Err(error) => {
                telemetry::settle_failed(&account.hash, &error);
                None
            }
        };
        guard.limits.refund(&charges).await;
        streak
    }

    fn device(&self) -> Option<&Check> {
        self.candidate.device.as_ref()
    }

    fn account(&self) -> &str {
        &self.candidate.account.hash
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if self.is_settled {
            return;
        }
        let streak = self.state.streak;
        telemetry::attempt_failed(self.account(), streak, self.is_known_device());
        if streak == self.guard.policy.unknown_stop {
            telemetry::stopped(self.account(), streak);
        }
    }
}

impl SignedIn {
    /// Returns the failures since the previous sign-in, of all browsers: tell the user if there were any (ASVS
    /// 5.0, 6.3.5).
    #[must_use]
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    /// Returns the device cookie, for the header `Set-Cookie`. `None` if the system's random number generator has
    /// failed.
    #[must_use]
    pub fn into_set_cookie(self) -> Option<HeaderValue> {
        self.set_cookie
    }
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt")
            .field("state", &self.state)
            .field("is_known_device", &self.is_known_device())
            .finish_non_exhaustive()
    }
}
