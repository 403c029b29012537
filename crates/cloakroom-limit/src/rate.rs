//! A limit, as the app configures it, and as it is applied.

use std::sync::Arc;
use std::time::Duration;

use crate::algorithm::Algorithm;
use crate::error::ConfigError;

/// The longest window: a year.
const MAX_WINDOW: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// The highest quota.
const MAX_QUOTA: u32 = 1_000_000_000;

/// The maximum length of a name, in bytes.
const MAX_NAME_LEN: usize = 64;

/// A limit: how many units within which time. A request costs one unit, or what the app says.
///
/// By default the generic cell rate algorithm (GCRA) counts: a burst of requests is allowed at once, and then
/// they are allowed at an even rate. With [`fixed_window`](Self::fixed_window), the whole quota is available
/// from the first request on until the window ends, and then again: around the end of a window, twice the
/// quota can be used within a short time.
///
/// ```
/// use std::time::Duration;
/// use cloakroom_limit::Rate;
///
/// // 20 requests at once; then one every 600 ms, which is 100 per minute.
/// let api = Rate::new("api", 100, Duration::from_secs(60)).with_burst(20);
/// let daily = Rate::fixed_window("daily", 5_000, Duration::from_secs(24 * 60 * 60));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Rate {
    name: String,
    quota: u32,
    window: Duration,
    burst: Option<u32>,
    is_fixed: bool,
    is_enforced: bool,
}

impl Rate {
    /// Creates a limit of `quota` units per `window`, counted by GCRA. The burst is the whole quota by
    /// default, so that within one window up to twice the quota is allowed at worst.
    ///
    /// The name is part of the key and of the response's headers. Limits of one name with the same kind of
    /// key share their counters, also those of several layers: give limits that are to count separately
    /// different names.
    ///
    /// When the limit is used, these are errors: a name that is not 1 to 64 bytes of letters, digits, `-`,
    /// `_` and `.`; a quota of zero or above a thousand million; a window of less than a second or more than
    /// 366 days; a quota of more than one per microsecond; a burst of zero or above the quota.
    pub fn new(name: impl Into<String>, quota: u32, window: Duration) -> Self {
        Self {
            name: name.into(),
            quota,
            window,
            burst: None,
            is_fixed: false,
            is_enforced: true,
        }
    }

    /// Creates a limit of `quota` units in each window. A window begins with the first request after the
    /// previous one has ended. The name is that of [`new`](Self::new).
    pub fn fixed_window(name: impl Into<String>, quota: u32, window: Duration) -> Self {
        Self {
            is_fixed: true,
            ..Self::new(name, quota, window)
        }
    }

    /// Sets how many units are allowed at once. It does not apply to a fixed window.
    pub fn with_burst(mut self, burst: u32) -> Self {
        self.burst = Some(burst);
        self
    }

    /// Counts and reports what would be refused, but refuses nothing, and does not appear in the response's
    /// headers: to try a limit out.
    pub fn report_only(mut self) -> Self {
        self.is_enforced = false;
        self
    }

    /// Checks the limit; `option` is the method that it was passed to.
    pub(crate) fn plan(&self, option: &'static str) -> Result<Plan, ConfigError> {
        let problem = |message: String| {
            let name = &self.name;
            Err(ConfigError::new(
                option,
                format!("limit {name:?}: {message}"),
            ))
        };
        let is_allowed = |sign: char| sign.is_ascii_alphanumeric() || "-_.".contains(sign);
        if self.name.is_empty()
            || self.name.len() > MAX_NAME_LEN
            || !self.name.chars().all(is_allowed)
        {
            return problem(format!(
                "a name has 1 to {MAX_NAME_LEN} bytes of letters, digits, `-`, `_` and `.`"
            ));
        }
        if self.quota == 0 || self.quota > MAX_QUOTA {
            return problem(format!("the quota must be 1 to {MAX_QUOTA}"));
        }
        if self.window < Duration::from_secs(1) || self.window > MAX_WINDOW {
            return problem("the window must be between one second and 366 days".to_owned());
        }
        let window_us = u64::try_from(self.window.as_micros()).unwrap_or(u64::MAX);
        if window_us < u64::from(self.quota) {
            return problem("the quota must not be more than one unit per microsecond".to_owned());
        }
        let algorithm = if self.is_fixed {
            if self.burst.is_some() {
                return problem("a fixed window has no burst".to_owned());
            }
            Algorithm::FixedWindow {
                window_ms: window_us.div_ceil(1000),
                quota: self.quota,
            }
        } else {
            let burst = self.burst.unwrap_or(self.quota);
            if burst == 0 || burst > self.quota {
                return problem(format!("the burst must be 1 to the quota, {}", self.quota));
            }
            Algorithm::Gcra {
                interval_us: window_us.div_ceil(u64::from(self.quota)),
                burst,
            }
        };
        Ok(Plan {
            name: self.name.as_str().into(),
            policy: format!(
                "\"{}\";q={};w={}",
                self.name,
                self.quota,
                window_us.div_ceil(1_000_000)
            ),
            algorithm,
            is_enforced: self.is_enforced,
        })
    }
}

/// A limit that has been checked.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) name: Arc<str>,
    /// The item of the header `RateLimit-Policy`.
    pub(crate) policy: String,
    pub(crate) algorithm: Algorithm,
    pub(crate) is_enforced: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_cannot_be_is_an_error_that_names_option_and_limit() {
        let minute = Duration::from_secs(60);
        for (rate, expected) in [
            (Rate::new("", 1, minute), "a name has"),
            (Rate::new("a b", 1, minute), "a name has"),
            (Rate::new("a\"", 1, minute), "a name has"),
            (Rate::new("x".repeat(65), 1, minute), "a name has"),
            (Rate::new("a", 0, minute), "quota"),
            (Rate::new("a", u32::MAX, minute), "quota"),
            (Rate::new("a", 100_000_000, minute), "microsecond"),
            (Rate::new("a", 1, Duration::ZERO), "window"),
            (Rate::new("a", 1, Duration::MAX), "window"),
            (Rate::new("a", 5, minute).with_burst(0), "burst"),
            (Rate::new("a", 5, minute).with_burst(6), "burst"),
            (Rate::fixed_window("a", 5, minute).with_burst(5), "burst"),
        ] {
            let error = rate.plan("with_limit").unwrap_err();
            assert_eq!(error.option(), "with_limit");
            let text = error.to_string();
            assert!(text.starts_with("`with_limit`: limit \""), "{text}");
            assert!(text.contains(expected), "{text}");
        }
    }

    #[test]
    fn quota_and_window_become_interval_and_policy() {
        let plan = Rate::new("api", 7, Duration::from_secs(60))
            .plan("")
            .unwrap();
        let interval_us = 8_571_429;
        assert_eq!(
            plan.algorithm,
            Algorithm::Gcra {
                interval_us,
                burst: 7
            }
        );
        assert_eq!(plan.policy, "\"api\";q=7;w=60");
    }
}
