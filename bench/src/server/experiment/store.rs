//! The store that is shipped, with other commands where requests spend their time.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use cloakroom_core::admin::StoreAdmin;
use cloakroom_core::bus::EventBus;
use cloakroom_core::codec::{self, RecordFormat, Stored};
use cloakroom_core::event::SessionEvent;
use cloakroom_core::index::{AddRequest, UserIndex};
use cloakroom_core::store::{Created, Ended, Loaded, Touched, Updated, UserCreated};
use cloakroom_core::{
    Record, Revision, SessionId, Store, StoreError, StoreErrorKind, Timestamp, Tombstone, UserKey,
};
use cloakroom_redis::RedisStore;
use fred::interfaces::ClientLike;
use fred::types::{ClusterHash, CustomCommand, Value};
use redis_rs::{Cmd, cmd};

use super::connection::Connection;
use super::native::{Texts, set_args, updated};
use super::scripts::{Reply, Scripts, evalsha, needs_more, push_entry};
use crate::BoxError;

/// A client for the commands that this store sends itself.
pub(super) enum Link {
    /// The client of the shipped store. Only updates are sent here.
    Fred(fred::clients::Client),
    RedisRs(Connection, Scripts),
}

pub(super) struct ExperimentalStore {
    pub(super) shipped: RedisStore,
    pub(super) link: Link,
    pub(super) cluster: bool,
    /// `None` if updates are scripts.
    pub(super) texts: Option<Texts>,
}

impl Store for ExperimentalStore {
    async fn create(
        &self,
        id: SessionId,
        record: &Record,
        ttl: Duration,
    ) -> Result<Created, StoreError> {
        self.shipped.create(id, record, ttl).await
    }

    async fn create_for_user(
        &self,
        user: &UserKey,
        add_request: &AddRequest,
        record: &Record,
        ttl: Duration,
        event: Option<&SessionEvent>,
    ) -> Result<UserCreated, StoreError> {
        let (redis, scripts) = match &self.link {
            Link::RedisRs(redis, scripts) if !needs_more(add_request) => (redis, scripts),
            _ => {
                let shipped = &self.shipped;
                let create = shipped.create_for_user(user, add_request, record, ttl, event);
                return Box::pin(create).await;
            }
        };
        let (index, key) = (format!("cloakroom:user:{user}"), key(add_request.id));
        let mut create = if self.cluster {
            let mut put = evalsha(&scripts.index_put, &[&index]);
            push_entry(&mut put, add_request);
            let _: i64 = redis.send(&put).await.map_err(failed)?;
            evalsha(&scripts.create, &[&key])
        } else {
            let mut sign_in = evalsha(&scripts.sign_in, &[&index, &key]);
            push_entry(&mut sign_in, add_request);
            sign_in
        };
        create.arg(codec::encode_as(record, RecordFormat::V2));
        create.arg(millis(ttl)).arg("cloakroom:events");
        create.arg(event.map(SessionEvent::encode).unwrap_or_default());
        let reply: i64 = redis.send(&create).await.map_err(failed)?;
        Ok(match reply {
            0 => UserCreated::Collision,
            published => UserCreated::Created {
                sample: Vec::new(),
                published: published == 1,
            },
        })
    }

    async fn load(&self, id: SessionId) -> Result<Loaded, StoreError> {
        let Link::RedisRs(redis, _) = &self.link else {
            let loaded = self.shipped.load(id).await?;
            if let (Some(texts), Loaded::Record(record)) = (&self.texts, &loaded) {
                texts.insert(id, codec::encode_as(record, RecordFormat::V2).into());
            }
            return Ok(loaded);
        };
        let mut get = cmd("GET");
        let found: Option<Bytes> = redis.send(get.arg(key(id))).await.map_err(failed)?;
        let Some(found) = found else {
            return Ok(Loaded::Nothing);
        };
        let stored = codec::decode(&found)?;
        if let Some(texts) = &self.texts {
            texts.insert(id, found);
        }
        Ok(match stored {
            Stored::Record(record) => Loaded::Record(record),
            Stored::Tombstone(tombstone) => Loaded::Tombstone(tombstone),
        })
    }

    async fn load_many(&self, ids: &[SessionId]) -> Vec<Result<Loaded, StoreError>> {
        self.shipped.load_many(ids).await
    }

    async fn update(
        &self,
        id: SessionId,
        expected: Revision,
        record: &Record,
        ttl: Duration,
    ) -> Result<Updated, StoreError> {
        if let Some(texts) = &self.texts
            && let Some(old) = texts.take(id, expected)
        {
            let found = self.set(set_args(key(id), record, &old, ttl)).await;
            return updated(texts, id, &old, found.map_err(failed)?);
        }
        let Link::RedisRs(redis, scripts) = &self.link else {
            return self.shipped.update(id, expected, record, ttl).await;
        };
        let mut update = evalsha(&scripts.update, &[&key(id)]);
        push_head_start(&mut update, expected, RecordFormat::V1);
        update.arg(codec::encode_as(record, RecordFormat::V2));
        update.arg(millis(ttl));
        push_head_start(&mut update, expected, RecordFormat::V2);
        Ok(match redis.send(&update).await.map_err(failed)? {
            Reply::Number(1) => Updated::Updated,
            Reply::Number(_) => Updated::Missing,
            Reply::Other(found) => match codec::decode(&found)? {
                Stored::Record(record) => Updated::Conflict(record),
                Stored::Tombstone(tombstone) => Updated::Ended(tombstone),
            },
        })
    }

    async fn touch(
        &self,
        id: SessionId,
        expected: Revision,
        seen: Timestamp,
        ttl: Duration,
    ) -> Result<Touched, StoreError> {
        self.shipped.touch(id, expected, seen, ttl).await
    }

    async fn end(
        &self,
        id: SessionId,
        expected: Option<Revision>,
        tombstone: &Tombstone,
        keep: Duration,
    ) -> Result<Ended, StoreError> {
        self.shipped.end(id, expected, tombstone, keep).await
    }

    fn index(&self) -> Option<impl UserIndex> {
        self.shipped.index()
    }

    fn admin(&self) -> Option<impl StoreAdmin> {
        self.shipped.admin()
    }

    fn bus(&self) -> Option<impl EventBus> {
        self.shipped.bus()
    }
}

impl ExperimentalStore {
    /// Sends `SET` with these arguments.
    async fn set(&self, args: [Bytes; 7]) -> Result<Option<Bytes>, BoxError> {
        match &self.link {
            Link::Fred(client) => {
                let set = CustomCommand::new_static("SET", ClusterHash::FirstKey, false);
                let args: Vec<Value> = args.into_iter().map(Value::Bytes).collect();
                // Boxed as in the shipped store: futures of fred are large.
                Ok(Box::pin(client.custom(set, args)).await?)
            }
            Link::RedisRs(redis, _) => {
                let mut set = cmd("SET");
                for arg in &args {
                    set.arg(&**arg);
                }
                Ok(redis.send(&set).await?)
            }
        }
    }
}

fn push_head_start(call: &mut Cmd, revision: Revision, format: RecordFormat) {
    let mut head = String::new();
    codec::encode_head_start_as(revision, format, &mut head);
    call.arg(head);
}

fn key(id: SessionId) -> String {
    format!("cloakroom:{id}")
}

fn millis(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)
}

fn failed(error: impl Into<BoxError>) -> StoreError {
    StoreError::with_source(StoreErrorKind::OutcomeUnknown, error)
}

impl fmt::Debug for ExperimentalStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExperimentalStore")
            .field("shipped", &self.shipped)
            .finish_non_exhaustive()
    }
}
