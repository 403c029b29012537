//! Attempts to sign in, and what else proves who a user is.

use std::net::IpAddr;
use std::sync::Arc;

use cloakroom_core::{Clock as _, StoreError, SystemClock};
use http::{HeaderMap, HeaderValue};

use super::attempt::Attempt;
use super::builder::LoginGuard;
use super::refused::LoginRefused;
use super::state::Candidate;
use crate::account::Settlement;
use crate::telemetry;

impl LoginGuard {
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
