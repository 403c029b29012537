//! What limits say to a request.

use std::sync::Arc;
use std::time::Duration;

use crate::check::{Check, Reading};
use crate::rate::Plan;

/// What limits say to a request.
#[derive(Clone, Debug)]
#[must_use]
pub struct Decision {
    outcome: DecisionOutcome,
    limits: Vec<LimitStatus>,
}

/// Whether a request is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecisionOutcome {
    /// All limits allow the request, and are charged.
    Allowed,
    /// A limit refuses the request. No limit is charged.
    Refused,
    /// The store cannot be reached, and [`Fallback::Allow`](crate::Fallback::Allow) is configured.
    AllowedWithoutStore,
    /// The store cannot be reached, and [`Fallback::Deny`](crate::Fallback::Deny) is configured.
    Unavailable,
}

/// One limit, after a request.
#[derive(Clone, Debug)]
pub struct LimitStatus {
    plan: Arc<Plan>,
    is_allowed: bool,
    remaining: u32,
    reset: Duration,
    retry_after: Duration,
}

impl Decision {
    pub(crate) const fn new(outcome: DecisionOutcome, limits: Vec<LimitStatus>) -> Self {
        Self { outcome, limits }
    }

    /// Returns whether the request may be handled.
    #[must_use]
    pub const fn is_allowed(&self) -> bool {
        matches!(
            self.outcome,
            DecisionOutcome::Allowed | DecisionOutcome::AllowedWithoutStore
        )
    }

    /// Returns the outcome.
    #[must_use]
    pub const fn outcome(&self) -> DecisionOutcome {
        self.outcome
    }

    /// Returns the limits that are known: all of them for a request that was allowed, or at least those
    /// that have refused it.
    #[must_use]
    pub fn limits(&self) -> &[LimitStatus] {
        &self.limits
    }

    /// Returns how long to wait before another attempt; zero for a request that is allowed.
    #[must_use]
    pub fn retry_after(&self) -> Duration {
        match self.outcome {
            DecisionOutcome::Allowed | DecisionOutcome::AllowedWithoutStore => Duration::ZERO,
            DecisionOutcome::Unavailable => Duration::from_secs(1),
            DecisionOutcome::Refused => {
                let refusing = self.limits.iter().filter(|limit| limit.refuses());
                refusing
                    .map(|limit| limit.retry_after)
                    .max()
                    .unwrap_or_default()
            }
        }
    }
}

impl LimitStatus {
    pub(crate) fn of(plan: &Arc<Plan>, check: &Check, reading: Reading) -> Self {
        let (algorithm, level) = (check.algorithm, reading.level);
        let retry_after = if reading.is_allowed {
            Duration::ZERO
        } else {
            algorithm.retry_after(level, check.increment)
        };
        Self {
            plan: Arc::clone(plan),
            is_allowed: reading.is_allowed,
            remaining: algorithm.remaining(level),
            reset: algorithm.reset(level),
            retry_after,
        }
    }

    /// A limit whose refusal is remembered.
    pub(crate) fn refused(plan: &Arc<Plan>, retry_after: Duration) -> Self {
        Self {
            plan: Arc::clone(plan),
            is_allowed: false,
            remaining: 0,
            reset: retry_after,
            retry_after,
        }
    }

    /// Returns the limit's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.plan.name
    }

    /// Returns whether the limit refuses the request. One that only reports never does.
    #[must_use]
    pub fn refuses(&self) -> bool {
        !self.is_allowed && self.plan.is_enforced
    }

    /// Returns whether the request is above the limit, also if it only reports.
    #[must_use]
    pub const fn is_exceeded(&self) -> bool {
        !self.is_allowed
    }

    /// Returns how many units are left.
    #[must_use]
    pub const fn remaining(&self) -> u32 {
        self.remaining
    }

    /// Returns the time until more units are available; zero if all are.
    #[must_use]
    pub const fn reset(&self) -> Duration {
        self.reset
    }

    /// Returns whether the limit refuses requests, rather than only reporting.
    #[must_use]
    pub fn is_enforced(&self) -> bool {
        self.plan.is_enforced
    }

    pub(crate) fn policy(&self) -> &str {
        &self.plan.policy
    }
}
