//! The configuration of a guard.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use super::device::{DeviceCookies, DeviceKey};
use super::state::Guard;
use crate::account::AccountPolicy;
use crate::error::ConfigError;
use crate::limits::{Fallback, Limits};
use crate::rate::Rate;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// How long an account is remembered after the last attempt.
const KEEP: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// After this time without an attempt of an unknown browser, delays start anew.
const FORGET: Duration = Duration::from_secs(24 * 60 * 60);

/// NIST SP 800-63B-4, section 3.2.2.
const MAX_FAILURES: u32 = 100;

/// Protects sign-ins against guessing.
///
/// An attempt is taken before the password is checked, and counts as a failure until it has succeeded. So of any
/// number of parallel guesses exactly as many reach the password as are left. Attempts are counted
///
/// - for each browser that has signed in to the account before (a *known* browser, recognized by a signed
///   cookie): 10 in 15 minutes by default;
/// - for the account, all other browsers together: 10 without delay, then with delays that double from 30
///   seconds to 15 minutes;
/// - for the account, failures in a row: after 90 only known browsers may try, until one of them signs in; after
///   100 (NIST SP 800-63B) none may, until [`lift`](Self::lift) is called;
/// - for each address, by all unknown browsers and over all accounts: 50 an hour;
/// - for the whole site: above 1000 failures in a minute, a warning is logged.
///
/// So nobody can lock a user out of a browser that the user has signed in with. Accounts that do not exist are treated like
/// others. While the store is unavailable, each server counts in memory; see
/// [`with_fallback`](LoginGuardBuilder::with_fallback).
///
/// ```
/// use std::net::IpAddr;
/// use cloakroom_limit::{Limits, LoginGuard, LoginRefused};
/// use http::{HeaderMap, HeaderValue};
///
/// # async fn verify(_: &str, _: &str) -> Result<bool, std::io::Error> { Ok(true) }
/// enum Answer {
///     SignedIn { failures: u32, set_cookie: Option<HeaderValue> },
///     WrongPassword,
///     TryLater(LoginRefused),
/// }
///
/// async fn sign_in(
///     guard: &LoginGuard,
///     (account, password): (&str, &str),
///     headers: &HeaderMap,
///     address: Option<IpAddr>,
/// ) -> Result<Answer, std::io::Error> {
///     let attempt = match guard.attempt(account, headers, address).await {
///         Ok(attempt) => attempt,
///         Err(refused) => return Ok(Answer::TryLater(refused)),
///     };
///     match verify(account, password).await {
///         Ok(true) => {
///             let signed_in = attempt.succeeded().await;
///             Ok(Answer::SignedIn {
///                 failures: signed_in.failures(),
///                 set_cookie: signed_in.into_set_cookie(),
///             })
///         }
///         Ok(false) => Ok(Answer::WrongPassword), // the attempt is dropped: it has failed
///         Err(error) => {
///             attempt.cancelled().await; // the password was not checked
///             Err(error)
///         }
///     }
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let key = cloakroom_limit::DeviceKey::generate()?;
/// # let guard = LoginGuard::builder(&Limits::in_memory(), [key]).build()?;
/// # let answer = sign_in(&guard, ("ada", "secret"), &HeaderMap::new(), None).await?;
/// # assert!(matches!(answer, Answer::SignedIn { failures: 0, .. }));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct LoginGuard(pub(super) Arc<Guard>);

/// Configures a [`LoginGuard`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct LoginGuardBuilder {
    limits: Limits,
    devices: DeviceCookies,
    free: u32,
    delays: (Duration, Duration),
    stop: u32,
    device: (u32, Duration),
    address: (u32, Duration),
    site: u32,
    fallback: Fallback,
}

impl LoginGuard {
    /// Returns a builder. The first key signs device cookies; those of the others are accepted as well.
    pub fn builder(
        limits: &Limits,
        keys: impl IntoIterator<Item = DeviceKey>,
    ) -> LoginGuardBuilder {
        LoginGuardBuilder::new(limits.clone(), keys.into_iter().collect())
    }
}

impl LoginGuardBuilder {
    fn new(limits: Limits, keys: Vec<DeviceKey>) -> Self {
        Self {
            limits,
            devices: DeviceCookies {
                keys,
                name: "__Host-Http-device".to_owned(),
                is_secure: true,
                lifetime_days: 365,
            },
            free: 10,
            delays: (Duration::from_secs(30), 15 * MINUTE),
            stop: MAX_FAILURES,
            device: (10, 15 * MINUTE),
            address: (50, HOUR),
            site: 1000,
            fallback: Fallback::Local { servers: 1 },
        }
    }

    /// Sets how many attempts unknown browsers have together without delay. The default is 10; zero is an error.
    /// Delays start anew after a sign-in, or after a day without an attempt.
    pub fn with_free_attempts(mut self, attempts: u32) -> Self {
        self.free = attempts;
        self
    }

    /// Sets the first delay and the longest; each is twice the one before. The default is 30 seconds to 15
    /// minutes. A first delay of less than a second, one that is longer than the longest, and a longest of more
    /// than a day are errors.
    pub fn with_delays(mut self, first: Duration, longest: Duration) -> Self {
        self.delays = (first, longest);
        self
    }

    /// Sets how many failures in a row stop an account, for all browsers together. The last tenth (at least one)
    /// is reserved for known browsers, so that others cannot use it up. The default is 100, which is also the
    /// highest: NIST SP 800-63B allows no more. Fewer than 2 are an error.
    pub fn with_max_failures(mut self, failures: u32) -> Self {
        self.stop = failures;
        self
    }

    /// Sets how many attempts a known browser has in `window`. The default is 10 in 15 minutes. The bounds are
    /// those of [`Rate::new`].
    pub fn with_device_limit(mut self, attempts: u32, window: Duration) -> Self {
        self.device = (attempts, window);
        self
    }

    /// Sets how many failures of unknown browsers one address may have in `window`, over all accounts. The default
    /// is 50 in an hour. The bounds are those of [`Rate::new`]. Many users may share an address: raise it rather
    /// than lower it.
    pub fn with_address_limit(mut self, failures: u32, window: Duration) -> Self {
        self.address = (failures, window);
        self
    }

    /// Sets how many failures of unknown browsers in a minute are unusual for the whole site: more are logged, and
    /// not refused. The default is 1000; zero is an error.
    pub fn with_site_threshold(mut self, failures: u32) -> Self {
        self.site = failures;
        self
    }

    /// Sets what happens while the store cannot be reached. The default is [`Fallback::Local`] for one server: each
    /// server counts in memory, from what it last knew of an account. With several servers, give their number.
    /// [`Fallback::Deny`] refuses all attempts. [`Fallback::Allow`] is an error: sign-ins are never unguarded.
    pub fn with_fallback(mut self, fallback: Fallback) -> Self {
        self.fallback = fallback;
        self
    }

    /// Sets the name of the device cookie. The default is `__Host-Http-device`.
    pub fn with_cookie_name(mut self, name: impl Into<String>) -> Self {
        self.devices.name = name.into();
        self
    }

    /// Sets how many days a browser stays known after its last sign-in. The default is 365; zero and more than 400
    /// days, the longest that browsers keep cookies, are errors.
    pub fn with_cookie_lifetime_days(mut self, days: u16) -> Self {
        self.devices.lifetime_days = days;
        self
    }

    /// Leaves the attribute `Secure` out, for development over HTTP. The cookie's name must then not begin with
    /// `__Host-` or `__Secure-`.
    pub fn insecure_over_http(mut self) -> Self {
        self.devices.is_secure = false;
        self
    }

    /// Builds the guard.
    ///
    /// # Errors
    ///
    /// If an option is out of its bounds, or there is no device key. The error names the option.
    pub fn build(self) -> Result<LoginGuard, ConfigError> {
        self.check_delays()?;
        self.check_cookie()?;
        if self.free == 0 {
            return error("with_free_attempts", "there must be at least one");
        }
        if !(2..=MAX_FAILURES).contains(&self.stop) {
            let message = format!("the failures in a row must be 2 to {MAX_FAILURES}");
            return error("with_max_failures", message);
        }
        if self.fallback == Fallback::Allow {
            let message = "sign-ins must not be unguarded while the store is unavailable";
            return error("with_fallback", message);
        }
        let (attempts, window) = self.device;
        let device = Rate::new("device", attempts, window).plan("with_device_limit")?;
        let (failures, window) = self.address;
        let address = Rate::new("sign-in", failures, window).plan("with_address_limit")?;
        let site = Rate::fixed_window("sign-in-site", self.site, MINUTE).report_only();
        let policy = AccountPolicy {
            free: self.free,
            first_delay_ms: millis(self.delays.0),
            max_delay_ms: millis(self.delays.1),
            unknown_stop: self.stop - (self.stop / 10).max(1),
            stop: self.stop,
            forget_ms: millis(FORGET),
            keep_ms: millis(KEEP),
            device: device.algorithm,
        };
        Ok(LoginGuard(Arc::new(Guard {
            limits: self.limits,
            policy,
            address,
            site: site.plan("with_site_threshold")?,
            devices: self.devices,
            fallback: self.fallback.validate("with_fallback")?,
            site_logged: AtomicU64::new(0),
        })))
    }

    fn check_delays(&self) -> Result<(), ConfigError> {
        let (first, longest) = self.delays;
        if first < Duration::from_secs(1) || first > longest || longest > 24 * HOUR {
            let message = "the first delay must be at least a second and not longer than the longest, \
                which must be at most a day";
            return error("with_delays", message);
        }
        Ok(())
    }

    fn check_cookie(&self) -> Result<(), ConfigError> {
        let DeviceCookies {
            keys,
            name,
            is_secure,
            lifetime_days,
        } = &self.devices;
        if keys.is_empty() {
            return error("builder", "at least one device key is needed");
        }
        if !(1..=400).contains(lifetime_days) {
            return error("with_cookie_lifetime_days", "it must be 1 to 400 days");
        }
        let is_allowed = |sign: char| sign.is_ascii_alphanumeric() || "-_.".contains(sign);
        if name.is_empty() || name.len() > 64 || !name.chars().all(is_allowed) {
            let message = "the name must be 1 to 64 letters, digits, `-`, `_` and `.`";
            return error("with_cookie_name", message);
        }
        if !is_secure && name.starts_with("__") {
            let message = "browsers refuse this name without `Secure`: choose another, with \
                `with_cookie_name`";
            return error("insecure_over_http", message);
        }
        Ok(())
    }
}

fn error<T>(option: &'static str, message: impl Into<String>) -> Result<T, ConfigError> {
    Err(ConfigError::new(option, message))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_out_of_bounds_is_an_error_that_names_it() {
        let key = DeviceKey::generate().unwrap();
        let builder = || LoginGuard::builder(&Limits::in_memory(), [key.clone()]);
        let (second, day) = (Duration::from_secs(1), 24 * HOUR);
        for (builder, option) in [
            (LoginGuard::builder(&Limits::in_memory(), []), "builder"),
            (builder().with_free_attempts(0), "with_free_attempts"),
            (builder().with_delays(Duration::ZERO, second), "with_delays"),
            (builder().with_delays(2 * second, second), "with_delays"),
            (builder().with_delays(second, day + second), "with_delays"),
            (builder().with_max_failures(1), "with_max_failures"),
            (builder().with_max_failures(101), "with_max_failures"),
            (builder().with_device_limit(0, day), "with_device_limit"),
            (
                builder().with_address_limit(1, Duration::ZERO),
                "with_address_limit",
            ),
            (builder().with_site_threshold(0), "with_site_threshold"),
            (builder().with_fallback(Fallback::Allow), "with_fallback"),
            (
                builder().with_fallback(Fallback::Local { servers: 0 }),
                "with_fallback",
            ),
            (builder().with_cookie_name("a;b"), "with_cookie_name"),
            (
                builder().with_cookie_lifetime_days(0),
                "with_cookie_lifetime_days",
            ),
            (builder().insecure_over_http(), "insecure_over_http"),
        ] {
            let error = builder.build().unwrap_err();
            assert_eq!(error.option(), option);
            assert!(error.to_string().starts_with(&format!("`{option}`: ")));
        }
        let guard = builder()
            .with_delays(second, day)
            .with_max_failures(2)
            .build();
        assert_eq!(guard.unwrap().0.policy.unknown_stop, 1);
    }
}
