//! What is remembered of a sign-in from its begin to its callback.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cloakroom_core::entries::Entry;
use cloakroom_core::{Digest, Realm, Rng, RngError, Token};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use crate::error::{Cause, SessionError};
use crate::navigation::LocalPath;

/// The longest issuer, in bytes.
const MAX_ISSUER_LEN: usize = 256;

/// The longest `next`, in bytes.
const MAX_NEXT_LEN: usize = 512;

/// The longest data of the app, in bytes of JSON.
const MAX_DATA_LEN: usize = 1024;

/// The most bytes that the JSON of a transaction has: its parts, of which a quotation mark in the issuer or in `next`
/// is written as two bytes, and their names.
const MAX_JSON_LEN: usize = 2 * (MAX_ISSUER_LEN + MAX_NEXT_LEN) + MAX_DATA_LEN + 256;

/// The longest value of a transaction's cookie: nonce, encrypted JSON and tag, in base64.
pub(super) const MAX_VALUE_LEN: usize = (12 + MAX_JSON_LEN + 16).div_ceil(3) * 4;

/// A sign-in with an OAuth provider that was begun, or completed.
///
/// [`OAuthTransactions::begin`](crate::OAuthTransactions::begin) returns one whose [`state`](Self::state),
/// [`nonce`](Self::nonce) and [`pkce_challenge`](Self::pkce_challenge) go into the authorization request.
/// [`complete`](crate::OAuthTransactions::complete) returns the same one in the callback, whose
/// [`pkce_verifier`](Self::pkce_verifier) goes into the token request.
pub struct OAuthTransaction {
    state: String,
    contents: Contents,
}

/// What the cookie contains.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Contents {
    /// The digest of the state.
    state: Digest,
    issuer: String,
    nonce: String,
    verifier: String,
    next: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<Box<RawValue>>,
}

impl OAuthTransaction {
    /// Returns the value of the parameter `state` (RFC 6749, section 4.1.1): 43 characters, of which 202 bits are
    /// random.
    #[must_use]
    pub fn state(&self) -> &str {
        &self.state
    }

    /// Returns the value of the parameter `nonce` (OpenID Connect Core, section 3.1.2.1), which the ID token has to
    /// contain: 22 characters, 128 random bits.
    #[must_use]
    pub fn nonce(&self) -> &str {
        &self.contents.nonce
    }

    /// Returns the code verifier of PKCE (RFC 7636, section 4.1), for the token request: 43 characters, 256 random
    /// bits.
    #[must_use]
    pub fn pkce_verifier(&self) -> &str {
        &self.contents.verifier
    }

    /// Returns the code challenge of PKCE for the authorization request, by the method `S256` (RFC 7636, section 4.2).
    #[must_use]
    pub fn pkce_challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.pkce_verifier()))
    }

    /// Returns the issuer for which the transaction was begun.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.contents.issuer
    }

    /// Returns where to go after the sign-in: always a path of this site; `/` if none was given.
    #[must_use]
    pub fn next(&self) -> &str {
        &self.contents.next
    }

    /// Returns the data that the app has given to the transaction; `None` if it has given none.
    ///
    /// # Errors
    ///
    /// Fails if the data is not a `T`, as after a deploy that has changed the type.
    pub fn data<T: DeserializeOwned>(&self) -> Result<Option<T>, SessionError> {
        let Some(data) = &self.contents.data else {
            return Ok(None);
        };
        let data = serde_json::from_str(data.get());
        data.map(Some).map_err(|_| {
            Cause::OAuthSetup("the data of the transaction has another type than requested").into()
        })
    }

    pub(super) fn contents(&self) -> &Contents {
        &self.contents
    }
}

impl fmt::Debug for OAuthTransaction {
    /// Shows the issuer, and neither the state nor a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuthTransaction")
            .field("issuer", &self.contents.issuer)
            .finish_non_exhaustive()
    }
}

/// What the app gives to a new transaction.
#[derive(Debug)]
pub(crate) struct NewContents {
    issuer: String,
    next: Option<String>,
    data: Option<Box<RawValue>>,
}

impl NewContents {
    pub(crate) fn of(issuer: String) -> Self {
        Self {
            issuer,
            next: None,
            data: None,
        }
    }

    /// Sets `next`, if it is a path of this site and not too long.
    pub(crate) fn set_next(&mut self, next: &str) {
        let is_kept = next.len() <= MAX_NEXT_LEN && next.parse::<LocalPath>().is_ok();
        self.next = is_kept.then(|| next.to_owned());
    }

    pub(crate) fn set_data<T: Serialize>(&mut self, data: &T) -> Result<(), SessionError> {
        let entry = Entry::encode("data", data)?;
        if entry.json().len() > MAX_DATA_LEN {
            return Err(Cause::OAuthSetup(
                "the data of a transaction must have at most 1,024 bytes of JSON: keep more in the session",
            )
            .into());
        }
        let json = RawValue::from_string(entry.json().to_owned());
        self.data = Some(json.expect("an entry's value is JSON"));
        Ok(())
    }

    /// Makes the transaction, whose state is `token`.
    pub(crate) fn begin(
        self,
        token: &Token,
        realm: &Realm,
        rng: &dyn Rng,
    ) -> Result<OAuthTransaction, SessionError> {
        if self.issuer.len() > MAX_ISSUER_LEN {
            return Err(Cause::OAuthSetup("an issuer must have at most 256 bytes").into());
        }
        let contents = Contents {
            state: realm.digest(token),
            issuer: self.issuer,
            nonce: random::<16>(rng)?,
            verifier: random::<32>(rng)?,
            next: self.next.unwrap_or_else(|| "/".to_owned()),
            data: self.data,
        };
        Ok(contents.of_state(token.encode()))
    }
}

impl Contents {
    /// Returns the transaction if it has this state. The comparison takes constant time.
    pub(super) fn matching(self, token: &Token, realm: &Realm) -> Option<OAuthTransaction> {
        (self.state == realm.digest(token)).then(|| self.of_state(token.encode()))
    }

    fn of_state(self, state: String) -> OAuthTransaction {
        OAuthTransaction {
            state,
            contents: self,
        }
    }
}

fn random<const LEN: usize>(rng: &dyn Rng) -> Result<String, RngError> {
    let mut bytes = [0; LEN];
    rng.fill(&mut bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use cloakroom_core::{Clock, SystemClock, SystemRng};

    use super::*;

    fn begin(contents: NewContents) -> Result<OAuthTransaction, SessionError> {
        let token = Token::issue(SystemClock.now(), &SystemRng).unwrap();
        contents.begin(&token, &Realm::new("test"), &SystemRng)
    }

    /// The example of RFC 7636, appendix B.
    #[test]
    fn the_challenge_is_that_of_the_rfc() {
        let mut transaction = begin(NewContents::of("a".into())).unwrap();
        transaction.contents.verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".into();
        assert_eq!(
            transaction.pkce_challenge(),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }

    #[test]
    fn every_transaction_has_values_of_its_own() {
        let [one, other] = [(); 2].map(|()| begin(NewContents::of("a".into())).unwrap());
        assert_ne!(one.state(), other.state());
        assert_ne!(one.nonce(), other.nonce());
        assert_ne!(one.pkce_verifier(), other.pkce_verifier());
        let lengths = [one.state(), one.nonce(), one.pkce_verifier()].map(str::len);
        assert_eq!(lengths, [43, 22, 43]);
        let shown = format!("{one:?}");
        for secret in [one.state(), one.nonce(), one.pkce_verifier()] {
            assert!(!shown.contains(secret));
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_and_a_foreign_next_is_ignored() {
        let mut contents = NewContents::of("a".into());
        assert!(contents.set_data(&"x".repeat(MAX_DATA_LEN)).is_err());
        assert!(contents.set_data(&"x".repeat(MAX_DATA_LEN - 2)).is_ok());
        for next in ["//evil.example", &format!("/{}", "x".repeat(MAX_NEXT_LEN))] {
            contents.set_next("/kept");
            contents.set_next(next);
            assert_eq!(contents.next, None, "{next}");
        }
        assert_eq!(begin(contents).unwrap().next(), "/");
        assert!(begin(NewContents::of("x".repeat(MAX_ISSUER_LEN + 1))).is_err());
    }

    #[test]
    fn the_largest_transaction_fits() {
        let mut contents = NewContents::of("\"".repeat(MAX_ISSUER_LEN));
        contents.set_next(&format!("/{}", "\"".repeat(MAX_NEXT_LEN - 1)));
        contents.set_data(&"x".repeat(MAX_DATA_LEN - 2)).unwrap();
        let json = serde_json::to_string(&begin(contents).unwrap().contents).unwrap();
        assert!(json.len() <= MAX_JSON_LEN, "{}", json.len());
    }
}
