//! The index, the administration and the bus of a store that has none.

use std::time::Duration;

use crate::admin::{ScanCursor, ScanPage, StoreAdmin};
use crate::bus::{EventBus, Subscription};
use crate::clock::Timestamp;
use crate::error::StoreError;
use crate::event::SessionEvent;
use crate::id::SessionId;
use crate::index::{AddOutcome, AddRequest, UserIndex};
use crate::user::UserKey;

/// The type of what a store does not have, such as an index or a bus. It has no values.
#[derive(Clone, Copy, Debug)]
pub enum Unsupported {}

impl UserIndex for Unsupported {
    async fn add(&self, _: &UserKey, _: &AddRequest) -> Result<AddOutcome, StoreError> {
        match *self {}
    }

    async fn evict(
        &self,
        _: &UserKey,
        _: Timestamp,
        _: u32,
        _: Option<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        match *self {}
    }

    async fn list(&self, _: &UserKey, _: Option<SessionId>) -> Result<Vec<SessionId>, StoreError> {
        match *self {}
    }

    async fn contains(&self, _: &UserKey, _: SessionId) -> Result<bool, StoreError> {
        match *self {}
    }

    async fn remove(&self, _: &UserKey, _: &[SessionId]) -> Result<(), StoreError> {
        match *self {}
    }
}

impl StoreAdmin for Unsupported {
    async fn scan_ids(&self, _: Option<&ScanCursor>) -> Result<ScanPage, StoreError> {
        match *self {}
    }

    async fn revoked_before(&self) -> Result<Timestamp, StoreError> {
        match *self {}
    }

    async fn set_revoked_before(&self, _: Duration, _: Duration) -> Result<Timestamp, StoreError> {
        match *self {}
    }
}

impl EventBus for Unsupported {
    async fn publish(&self, _: &SessionEvent) -> Result<(), StoreError> {
        match *self {}
    }

    fn subscribe(&self) -> Subscription {
        match *self {}
    }
}
