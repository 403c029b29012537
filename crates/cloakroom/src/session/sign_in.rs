//! Signing in and out, who is signed in, and how long ago that was.

use std::any::type_name;
use std::future::IntoFuture;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cloakroom_core::{Authentication, EndReason, Entries, Expiry, Limits, UserId, codec};
use serde::Serialize;

use super::Session;
use super::key::EntryKey;
use super::outcome::Destroyed;
use crate::commit::Committed;
use crate::error::{Cause, SessionError};
use crate::state::{CarryOver, SigningIn, State, check_key};

impl Session {
    /// Signs a user in, once the app has authenticated them.
    ///
    /// What the new session holds depends on who was signed in before:
    ///
    /// | before | the new session holds |
    /// |---|---|
    /// | nobody, or the same user | the entries of the old session, with this request's edits |
    /// | another user | this request's unsaved edits alone, and nothing of the other user's |
    /// | anybody, with [`discard_data`](SignIn::discard_data) | neither |
    ///
    /// Entries given to the sign-in itself, with [`SignIn::insert`], are always in the new session. They
    /// are stored by the same command, so they cost nothing extra. Prefer them to `insert` before
    /// `sign_in`, and to `insert` afterwards, which costs a second write.
    ///
    /// For another user, this request's edits run again on an empty session: inserted values stay as
    /// they are, removals have no effect, and the closure of an [`update`](Self::update) runs on what
    /// is there then, usually `None`. So nothing that an update computed from the other user's entries
    /// goes into the new session. Edits that were already saved, with [`save`](Self::save) for
    /// instance, belong to the other user's session and do not carry over.
    ///
    /// If a concurrent request with the same cookie has signed the same user in, this sign-in joins the session
    /// that the other one has created, with this request's edits: the cookies of both responses are valid. (With
    /// [`discard_data`](SignIn::discard_data) it does not.) If a concurrent request has renewed the session
    /// without a sign-in, this sign-in creates a session of its own, next to the renewed one. If the session was
    /// signed out or revoked meanwhile, the new session holds this request's own edits alone.
    ///
    /// The session gets a new id, a new token and a new lifetime, and the old session ends (ASVS 5.0,
    /// 7.2.4). When the future completes, the session is stored and in the user's index, so that
    /// [`Sessions`](crate::Sessions) finds it. The cookie is set with the response.
    ///
    /// ```
    /// use cloakroom::{Expiry, Key, Session, SessionError, days};
    ///
    /// const NAME: Key<String> = Key::new("name");
    ///
    /// async fn sign_in(session: Session) -> Result<&'static str, SessionError> {
    ///     // … after the password was checked:
    ///     session.sign_in(7).insert(NAME, "Ada".to_owned())?.await?;
    ///     // Or, with the box "remember me" checked, and without the cart of the anonymous visitor:
    ///     session
    ///         .sign_in(7)
    ///         .with_expiry(Expiry::idle(days(7)).absolute(days(30)))
    ///         .discard_data()
    ///         .await?;
    ///     Ok("Welcome")
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// When awaited:
    ///
    /// - [`TooManySessions`](crate::SessionErrorKind::TooManySessions), if a limit refuses it.
    /// - [`Ended`](crate::SessionErrorKind::Ended), if all of the user's sessions are being ended at
    ///   this moment, or a later sign-in evicted this one.
    /// - When the entries are larger than the layer allows, or the store fails, as for
    ///   [`save`](Self::save).
    ///
    /// Nobody is signed in then, and the session is as it was. The old one may have ended after an unknown
    /// outcome, and has ended if its end is what too few replicas have confirmed.
    pub fn sign_in(&self, user: impl Into<UserId>) -> SignIn {
        SignIn {
            session: self.clone(),
            user: user.into(),
            expiry: None,
            inserted: Entries::new(),
            carry_over: CarryOver::Everything,
        }
    }

    /// Returns who is signed in, or is [impersonated](Self::impersonate). [`user_id`](Self::user_id) returns it in the
    /// app's own type.
    ///
    /// ```
    /// use cloakroom::Session;
    ///
    /// async fn greet(session: Session) -> String {
    ///     match session.user() {
    ///         Some(user) => format!("Hello, {user}"),
    ///         None => "Hello, stranger".to_owned(),
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn user(&self) -> Option<UserId> {
        let state = self.handle.state();
        state.impersonated().or_else(|| state.signed_in_user())
    }

    /// Returns the id of the signed-in user, parsed from its text as a `T`: an integer, a UUID, a
    /// `String`; `None` if nobody is signed in.
    ///
    /// ```
    /// use cloakroom::{Session, SessionError};
    ///
    /// async fn orders(session: Session) -> Result<String, SessionError> {
    ///     let Some(user) = session.user_id::<i64>()? else {
    ///         return Ok("please sign in".to_owned());
    ///     };
    ///     Ok(format!("SELECT … WHERE user_id = {user}"))
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`UserId`](crate::SessionErrorKind::UserId), if the stored id cannot be parsed as a `T`.
    pub fn user_id<T: FromStr>(&self) -> Result<Option<T>, SessionError> {
        let Some(user) = self.user() else {
            return Ok(None);
        };
        let parsed = user.as_str().and_then(|text| text.parse().ok());
        let parsed = parsed.ok_or(Cause::UserId(type_name::<T>()))?;
        Ok(Some(parsed))
    }

    /// Returns the id of the signed-in user as [`user_id`](Self::user_id) does, or the error that says
    /// that nobody is signed in.
    ///
    /// # Errors
    ///
    /// [`NotSignedIn`](crate::SessionErrorKind::NotSignedIn), whose response is a 401; otherwise as
    /// [`user_id`](Self::user_id).
    pub fn require_user_id<T: FromStr>(&self) -> Result<T, SessionError> {
        self.user_id()?.ok_or_else(|| self.not_signed_in())
    }

    /// Returns when the user signed in: gave a password, and not merely used the session. `None` also while the user is
    /// [impersonated](Self::impersonate), which is not a sign-in.
    #[must_use]
    pub fn signed_in_at(&self) -> Option<SystemTime> {
        Some(self.authentication()?.at().into())
    }

    /// Signs the user out: [`destroy`](Self::destroy), with [`EndReason::SignedOut`] as the reason.
    ///
    /// # Errors
    ///
    /// As [`destroy`](Self::destroy).
    pub async fn sign_out(&self) -> Result<Destroyed, SessionError> {
        self.end(EndReason::SignedOut).await
    }

    /// Returns whether the user signed in at most this long ago.
    #[must_use]
    pub fn signed_in_within(&self, within: Duration) -> bool {
        let now = self.handle.now();
        self.authentication()
            .is_some_and(|user| now.since(user.at()) <= within)
    }

    /// Requires that the user signed in at most this long ago, for sensitive actions: changing the
    /// password, paying, adding a key (ASVS 5.0, 7.5.1 and 7.5.3). Returns who is signed in. With a
    /// duration that is known at compile time, the extractor
    /// [`RecentSignIn`](crate::RecentSignIn) does the same.
    ///
    /// After the user has given the password again, [`sign_in`](Self::sign_in) the same user: the
    /// session keeps its entries.
    ///
    /// ```
    /// use cloakroom::{Session, SessionError, minutes};
    ///
    /// async fn change_password(session: Session) -> Result<(), SessionError> {
    ///     let user = session.require_recent_sign_in(minutes(10))?;
    ///     // …
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`NotSignedIn`](crate::SessionErrorKind::NotSignedIn) or
    /// [`ReauthenticationRequired`](crate::SessionErrorKind::ReauthenticationRequired). The response
    /// is a 401, or what the app makes of it
    /// ([`with_error_response`](crate::SessionLayerBuilder::with_error_response)): a redirect to the
    /// sign-in page, for instance.
    pub fn require_recent_sign_in(&self, within: Duration) -> Result<UserId, SessionError> {
        let user = self.require_user()?;
        if self.signed_in_within(within) {
            Ok(user)
        } else {
            Err(Cause::ReauthenticationRequired.into())
        }
    }

    /// Returns who is signed in, or the error that says that nobody is.
    ///
    /// # Errors
    ///
    /// [`NotSignedIn`](crate::SessionErrorKind::NotSignedIn), whose response is a 401.
    pub fn require_user(&self) -> Result<UserId, SessionError> {
        self.user().ok_or_else(|| self.not_signed_in())
    }

    /// Returns why the session whose cookie the client still has was ended: by an administrator, from another device, by the
    /// limit, because the password was changed. For the sign-in page, and for the error response of the app
    /// ([`SessionError::ended_reason`]).
    ///
    /// It is known for about a minute after the end, which is long enough for a page that is open or loaded then. `None`
    /// afterwards; while there is a session; for a session that has expired by itself, in most cases; and if its data
    /// continue in another, after a renewal.
    ///
    /// A client learns it only with the secret of the session, and not with its id, which is public. With token
    /// rotation, a token counts that was valid when the session ended.
    ///
    /// ```
    /// use cloakroom::{EndReason, Session};
    ///
    /// async fn sign_in_page(session: Session) -> &'static str {
    ///     match session.ended_reason() {
    ///         Some(EndReason::RevokedByUser) => "You have signed this device out from another one.",
    ///         Some(EndReason::RevokedByAdmin) => "You were signed out by an administrator.",
    ///         Some(EndReason::PasswordChanged) => "Your password was changed. Please sign in with the new one.",
    ///         Some(EndReason::LimitExceeded) => "You have signed in on too many other devices.",
    ///         Some(EndReason::TokenReused) => "Your cookie was used by somebody else.",
    ///         _ => "Please sign in.",
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn ended_reason(&self) -> Option<EndReason> {
        self.handle.state().ended_reason()
    }

    fn not_signed_in(&self) -> SessionError {
        match self.ended_reason() {
            Some(reason) => Cause::SignedOut(reason).into(),
            None => Cause::NotSignedIn.into(),
        }
    }

    /// The sign-in of the user; an impersonated user has not signed in.
    fn authentication(&self) -> Option<Authentication> {
        let state = self.handle.state();
        if state.impersonated().is_some() {
            return None;
        }
        Authentication::of(state.entries())
    }
}

/// A sign-in, from [`Session::sign_in`]. Nothing happens until it is awaited, or left to the next save with
/// [`on_save`](Self::on_save).
#[derive(Debug)]
#[must_use = "nobody is signed in until this is awaited, or `on_save` is called"]
pub struct SignIn {
    session: Session,
    user: UserId,
    expiry: Option<Expiry>,
    inserted: Entries,
    carry_over: CarryOver,
}

impl SignIn {
    /// Puts an entry into the new session, whatever else goes into it. It is stored by the command
    /// that creates the session, or not at all.
    ///
    /// # Errors
    ///
    /// When the value cannot be kept as JSON ([`Session::insert`]), the entries given so far are larger than a session
    /// may be, or the key is reserved. Together with what carries over, they may still be too large
    /// when the sign-in is awaited.
    pub fn insert<T: Serialize>(
        mut self,
        key: impl EntryKey<T>,
        value: T,
    ) -> Result<Self, SessionError> {
        let name = key.name();
        check_key(name)?;
        self.inserted.set(name, &value)?;
        let limit = self.session.handle.context.max_session_size;
        let size = codec::HEAD_LEN + self.inserted.json_len();
        if size > limit {
            return Err(Cause::TooLarge { size, limit }.into());
        }
        Ok(self)
    }

    /// Sets timeouts for this session alone: "remember me", or a short life on a public computer. See
    /// [`Session::set_expiry`]. Default: the layer's.
    pub const fn with_expiry(mut self, expiry: Expiry) -> Self {
        self.expiry = Some(expiry);
        self
    }

    /// Carries nothing over: neither the entries of the old session nor this request's edits so far.
    /// Entries given with [`insert`](Self::insert), before or after this call, are in the new session.
    pub const fn discard_data(mut self) -> Self {
        self.carry_over = CarryOver::Nothing;
        self
    }

    /// Signs the user in when the session is saved, instead of immediately: by [`Session::save`], or when the
    /// handler has finished. So an error response discards the sign-in with the other edits
    /// ([`ErrorPolicy`](crate::ErrorPolicy)). Until then, [`Session::user`] returns who was signed in before. If
    /// the sign-in fails then, as awaiting it would, nothing is saved, and the response is that error.
    ///
    /// ```
    /// use cloakroom::{Session, SessionError};
    ///
    /// fn adopt_user(session: &Session, user: &str) -> Result<(), SessionError> {
    ///     session.insert("theme", "dark")?;
    ///     session.sign_in(user).on_save()
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// Fails if the expiry is invalid or longer than the layer allows, or the response has been sent.
    pub fn on_save(self) -> Result<(), SessionError> {
        let handle = Arc::clone(&self.session.handle);
        let (signing_in, limits) = self.prepare()?;
        handle.state().sign_in(signing_in, limits)
    }

    fn prepare(self) -> Result<(SigningIn, Limits), SessionError> {
        let handle = &self.session.handle;
        let now = handle.now();
        let limits = match self.expiry {
            Some(expiry) => self.session.choose(expiry)?,
            None => Limits::begin(handle.context.expiry, now),
        };
        let signing_in = SigningIn {
            user: self.user,
            at: now,
            carry_over: self.carry_over,
            inserted: self.inserted,
        };
        Ok((signing_in, limits))
    }

    async fn run(self) -> Result<(), SessionError> {
        let handle = Arc::clone(&self.session.handle);
        let (signing_in, limits) = self.prepare()?;
        let sign_in = move |state: &mut State| {
            state.sign_in(signing_in, limits)?;
            Ok(Some(()))
        };
        let (_, committed) = handle.run_uncancellable(sign_in).await?;
        if let Committed::Ended = committed {
            return Err(Cause::Ended.into());
        }
        Ok(())
    }
}

impl IntoFuture for SignIn {
    type Output = Result<(), SessionError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}
