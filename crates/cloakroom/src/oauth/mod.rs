//! The transactions of sign-ins with OAuth 2.0 and OpenID Connect, without I/O.
//!
//! A transaction is what an app has to remember from the redirect to the provider until the callback. It is kept in an
//! encrypted cookie of its own: [`config`] is the configuration, [`cookie`] its cookie, [`transaction`] its contents.
//! `session::oauth` begins and completes transactions.

pub(crate) mod config;
pub(crate) mod cookie;
pub(crate) mod transaction;

pub use self::config::OAuthConfig;
pub use self::transaction::OAuthTransaction;
