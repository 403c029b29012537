//! What attempts share: the configuration, and how they are counted.

use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use cloakroom_core::{Clock as _, SystemClock};

use super::device::DeviceCookies;
use super::refused::LoginRefused;
use crate::account::{AccountPolicy, AccountState};
use crate::check::{Charge, Check, Reading};
use crate::limiter::check_of;
use crate::limits::{Decided, Fallback, Limits};
use crate::network::network;
use crate::rate::Plan;
use crate::telemetry;

/// What attempts need of their guard.
pub(super) struct Guard {
    pub(super) limits: Limits,
    pub(super) policy: AccountPolicy,
    pub(super) address: Plan,
    pub(super) site: Plan,
    pub(super) devices: DeviceCookies,
    pub(super) fallback: Fallback,
    /// The minute in which an attack on the site was logged last.
    pub(super) site_logged: AtomicU64,
}

/// What is known of an attempt before it is taken.
pub(super) struct Candidate {
    pub(super) account: Account,
    pub(super) device: Option<Check>,
}

/// An account, by its hash.
pub(super) struct Account {
    pub(super) hash: String,
    pub(super) key: String,
}

/// What was taken: the account's state, what was charged to other counters, and whether it was in memory only.
pub(super) type Taken = (AccountState, Vec<Charge>, bool);

impl Guard {
    pub(super) fn account(&self, account: &str) -> Account {
        let name = account.trim().to_lowercase();
        let hash = self.limits.hash("account", name.as_bytes());
        let key = format!("limit:{{{hash}}}:account");
        Account { hash, key }
    }

    pub(super) fn device(&self, account: &Account, id: &str) -> Check {
        let hash = self.limits.hash("device", id.as_bytes());
        let algorithm = self.policy.device;
        Check {
            key: format!("limit:{{{}}}:device:{hash}", account.hash),
            algorithm,
            increment: algorithm.increment(1),
            is_enforced: true,
        }
    }

    /// Takes an attempt.
    pub(super) async fn take(
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
