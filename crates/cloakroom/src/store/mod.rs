//! A store behind a pointer, so that neither the layer nor `Session` is generic over it.
//!
//! Every command of this crate goes through [`DynStore`] and [`DynUserIndex`]: commands on sessions are
//! logged, traced and counted here ([`instrumented`]). Reads from a cache are not commands.

mod index;
mod instrumented;
mod load_many;
mod outcome;

use std::fmt;
use std::time::Duration;

use cloakroom_core::store::{Created, Ended, Loaded, Store, Touched, Updated};
use cloakroom_core::{Record, Revision, SessionId, StoreError, Timestamp, Tombstone};

pub(crate) use self::index::DynUserIndex;
use self::instrumented::{BoxFuture, Instrumented};
pub(crate) use self::load_many::load_many;
pub(crate) use self::outcome::{has_ended, is_undecodable};
use crate::telemetry::metrics;

/// [`Store`], with its futures boxed. Only requests that use their session pay for a box.
pub(crate) trait DynStore: DynUserIndex + Send + Sync + fmt::Debug + 'static {
    fn create<'a>(
        &'a self,
        id: SessionId,
        record: &'a Record,
        ttl: Duration,
    ) -> BoxFuture<'a, Created>;

    fn load(&self, id: SessionId) -> BoxFuture<'_, Loaded>;

    /// Loads at most [`MAX_LOADED`](cloakroom_core::store::MAX_LOADED) sessions; logged under the id of the first.
    fn load_many<'a>(
        &'a self,
        ids: &'a [SessionId],
    ) -> BoxFuture<'a, Vec<Result<Loaded, StoreError>>>;

    fn peek_cached(&self, id: SessionId) -> Option<Loaded>;

    fn has_cache(&self) -> bool;

    fn update<'a>(
        &'a self,
        id: SessionId,
        expected: Revision,
        record: &'a Record,
        ttl: Duration,
    ) -> BoxFuture<'a, Updated>;

    fn touch(
        &self,
        id: SessionId,
        expected: Revision,
        seen: Timestamp,
        ttl: Duration,
    ) -> BoxFuture<'_, Touched>;

    fn end<'a>(
        &'a self,
        id: SessionId,
        expected: Option<Revision>,
        tombstone: &'a Tombstone,
        keep: Duration,
    ) -> BoxFuture<'a, Ended>;
}

impl<S: Store> DynStore for S {
    fn create<'a>(
        &'a self,
        id: SessionId,
        record: &'a Record,
        ttl: Duration,
    ) -> BoxFuture<'a, Created> {
        Box::pin(Instrumented::new(
            "create",
            id,
            Store::create(self, id, record, ttl),
        ))
    }

    fn load(&self, id: SessionId) -> BoxFuture<'_, Loaded> {
        Box::pin(Instrumented::new("load", id, Store::load(self, id)))
    }

    fn load_many<'a>(
        &'a self,
        ids: &'a [SessionId],
    ) -> BoxFuture<'a, Vec<Result<Loaded, StoreError>>> {
        let Some(first) = ids.first() else {
            return Box::pin(async { Ok(Vec::new()) });
        };
        let load = async move { Ok(Store::load_many(self, ids).await) };
        Box::pin(Instrumented::new("load_many", *first, load))
    }

    fn peek_cached(&self, id: SessionId) -> Option<Loaded> {
        Store::peek_cached(self, id)
    }

    fn has_cache(&self) -> bool {
        Store::has_cache(self)
    }

    fn update<'a>(
        &'a self,
        id: SessionId,
        expected: Revision,
        record: &'a Record,
        ttl: Duration,
    ) -> BoxFuture<'a, Updated> {
        let update = Store::update(self, id, expected, record, ttl);
        Box::pin(Instrumented::new("update", id, update))
    }

    fn touch(
        &self,
        id: SessionId,
        expected: Revision,
        seen: Timestamp,
        ttl: Duration,
    ) -> BoxFuture<'_, Touched> {
        let touch = Store::touch(self, id, expected, seen, ttl);
        Box::pin(Instrumented::new("touch", id, touch))
    }

    fn end<'a>(
        &'a self,
        id: SessionId,
        expected: Option<Revision>,
        tombstone: &'a Tombstone,
        keep: Duration,
    ) -> BoxFuture<'a, Ended> {
        let end = Store::end(self, id, expected, tombstone, keep);
        let reason = tombstone.reason();
        Box::pin(async move {
            let ended = Instrumented::new("end", id, end).await;
            if has_ended(&ended) {
                metrics::ended(reason.as_str());
            }
            ended
        })
    }
}
