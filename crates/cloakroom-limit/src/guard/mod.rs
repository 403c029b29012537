//! The guard for sign-ins.

mod attempt;
mod builder;
mod device;
mod refused;
mod sign_in;
mod state;

pub use self::attempt::{Attempt, SignedIn};
pub use self::builder::{LoginGuard, LoginGuardBuilder};
pub use self::device::DeviceKey;
pub use self::refused::{LoginRefused, RefusalReason};
