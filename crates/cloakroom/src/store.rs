//! A store behind a pointer, so that neither the layer nor `Session` is generic over it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use cloakroom_core::store::{Created, Ended, Loaded, Store, Touched, Updated};
use cloakroom_core::{Record, Revision, SessionId, StoreError, Timestamp, Tombstone};

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// [`Store`], with its futures boxed. Only requests that use their session pay for a box.
pub(crate) trait AnyStore: Send + Sync + fmt::Debug + 'static {
    fn create<'a>(
        &'a self,
        id: SessionId,
        record: &'a Record,
        ttl: Duration,
    ) -> Answer<'a, Created>;

    fn load(&self, id: SessionId) -> Answer<'_, Loaded>;

    fn update<'a>(
        &'a self,
        id: SessionId,
        expected: Revision,
        record: &'a Record,
        ttl: Duration,
    ) -> Answer<'a, Updated>;

    fn touch(
        &self,
        id: SessionId,
        expected: Revision,
        seen: Timestamp,
        ttl: Duration,
    ) -> Answer<'_, Touched>;

    fn end<'a>(
        &'a self,
        id: SessionId,
        expected: Option<Revision>,
        tombstone: &'a Tombstone,
        keep: Duration,
    ) -> Answer<'a, Ended>;
}

impl<S: Store> AnyStore for S {
    fn create<'a>(
        &'a self,
        id: SessionId,
        record: &'a Record,
        ttl: Duration,
    ) -> Answer<'a, Created> {
        Box::pin(Store::create(self, id, record, ttl))
    }

    fn load(&self, id: SessionId) -> Answer<'_, Loaded> {
        Box::pin(Store::load(self, id))
    }

    fn update<'a>(
        &'a self,
        id: SessionId,
        expected: Revision,
        record: &'a Record,
        ttl: Duration,
    ) -> Answer<'a, Updated> {
        Box::pin(Store::update(self, id, expected, record, ttl))
    }

    fn touch(
        &self,
        id: SessionId,
        expected: Revision,
        seen: Timestamp,
        ttl: Duration,
    ) -> Answer<'_, Touched> {
        Box::pin(Store::touch(self, id, expected, seen, ttl))
    }

    fn end<'a>(
        &'a self,
        id: SessionId,
        expected: Option<Revision>,
        tombstone: &'a Tombstone,
        keep: Duration,
    ) -> Answer<'a, Ended> {
        Box::pin(Store::end(self, id, expected, tombstone, keep))
    }
}
