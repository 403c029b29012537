//! Guards: routes and handlers for signed-in users, for users with a permission, or with a recent sign-in.
//!
//! [`RequireSignIn`] is the layer; the extractors are in [`extract`](crate::extract).

mod future;
mod layer;
mod permission;

pub use self::future::GuardFuture;
pub use self::layer::{GuardService, RequireSignIn};
pub use self::permission::{AnyUser, Permission};
