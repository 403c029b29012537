//! Operations on all sessions of a store: the contract of an administration interface.

use std::future::Future;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::error::StoreError;
use crate::id::SessionId;

/// Operations on all sessions of a store, of any user or none.
///
/// They are what ending all sessions at once needs: the time before which sessions are revoked, which takes
/// effect at once and also applies to sessions that a backup restores, and the ids of all sessions, to remove
/// them. The suite `cloakroom_core::conformance::admin` tests an implementation.
pub trait StoreAdmin: Send + Sync {
    /// Returns the ids of all sessions and tombstones in the store, each once and in no particular order.
    /// Those that are created or removed during the call may be missing. It may take long.
    fn scan_ids(&self) -> impl Future<Output = Result<Vec<SessionId>, StoreError>> + Send;

    /// Returns the time before which all sessions are revoked: sessions created earlier are invalid. The Unix
    /// epoch, if it was never set.
    fn revoked_before(&self) -> impl Future<Output = Result<Timestamp, StoreError>> + Send;

    /// Revokes all sessions created before `at`, and remembers that for `keep`. If a later time is set
    /// already, that one stays.
    fn set_revoked_before(
        &self,
        at: Timestamp,
        keep: Duration,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

impl<A: StoreAdmin> StoreAdmin for &A {
    fn scan_ids(&self) -> impl Future<Output = Result<Vec<SessionId>, StoreError>> + Send {
        (**self).scan_ids()
    }

    fn revoked_before(&self) -> impl Future<Output = Result<Timestamp, StoreError>> + Send {
        (**self).revoked_before()
    }

    fn set_revoked_before(
        &self,
        at: Timestamp,
        keep: Duration,
    ) -> impl Future<Output = Result<(), StoreError>> + Send {
        (**self).set_revoked_before(at, keep)
    }
}
