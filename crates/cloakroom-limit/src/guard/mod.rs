//! The guard for sign-ins.

mod attempt;
mod builder;
mod device;
mod refused;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use cloakroom_core::{Clock as _, StoreError, SystemClock};
use http::{HeaderMap, HeaderValue};

use crate::account::{AccountPolicy, AccountState, Denial, Settlement};
use crate::check::{Charge, Check, Reading};
use crate::limiter::check_of;
use crate::limits::{Decided, Fallback, Limits};
use crate::network::network;
use crate::rate::Plan;
use crate::telemetry;

pub use self::attempt::{Attempt, SignedIn};
pub use self::builder::LoginGuardBuilder;
pub use self::device::DeviceKey;
pub use self::refused::{LoginRefused, RefusalReason};

use self::device::DeviceCookies;

/// Protects sign-ins against guessing.
///
/// An attempt is taken before the password is checked, and counts as a failure until it has succeeded. So of any
/// number of parallel guesses exactly as many reach the password as are left. Attempts are counted
///
/// - for each browser that has signed in to the account before (a *known* browser, recognized by a signed
///   cookie): 10 in 15 minutes by default;
/// - for the account, all other browsers together: 10 without delay, then with delays that double from 30
///   seconds to 15 minutes;
/// - for the account, failures in a row: after 90 only known browsers may try, and after 100 none (NIST SP
///   800-63B), until a known browser signs in or [`lift`](Self::lift) is called;
/// - for each address, by all unknown browsers and over all accounts: 50 an hour;
/// - for the whole site: above 1000 failures in a minute, a warning is logged.
///
/// So nobody can lock a user out of the browsers that the user knows. Accounts that do not exist are treated like
/// others. While the store is away, each server counts in memory; see
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
pub struct LoginGuard(Arc<Guard>);

/// What attempts need of their guard.
struct Guard {
    limits: Limits,
    policy: AccountPolicy,
    address: Plan,
    site: Plan,
    devices: DeviceCookies,
    fallback: Fallback,
    /// The minute in which an attack on the site was logged last.
    site_logged: AtomicU64,
}

/// What is known of an attempt before it is taken.
struct Candidate {
    account: Account,
    device: Option<Check>,
}

/// An account, by its hash.
struct Account {
    hash: String,
    key: String,
}

impl LoginGuard {
    /// Returns a builder. The first key signs device cookies; those of the others are accepted as well.
    pub fn builder(
        limits: &Limits,
        keys: impl IntoIterator<Item = DeviceKey>,
    ) -> LoginGuardBuilder {
        LoginGuardBuilder::new(limits.clone(), keys.into_iter().collect())
    }

    /// Takes an attempt to sign in to `account`. Call it before the password is checked, and check the password
    /// only if it returns `Ok`.
    ///
    /// `account` is what the user has entered, whether or not there is such an account; spaces around it, and
    /// upper and lower case, make no difference. `headers` are those of the request, and `address` is the
    /// client's ([`ClientAddress`](cloakroom::ClientAddress)): without one, attempts are not counted by address.
    ///
    /// It sends one command for a known browser, and two for another (in a cluster, three).
    ///
    /// # Errors
    ///
    /// If an attempt is not allowed now. It says when the next one is.
    pub async fn attempt(
        &self,
        account: &str,
        headers: &HeaderMap,
        address: Option<IpAddr>,
    ) -> Result<Attempt, LoginRefused> {
        let guard = &self.0;
        let account = guard.account(account);
        let known = guard
            .devices
            .known(headers, &account.hash, SystemClock.now());
        let candidate = Candidate {
            device: known.map(|id| guard.device(&account, &id)),
            account,
        };
        let taken = guard.take(&candidate, address).await;
        let (state, charges, is_local) = taken.inspect_err(|refused| {
            telemetry::attempt_refused(&candidate.account.hash, refused.reason().as_str());
        })?;
        let cookie = guard
            .devices
            .remember(headers, &candidate.account.hash, SystemClock.now());
        Ok(Attempt::new(
            Arc::clone(guard),
            candidate,
            state,
            charges,
            is_local,
            cookie,
        ))
    }

    /// Lifts delays and the stop of an account, after the user has proved who they are in another way: with a
    /// link in a mail, a passkey, or to an administrator. The limit of the address stays.
    ///
    /// # Errors
    ///
    /// If the store cannot be reached.
    pub async fn lift(&self, account: &str) -> Result<(), StoreError> {
        let guard = &self.0;
        let account = guard.account(account);
        let settled =
            guard
                .limits
                .settle(&account.key, None, Settlement::Lifted, &guard.policy, false);
        settled.await?;
        telemetry::lifted(&account.hash);
        Ok(())
    }

    /// Returns the cookie that makes the browser known to the account, for the header `Set-Cookie`: after the
    /// user has signed in to it in another way than with a password. `None` if the system's random number
    /// generator fails.
    #[must_use]
    pub fn device_cookie(&self, account: &str, headers: &HeaderMap) -> Option<HeaderValue> {
        let account = self.0.account(account);
        let now = SystemClock.now();
        self.0.devices.remember(headers, &account.hash, now)
    }
}

/// What was taken: the account's state, what was charged to other counters, and whether it was in memory only.
type Taken = (AccountState, Vec<Charge>, bool);

impl Guard {
    fn account(&self, account: &str) -> Account {
        let name = account.trim().to_lowercase();
        let hash = self.limits.hash("account", name.as_bytes());
        let key = format!("limit:{{{hash}}}:account");
        Account { hash, key }
    }

    fn device(&self, account: &Account, id: &str) -> Check {
        let hash = self.limits.hash("device", id.as_bytes());
        let algorithm = self.policy.device;
        Check {
            key: format!("limit:{{{}}}:device:{hash}", account.hash),
            algorithm,
            increment: algorithm.increment(1),
            is_enforced: true,
        }
    }

    async fn take(
        &self,
        candidate: &Candidate,
        address: Option<IpAddr>,
    ) -> Result<Taken, LoginRefused> {
        // A known browser has a limit of its own: others at the same address cannot use it up.
        let charges = match &candidate.device {
            Some(_) => Vec::new(),
            None => self.charge(address).await?,
        };
        let Candidate { account, device } = candidate;
        let taken = self
            .limits
            .take(&account.key, device.as_ref(), &self.policy, self.fallback);
        let refused = match taken.await {
            Ok(reply) => match reply.result {
                Ok(state) => return Ok((state, charges, reply.is_local)),
                Err((denial, _)) => LoginRefused::denied(denial),
            },
            Err(_) => LoginRefused::unavailable(),
        };
        self.limits.refund(&charges).await;
        Err(refused)
    }

    /// Charges an attempt to the address and to the whole site.
    async fn charge(&self, address: Option<IpAddr>) -> Result<Vec<Charge>, LoginRefused> {
        let site = self.limits.hash("site", b"");
        let mut checks = vec![check_of(&self.site, &site, 1)];
        if let Some(address) = address {
            let subject = self.limits.hash("address", &network(address));
            checks.insert(0, check_of(&self.address, &subject, 1));
        }
        let began = Instant::now();
        let (checks, readings, is_local) = match self.limits.decide(&checks, self.fallback).await {
            Decided::Counted(readings) => (checks, readings, false),
            Decided::Locally(shares, readings) => {
                (shares, readings.into_iter().map(Some).collect(), true)
            }
            Decided::Remembered(_, wait) => return Err(LoginRefused::address(wait)),
            Decided::Allowed | Decided::Denied => return Err(LoginRefused::unavailable()),
        };
        let asked: Vec<(Check, Reading)> = checks
            .into_iter()
            .zip(readings)
            .filter_map(|(check, reading)| Some((check, reading?)))
            .collect();
        for (check, reading) in asked.iter().filter(|(_, reading)| !reading.is_allowed) {
            if check.is_enforced {
                let wait = check.algorithm.retry_after(reading.level, check.increment);
                return Err(LoginRefused::address(wait));
            }
            self.log_site();
        }
        let charged = asked.iter().filter(|(_, reading)| reading.is_allowed);
        let charge =
            |(check, reading): &(Check, Reading)| Charge::of(check, *reading, began, is_local);
        Ok(charged.map(charge).collect())
    }

    /// Logs, once a minute, that the site has unusually many failures.
    fn log_site(&self) {
        let minute = SystemClock.now().as_millis() / 60_000;
        if self.site_logged.swap(minute, Ordering::Relaxed) != minute {
            telemetry::site_under_attack();
        }
    }
}

impl LoginRefused {
    fn denied(denial: Denial) -> Self {
        use std::time::Duration;
        match denial {
            Denial::Delayed(wait) => {
                Self::new(RefusalReason::Delayed, Some(Duration::from_millis(wait)))
            }
            Denial::Device(wait) => {
                Self::new(RefusalReason::Device, Some(Duration::from_millis(wait)))
            }
            Denial::Stopped => Self::new(RefusalReason::Stopped, None),
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("policy", &self.policy)
            .field("address", &self.address)
            .field("site", &self.site)
            .field("fallback", &self.fallback)
            .finish_non_exhaustive()
    }
}
