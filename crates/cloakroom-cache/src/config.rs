//! What a cache is configured with, and the bounds.

use std::time::Duration;

use crate::error::ConfigError;

/// The longest lifetime of a value, before jitter. With that of a stale one, it is less than that of a generation.
const MAX_LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How long a generation is known: longer than any record that was stored before it can live.
pub(crate) const GENERATION_TTL: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The maximum length of a value as JSON, in bytes. Longer ones are not cached.
pub(crate) const MAX_VALUE_LEN: usize = 1 << 20;

/// How much longer than a load its lease lives, so that a slow reply does not lose it.
const LEASE_SLACK: Duration = Duration::from_secs(2);

/// The time that the commands of a read may take.
const READ_SLACK: Duration = Duration::from_secs(5);

const MAX_NAME_LEN: usize = 32;

#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) fresh_for: Duration,
    pub(crate) stale_for: Duration,
    pub(crate) absent_for: Duration,
    pub(crate) jitter: f64,
    pub(crate) max_staleness: Duration,
    pub(crate) load_timeout: Duration,
    pub(crate) max_loads: usize,
    pub(crate) max_waiting: usize,
    pub(crate) max_bytes: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            fresh_for: Duration::from_secs(5 * 60),
            stale_for: Duration::ZERO,
            absent_for: Duration::ZERO,
            jitter: 0.1,
            max_staleness: Duration::from_secs(1),
            load_timeout: Duration::from_secs(3),
            max_loads: 32,
            max_waiting: 10_000,
            max_bytes: 16 << 20,
        }
    }
}

impl Config {
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let millisecond = Duration::from_millis(1);
        let check = |option, value: Duration, min: Duration, max: Duration| {
            if (min..=max).contains(&value) {
                return Ok(());
            }
            Err(ConfigError::new(
                option,
                format!("{value:?} is not between {min:?} and {max:?}"),
            ))
        };
        check("with_fresh_for", self.fresh_for, millisecond, MAX_LIFETIME)?;
        check(
            "with_stale_for",
            self.stale_for,
            Duration::ZERO,
            MAX_LIFETIME,
        )?;
        check(
            "with_absent_for",
            self.absent_for,
            Duration::ZERO,
            MAX_LIFETIME,
        )?;
        let minute = Duration::from_secs(60);
        check(
            "with_max_staleness",
            self.max_staleness,
            millisecond,
            minute,
        )?;
        check("with_load_timeout", self.load_timeout, millisecond, minute)?;
        if !(0.0..=0.5).contains(&self.jitter) {
            return Err(ConfigError::new("with_jitter", "the part must be 0 to 0.5"));
        }
        for (option, number) in [
            ("with_max_loads", self.max_loads as u64),
            ("with_max_waiting", self.max_waiting as u64),
        ] {
            if !(1..=1 << 20).contains(&number) {
                return Err(ConfigError::new(option, "must be 1 to 1,048,576"));
            }
        }
        if self.max_bytes == 0 {
            return Err(ConfigError::new("with_max_bytes", "must not be zero"));
        }
        Ok(())
    }

    pub(crate) fn lease(&self) -> Duration {
        self.load_timeout + LEASE_SLACK
    }

    /// The longest time that a read takes: waiting for the load of another server, then loading, and the commands
    /// to the store.
    pub(crate) fn read_timeout(&self) -> Duration {
        2 * self.load_timeout + READ_SLACK
    }

    /// A read that is older is not joined: while the backend is away, nobody can tell it of changes. Not less than a
    /// second, so that a short bound does not make each request read for itself.
    pub(crate) fn max_age_to_join(&self) -> Duration {
        let bound = self.max_staleness.max(Duration::from_secs(1));
        self.read_timeout().min(bound)
    }

    /// For how long a value is fresh, and then stale, in milliseconds; `None` if it is not cached. `random` is
    /// 0 to 1.
    pub(crate) fn lifetime(&self, is_present: bool, random: f64) -> Option<(u64, u64)> {
        let (fresh, stale) = if is_present {
            (self.fresh_for, self.stale_for)
        } else {
            (self.absent_for, Duration::ZERO)
        };
        if fresh.is_zero() {
            return None;
        }
        let fresh = fresh.mul_f64(1.0 + self.jitter * (2.0 * random - 1.0));
        Some((millis(fresh).max(1), millis(stale)))
    }
}

/// Checks the name of a cache.
pub(crate) fn validate_name(name: &str) -> Result<(), ConfigError> {
    let is_allowed = |sign: char| sign.is_ascii_lowercase() || sign.is_ascii_digit() || sign == '-';
    if (1..=MAX_NAME_LEN).contains(&name.len()) && name.chars().all(is_allowed) {
        return Ok(());
    }
    Err(ConfigError::new(
        "builder",
        format!(
            "the name {name:?} must have 1 to {MAX_NAME_LEN} lowercase letters, digits and hyphens"
        ),
    ))
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_differ_by_no_more_than_the_jitter() {
        let config = Config {
            fresh_for: Duration::from_secs(100),
            stale_for: Duration::from_secs(10),
            jitter: 0.2,
            ..Config::default()
        };
        assert_eq!(config.lifetime(true, 0.0), Some((80_000, 10_000)));
        assert_eq!(config.lifetime(true, 0.5), Some((100_000, 10_000)));
        assert_eq!(config.lifetime(true, 1.0), Some((120_000, 10_000)));
        assert_eq!(config.lifetime(false, 0.5), None);
    }

    #[test]
    fn no_record_outlives_the_knowledge_of_a_generation() {
        let config = Config {
            fresh_for: MAX_LIFETIME,
            stale_for: MAX_LIFETIME,
            jitter: 0.5,
            ..Config::default()
        };
        config.validate().unwrap();
        let (fresh, stale) = config.lifetime(true, 1.0).unwrap();
        assert!(Duration::from_millis(fresh + stale) < GENERATION_TTL);
    }

    #[test]
    fn names_that_would_not_fit_into_a_key_are_errors() {
        for name in ["", "User", "a b", "a:b", "{a}", "ä", &"a".repeat(33)] {
            let error = validate_name(name).unwrap_err();
            assert_eq!(error.option(), "builder");
        }
        validate_name("user-2").unwrap();
    }
}
