//! Limits for anything that has a key.

use std::fmt;
use std::sync::Arc;

use crate::check::{Check, Reading};
use crate::decision::{Decision, DecisionOutcome, LimitStatus};
use crate::error::ConfigError;
use crate::limits::{Decided, Fallback, Limits};
use crate::rate::{Plan, Rate};
use crate::telemetry;

/// How many limits one limiter or layer can have.
const MAX_LIMITS: usize = 16;

/// Applies limits to what the app names: mails that are sent to an address, exports that a user starts.
/// For requests, use a [`RateLimitLayer`](crate::RateLimitLayer).
///
/// All limits are decided at once: either all are charged, or none.
///
/// ```
/// use std::time::Duration;
/// use cloakroom_limit::{Limits, Rate, RateLimiter};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let limits = Limits::in_memory(); // in production: `Limits::new(&store)`
/// let mails = RateLimiter::builder(&limits)
///     .with_limit(Rate::new("mails", 3, Duration::from_secs(3600)))
///     .build()?;
///
/// for _ in 0..3 {
///     assert!(mails.check("ada@example.org", 1).await.is_allowed());
/// }
/// let decision = mails.check("ada@example.org", 1).await;
/// assert!(!decision.is_allowed() && decision.retry_after() <= Duration::from_secs(1200));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct RateLimiter(Arc<Plans>);

/// The limits of a limiter or of a layer.
pub(crate) struct Plans {
    limits: Limits,
    plans: Vec<Arc<Plan>>,
    fallback: Fallback,
}

/// Configures a [`RateLimiter`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct RateLimiterBuilder {
    limits: Limits,
    rates: Vec<Rate>,
    fallback: Fallback,
}

impl RateLimiter {
    /// Returns a builder. Add at least one limit.
    pub fn builder(limits: &Limits) -> RateLimiterBuilder {
        RateLimiterBuilder {
            limits: limits.clone(),
            rates: Vec::new(),
            fallback: Fallback::Local { servers: 1 },
        }
    }

    /// Applies the limits to `key`, for `cost` units each. A cost of zero is always allowed, and one above a
    /// limit's burst takes the whole burst.
    ///
    /// It returns within the store's command timeout (in a cluster, once for each kind of key): if the store
    /// cannot be reached, the fallback decides.
    pub async fn check(&self, key: impl AsRef<[u8]>, cost: u32) -> Decision {
        let plans = &*self.0;
        let subject = plans.limits.hash("key", key.as_ref());
        plans.apply(&vec![subject; plans.plans.len()], cost).await
    }
}

impl RateLimiterBuilder {
    /// Adds a limit. A limiter can have 16.
    pub fn with_limit(mut self, rate: Rate) -> Self {
        self.rates.push(rate);
        self
    }

    /// Sets what decides while the store cannot be reached. The default is [`Fallback::Local`] for one server.
    pub fn with_fallback(mut self, fallback: Fallback) -> Self {
        self.fallback = fallback;
        self
    }

    /// Builds the limiter.
    ///
    /// # Errors
    ///
    /// If a limit is invalid (see [`Rate::new`]), if there are none or more than 16, if two have the same
    /// name, and if the fallback is for no server or for more than 1000.
    pub fn build(self) -> Result<RateLimiter, ConfigError> {
        let plans = Plans::new(self.limits, &self.rates, self.fallback)?;
        Ok(RateLimiter(Arc::new(plans)))
    }
}

impl Plans {
    pub(crate) fn new(
        limits: Limits,
        rates: &[Rate],
        fallback: Fallback,
    ) -> Result<Self, ConfigError> {
        let option = "with_limit";
        if rates.is_empty() || rates.len() > MAX_LIMITS {
            let message = format!("there must be 1 to {MAX_LIMITS} limits");
            return Err(ConfigError::new(option, message));
        }
        let mut plans: Vec<Arc<Plan>> = Vec::new();
        for rate in rates {
            let plan = rate.plan(option)?;
            if plans.iter().any(|other| other.name == plan.name) {
                let message = format!("two limits have the name {:?}", plan.name);
                return Err(ConfigError::new(option, message));
            }
            plans.push(Arc::new(plan));
        }
        Ok(Self {
            limits,
            plans,
            fallback: fallback.validate("with_fallback")?,
        })
    }

    pub(crate) const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Applies each limit to the subject with the same index, given by its hash.
    pub(crate) async fn apply(&self, subjects: &[String], cost: u32) -> Decision {
        if cost == 0 {
            return Decision::new(DecisionOutcome::Allowed, Vec::new());
        }
        let checks: Vec<_> = self
            .plans
            .iter()
            .zip(subjects)
            .map(|(plan, subject)| check_of(plan, subject, cost))
            .collect();
        let decision = match self.limits.decide(&checks, self.fallback).await {
            Decided::Counted(readings) => self.decision(&checks, &readings),
            Decided::Locally(shares, readings) => {
                let readings: Vec<_> = readings.into_iter().map(Some).collect();
                self.decision(&shares, &readings)
            }
            Decided::Remembered(index, wait) => {
                let status = LimitStatus::refused(&self.plans[index], wait);
                Decision::new(DecisionOutcome::Refused, vec![status])
            }
            Decided::Allowed => Decision::new(DecisionOutcome::AllowedWithoutStore, Vec::new()),
            Decided::Denied => Decision::new(DecisionOutcome::Unavailable, Vec::new()),
        };
        for limit in decision.limits() {
            telemetry::counted(limit.name(), outcome_of(limit, &decision));
        }
        decision
    }

    fn decision(&self, checks: &[Check], readings: &[Option<Reading>]) -> Decision {
        let mut limits = Vec::with_capacity(checks.len());
        for ((plan, check), reading) in self.plans.iter().zip(checks).zip(readings) {
            if let Some(reading) = reading {
                limits.push(LimitStatus::of(plan, check, *reading));
            }
        }
        let is_refused = limits.iter().any(LimitStatus::refuses);
        let outcome = if is_refused {
            DecisionOutcome::Refused
        } else {
            DecisionOutcome::Allowed
        };
        Decision::new(outcome, limits)
    }
}

pub(crate) fn check_of(plan: &Plan, subject: &str, cost: u32) -> Check {
    Check {
        key: format!("limit:{{{subject}}}:{}", plan.name),
        algorithm: plan.algorithm,
        increment: plan.algorithm.increment(cost),
        is_enforced: plan.is_enforced,
    }
}

/// The outcome of one limit, for the metrics.
fn outcome_of(limit: &LimitStatus, decision: &Decision) -> &'static str {
    if limit.refuses() {
        "refused"
    } else if limit.is_exceeded() {
        "reported"
    } else if decision.is_allowed() {
        "allowed"
    } else {
        "not_charged"
    }
}

impl fmt::Debug for Plans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plans")
            .field("plans", &self.plans)
            .field("fallback", &self.fallback)
            .finish_non_exhaustive()
    }
}
