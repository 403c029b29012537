//! Signing in and out, and how long ago that was.

use std::future::IntoFuture;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cloakroom_core::{Authentication, EndReason, Expiry, Limits, UserId};

use super::Session;
use super::outcome::Destroyed;
use crate::commit::Committed;
use crate::error::{Cause, SessionError};
use crate::state::{SigningIn as Order, State};

impl Session {
    /// Signs a user in, once the app knows who it is: the session gets a new id, a new secret and a
    /// new life, and the old one ends (ASVS 5.0, 7.2.4). What the session holds carries over; but if
    /// somebody else was signed in, it starts empty. Edits so far are saved with it.
    ///
    /// When it returns, the session is stored, and stands in the user's index, so that
    /// [`Sessions`](crate::Sessions) finds it. The cookie goes out with the answer.
    ///
    /// ```
    /// use cloakroom::{Expiry, Session, SessionError, days};
    ///
    /// async fn log_in(session: Session) -> Result<&'static str, SessionError> {
    ///     // … after the password was checked:
    ///     session.sign_in("ada").await?;
    ///     // Or, with the box "remember me" checked, and without the cart of before:
    ///     session
    ///         .sign_in("ada")
    ///         .with_expiry(Expiry::idle(days(7)).absolute(days(30)))
    ///         .starting_empty()
    ///         .await?;
    ///     Ok("Welcome")
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// - [`TooManySessions`](crate::SessionErrorKind::TooManySessions), if a limit refuses it.
    /// - [`Ended`](crate::SessionErrorKind::Ended), if all of the user's sessions are being ended at
    ///   this moment, or a later log-in had no room for this one.
    /// - When the store fails, as for [`save`](Self::save).
    ///
    /// Nobody is signed in then, and the session is as it was; only after an unknown outcome the old
    /// one may have ended.
    pub fn sign_in(&self, user: impl Into<UserId>) -> SignIn {
        SignIn {
            session: self.clone(),
            user: user.into(),
            expiry: None,
            starts_empty: false,
        }
    }

    /// Who is signed in.
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
        Some(self.authentication()?.user().clone())
    }

    /// When the user signed in: gave a password, and not merely used the session.
    #[must_use]
    pub fn signed_in_at(&self) -> Option<SystemTime> {
        Some(self.authentication()?.at().into())
    }

    /// Signs the user out: [`destroy`](Self::destroy), and everybody who hears of it knows why.
    ///
    /// # Errors
    ///
    /// As [`destroy`](Self::destroy).
    pub async fn sign_out(&self) -> Result<Destroyed, SessionError> {
        self.end(EndReason::SignedOut).await
    }

    /// Whether the user signed in no longer ago than this.
    #[must_use]
    pub fn is_fresh(&self, within: Duration) -> bool {
        let now = self.handle.now();
        self.authentication()
            .is_some_and(|user| now.since(user.at()) <= within)
    }

    /// Guards what wants a recent password: changing it, paying, adding a key (ASVS 5.0, 7.5.1 and
    /// 7.5.3). Gives who is signed in.
    ///
    /// After the password was asked for again, [`sign_in`](Self::sign_in) the same user: what the
    /// session holds stays.
    ///
    /// ```
    /// use cloakroom::{Session, SessionError, minutes};
    ///
    /// async fn change_password(session: Session) -> Result<(), SessionError> {
    ///     let user = session.require_fresh(minutes(10))?;
    ///     // …
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`NotSignedIn`](crate::SessionErrorKind::NotSignedIn) or
    /// [`NotFresh`](crate::SessionErrorKind::NotFresh), which are answered with 401; or with what
    /// [`with_error_response`](crate::SessionLayer::with_error_response) makes of it, a redirect to
    /// the log-in page for instance.
    pub fn require_fresh(&self, within: Duration) -> Result<UserId, SessionError> {
        let user = self.require_user()?;
        match self.is_fresh(within) {
            true => Ok(user),
            false => Err(Cause::NotFresh.into()),
        }
    }

    /// Who is signed in, or the error that says that nobody is.
    ///
    /// # Errors
    ///
    /// [`NotSignedIn`](crate::SessionErrorKind::NotSignedIn), which is answered with 401.
    pub fn require_user(&self) -> Result<UserId, SessionError> {
        self.user().ok_or_else(|| Cause::NotSignedIn.into())
    }

    fn authentication(&self) -> Option<Authentication> {
        Authentication::of(self.handle.state().entries())
    }
}

/// A user who is about to be signed in, from [`Session::sign_in`]. Await it.
#[derive(Debug)]
#[must_use = "nobody is signed in until this is awaited"]
pub struct SignIn {
    session: Session,
    user: UserId,
    expiry: Option<Expiry>,
    starts_empty: bool,
}

impl SignIn {
    /// Timeouts for this session alone: "remember me", or a short life on a public computer. See
    /// [`Session::set_expiry`]. Unless told, the layer's.
    pub const fn with_expiry(mut self, expiry: Expiry) -> Self {
        self.expiry = Some(expiry);
        self
    }

    /// Nothing of what the session held, and of what this request has put in so far, carries over.
    pub const fn starting_empty(mut self) -> Self {
        self.starts_empty = true;
        self
    }

    async fn run(self) -> Result<(), SessionError> {
        let handle = Arc::clone(&self.session.handle);
        let now = handle.now();
        let limits = match self.expiry {
            Some(expiry) => self.session.choose(expiry)?,
            None => Limits::begin(handle.context.expiry, now),
        };
        let order = Order {
            user: self.user,
            at: now,
            starts_empty: self.starts_empty,
        };
        let sign_in = move |state: &mut State| {
            state.sign_in(order, limits)?;
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
