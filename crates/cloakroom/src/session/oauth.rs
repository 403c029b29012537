//! Begins and completes the transactions of sign-ins with OAuth providers.

use std::sync::Arc;

use cloakroom_core::store::Ended;
use cloakroom_core::{EndReason, SessionId, Timestamp, Token, Tombstone};
use serde::Serialize;

use super::lazy::LazySession;
use super::shared::SharedSession;
use crate::context::TOMBSTONE_TTL;
use crate::error::{Cause, OAuthRefusal, SessionError};
use crate::oauth::transaction::NewContents;
use crate::oauth::{OAuthConfig, OAuthTransaction};
use crate::telemetry::log;

/// The OAuth transactions of a request's browser: what sign-ins with a provider have to remember from the redirect to
/// the callback. An axum handler takes it as an argument; elsewhere, [`LazySession::oauth`] returns it. It needs
/// [`SessionLayerBuilder::with_oauth`](crate::SessionLayerBuilder::with_oauth).
///
/// It does not load the session, and changes nothing of it: the session of a guest goes on during the sign-in.
///
/// ```
/// use axum::response::Redirect;
/// use cloakroom::{OAuthTransactions, Session, SessionError};
///
/// const ISSUER: &str = "https://accounts.example";
///
/// async fn begin(oauth: OAuthTransactions) -> Result<Redirect, SessionError> {
///     let transaction = oauth.begin(ISSUER).with_next("/cart").start()?;
///     let (state, challenge) = (transaction.state(), transaction.pkce_challenge());
///     // The OAuth library makes the URL, with these values and the nonce:
///     Ok(Redirect::to(&format!("{ISSUER}/authorize?state={state}&code_challenge={challenge}")))
/// }
///
/// async fn callback(
///     oauth: OAuthTransactions,
///     session: Session,
///     state: String,
///     iss: Option<String>,
/// ) -> Result<Redirect, SessionError> {
///     let transaction = oauth.complete(&state, ISSUER, iss.as_deref()).await?;
///     // … exchange the code, with `transaction.pkce_verifier()`, and check the nonce. Then:
///     session.sign_in("ada").await?;
///     Ok(Redirect::to(transaction.next()))
/// }
/// ```
#[derive(Clone, Debug)]
pub struct OAuthTransactions {
    handle: Arc<SharedSession>,
    config: Arc<OAuthConfig>,
}

impl LazySession {
    /// Returns the OAuth transactions of the browser. It costs no store command.
    ///
    /// # Errors
    ///
    /// [`OAuthSetup`](crate::SessionErrorKind::OAuthSetup), if the layer was built without
    /// [`with_oauth`](crate::SessionLayerBuilder::with_oauth).
    pub fn oauth(&self) -> Result<OAuthTransactions, SessionError> {
        let Some(config) = &self.handle.context.oauth else {
            return Err(Cause::OAuthSetup(
                "the layer has no configuration of OAuth transactions: add \
                 `SessionLayerBuilder::with_oauth`",
            )
            .into());
        };
        Ok(OAuthTransactions {
            handle: Arc::clone(&self.handle),
            config: Arc::clone(config),
        })
    }
}

impl OAuthTransactions {
    /// Prepares a new transaction, for a sign-in with the provider of this issuer. The issuer is its identifier (RFC
    /// 8414, section 2), or any other name by which the app tells its providers apart; at most 256 bytes.
    pub fn begin(&self, issuer: impl Into<String>) -> NewOAuthTransaction {
        NewOAuthTransaction {
            transactions: self.clone(),
            contents: NewContents::of(issuer.into()),
        }
    }

    /// Completes the transaction with this state, in the callback: before the code is exchanged, and also if the
    /// provider reports an error. Of any number of callbacks, on any number of servers, exactly one succeeds.
    ///
    /// `issuer` is that of the provider whose callback this is: each needs a redirect URI of its own, so that the code
    /// of one provider is not sent to another (RFC 9700, section 4.4.2.2). `iss` is the callback's parameter of this
    /// name, if there is one: it must be the issuer as well (RFC 9207, section 2.4).
    ///
    /// It costs one store command. The response removes the transaction's cookie.
    ///
    /// # Errors
    ///
    /// [`OAuthCallback`](crate::SessionErrorKind::OAuthCallback), whose response is a 400, if this browser has begun no
    /// such transaction; it has expired; it was begun with another provider; or it was completed before. Otherwise as
    /// for [`Session::save`](crate::Session::save): while the store is unavailable, no transaction can be completed.
    pub async fn complete(
        &self,
        state: &str,
        issuer: &str,
        iss: Option<&str>,
    ) -> Result<OAuthTransaction, SessionError> {
        let completed = self.try_complete(state, issuer, iss).await;
        if let Err(error) = &completed
            && let Some(refusal) = error.oauth_refusal()
        {
            log::oauth_refused(refusal.label());
        }
        completed
    }

    async fn try_complete(
        &self,
        state: &str,
        issuer: &str,
        iss: Option<&str>,
    ) -> Result<OAuthTransaction, SessionError> {
        let handle = &self.handle;
        // The response depends on the cookies, whatever it is.
        handle.set_requested();
        let realm = &handle.context.realm;
        let token = Token::parse(state).ok_or(Cause::OAuth(OAuthRefusal::UnknownState))?;
        let transaction = self.config.find(&handle.credentials, &token, realm);
        let transaction = transaction.ok_or(Cause::OAuth(OAuthRefusal::UnknownState))?;
        let id = token.id();
        let now = handle.now();
        let Some(left) = self.config.time_left(id, now) else {
            handle.add_cookie(self.config.remove_cookie(id))?;
            return Err(Cause::OAuth(OAuthRefusal::Expired).into());
        };
        let is_same = transaction.issuer() == issuer && iss.is_none_or(|iss| iss == issuer);
        if !is_same {
            return Err(Cause::OAuth(OAuthRefusal::OtherIssuer).into());
        }
        let is_first = self.mark_as_used(id, now, left).await?;
        handle.add_cookie(self.config.remove_cookie(id))?;
        if is_first {
            Ok(transaction)
        } else {
            Err(Cause::OAuth(OAuthRefusal::Used).into())
        }
    }

    /// Stores a tombstone under the transaction's id, and returns whether there was none. It lasts longer than the
    /// transaction, also by a clock that differs by up to a minute.
    async fn mark_as_used(
        &self,
        id: SessionId,
        now: Timestamp,
        left: std::time::Duration,
    ) -> Result<bool, SessionError> {
        let handle = &self.handle;
        let mark = Tombstone::new(None, now, EndReason::Destroyed);
        let end = handle
            .context
            .store
            .end(id, None, &mark, left + TOMBSTONE_TTL);
        let ended = handle.budget.write(end).await?;
        Ok(ended == Ended::Missing)
    }
}

/// A transaction that is about to begin, from [`OAuthTransactions::begin`].
#[derive(Debug)]
#[must_use = "no transaction begins until `start` is called"]
pub struct NewOAuthTransaction {
    transactions: OAuthTransactions,
    contents: NewContents,
}

impl NewOAuthTransaction {
    /// Sets where to go after the sign-in: a path of this site, with or without a query. Everything else is ignored,
    /// such as the address of another site, which would be an open redirect; and so is a path of more than 512 bytes.
    /// Default: `/`.
    pub fn with_next(mut self, next: &str) -> Self {
        self.contents.set_next(next);
        self
    }

    /// Gives data of the app to the transaction, at most 1,024 bytes of JSON: an invitation, for instance.
    /// [`OAuthTransaction::data`] returns it in the callback.
    ///
    /// # Errors
    ///
    /// [`OAuthSetup`](crate::SessionErrorKind::OAuthSetup), if the data is larger;
    /// [`Entry`](crate::SessionErrorKind::Entry), if it cannot be kept as JSON.
    pub fn with_data<T: Serialize>(mut self, data: &T) -> Result<Self, SessionError> {
        self.contents.set_data(data)?;
        Ok(self)
    }

    /// Begins the transaction. The response sets its cookie, and removes the oldest ones if there are too many
    /// ([`OAuthConfig::with_max_transactions`]). It costs no store command.
    ///
    /// # Errors
    ///
    /// [`OAuthSetup`](crate::SessionErrorKind::OAuthSetup), if the issuer has more than 256 bytes;
    /// [`RngFailed`](crate::SessionErrorKind::RngFailed); or
    /// [`ResponseSent`](crate::SessionErrorKind::ResponseSent), if the response has been sent.
    pub fn start(self) -> Result<OAuthTransaction, SessionError> {
        let OAuthTransactions { handle, config } = self.transactions;
        handle.set_requested();
        let (realm, rng) = (&handle.context.realm, &*handle.context.rng);
        let token = Token::issue(handle.now(), rng)?;
        let transaction = self.contents.begin(&token, realm, rng)?;
        let cookie = config.set_cookie(token.id(), &transaction);
        for superseded in config.superseded(&handle.credentials, cookie.len()) {
            handle.add_cookie(config.remove_cookie(superseded))?;
        }
        handle.add_cookie(cookie)?;
        Ok(transaction)
    }
}
