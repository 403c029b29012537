//! The commands on a user's index.

use std::time::Duration;

use cloakroom_core::codec::{self, RecordFormat};
use cloakroom_core::event::SessionEvent;
use cloakroom_core::index::{
    AddOutcome, AddRequest, LEASE, MAX_COUNTED, MAX_EVICTED, MAX_PAGE, MAX_SAMPLE, STALE_AFTER,
};
use cloakroom_core::store::UserCreated;
use cloakroom_core::{Expiry, Record, SessionId, StoreError, StoreErrorKind, Timestamp};
use fred::types::Value;

use super::args::{Args, millis};
use super::eval::ScriptCall;
use super::executor::Executor;
use super::index_entry::Entry;
use super::plain::Command;
use super::script::{CREATE, CREATE_FOR_USER, INDEX_ADD, INDEX_LIST, INDEX_PUT, SIGN_IN};
use super::session::SMALL;
use crate::classify::Effect;
use crate::error::unexpected_reply;

// The scripts contain these as numbers.
const _: () = assert!(MAX_EVICTED == 64 && MAX_SAMPLE == 16 && MAX_COUNTED == 128);
const _: () = assert!(Expiry::MAX.as_secs() == 400 * 24 * 3600 && STALE_AFTER.as_secs() == 300);

/// How many pages of members a list reads at most, because of members that are not ids.
const MAX_READS: usize = 16;

/// Bytes for the arguments of `index_add.lua`.
const ADD_LEN: usize = 160;

/// Bytes for an event; most have no more.
const EVENT_LEN: usize = 128;

/// `scripts/index_put.lua`, or `scripts/index_add.lua`.
pub(crate) async fn add(
    executor: &Executor,
    key: &str,
    request: &AddRequest,
) -> Result<AddOutcome, StoreError> {
    if let Some(entry) = Entry::of(request) {
        let mut args = Args::with_keys(&[key], ADD_LEN);
        entry.push(&mut args);
        let script = &INDEX_PUT;
        match executor.run(ScriptCall { script, args }).await? {
            Value::Integer(1) => {
                let (over, sample) = (Vec::new(), Vec::new());
                return Ok(AddOutcome::Added { over, sample });
            }
            Value::Integer(3) => {}
            _ => return Err(unexpected_reply(Effect::Write)),
        }
    }
    let mut args = Args::with_keys(&[key], ADD_LEN);
    push_request(&mut args, request);
    let script = &INDEX_ADD;
    let reply = executor.run(ScriptCall { script, args }).await?;
    added(reply).ok_or_else(|| unexpected_reply(Effect::Write))
}

/// Adds the arguments of `index_add.lua`.
fn push_request(args: &mut Args, request: &AddRequest) {
    let limit = request.limit;
    args.push_display(request.now.as_millis());
    args.push_id(request.id);
    args.push_display(request.deadline.as_millis());
    args.push_display(limit.map_or(0, |limit| limit.most));
    args.push_display(u8::from(limit.is_some_and(|limit| limit.evict_oldest)));
    match request.replaces {
        Some(id) => args.push_id(id),
        None => args.push(""),
    }
    args.push_display(millis(STALE_AFTER));
    args.push_display(millis(LEASE));
    args.push_display(request.dead.len());
    for dead in &request.dead {
        args.push_id(*dead);
    }
}

/// `scripts/index_add.lua`, without an id to add.
pub(crate) async fn evict(
    executor: &Executor,
    key: &str,
    now: Timestamp,
    most: u32,
    replaces: Option<SessionId>,
) -> Result<Vec<SessionId>, StoreError> {
    let mut args = Args::with_keys(&[key], ADD_LEN);
    args.push_display(now.as_millis());
    args.push("");
    args.push("0");
    args.push_display(most);
    args.push("1");
    match replaces {
        Some(id) => args.push_id(id),
        None => args.push(""),
    }
    args.push_display(millis(STALE_AFTER));
    args.push_display(millis(LEASE));
    args.push("0");
    let script = &INDEX_ADD;
    let reply = executor.run(ScriptCall { script, args }).await?;
    match added(reply) {
        Some(AddOutcome::Added { over, .. }) => Ok(over),
        Some(AddOutcome::LimitReached(_)) | None => Err(unexpected_reply(Effect::Write)),
    }
}

/// A session to create together with its index entry.
pub(crate) struct NewSession<'a> {
    pub(crate) index: String,
    pub(crate) key: String,
    pub(crate) record: &'a Record,
    pub(crate) ttl: Duration,
    pub(crate) format: RecordFormat,
    pub(crate) channel: &'a str,
    pub(crate) event: Option<&'a SessionEvent>,
}

impl NewSession<'_> {
    /// The length of the arguments that [`push`](Self::push) adds, about.
    fn length(&self) -> usize {
        let event = self.event.map_or(0, |_| EVENT_LEN);
        codec::encoded_len(self.record.entries()) + self.channel.len() + event + SMALL
    }

    /// Adds the arguments of `create.lua`.
    fn push(&self, args: &mut Args) {
        args.push_with(|text| codec::encode_into(self.record, self.format, text));
        args.push_display(millis(self.ttl));
        args.push(self.channel);
        args.push(&self.event.map(SessionEvent::encode).unwrap_or_default());
    }
}

/// `scripts/sign_in.lua`, or `scripts/create_for_user.lua`.
pub(crate) async fn create_for_user(
    executor: &Executor,
    request: &AddRequest,
    session: NewSession<'_>,
) -> Result<UserCreated, StoreError> {
    let keys = [&*session.index, &session.key];
    if let Some(entry) = Entry::of(request) {
        let mut args = Args::with_keys(&keys, session.length() + ADD_LEN);
        entry.push(&mut args);
        session.push(&mut args);
        let script = &SIGN_IN;
        let reply = executor.run(ScriptCall { script, args }).await?;
        if reply != Value::Integer(3) {
            return stored(&reply, Vec::new());
        }
    }
    let mut args = Args::with_keys(&keys, session.length() + ADD_LEN);
    push_request(&mut args, request);
    session.push(&mut args);
    let script = &CREATE_FOR_USER;
    let reply = executor.run(ScriptCall { script, args }).await?;
    created(reply).ok_or_else(|| unexpected_reply(Effect::Write))
}

/// The same with two scripts, for keys that can be on different servers: `index_add.lua`, and then `create.lua`. They are
/// sent together if nobody has the token yet, and no limit can forbid the session. Then the caller publishes the event:
/// `create.lua` would do so although the index may fail.
pub(crate) async fn add_and_create(
    executor: &Executor,
    request: &AddRequest,
    mut session: NewSession<'_>,
) -> Result<UserCreated, StoreError> {
    if request.has_fresh_token && request.limit.is_none() {
        session.event = None;
        let add = Box::pin(add(executor, &session.index, request));
        let create = Box::pin(create(executor, &session));
        // Both are waited for: a session may only be ended once nothing can store it any more.
        let (added, created) = tokio::join!(add, create);
        return match added? {
            AddOutcome::Added { sample, .. } => stored(&created?, sample),
            AddOutcome::LimitReached(_) => Err(unexpected_reply(Effect::Write)),
        };
    }
    let sample = match add(executor, &session.index, request).await? {
        AddOutcome::LimitReached(there) => return Ok(UserCreated::LimitReached(there)),
        AddOutcome::Added { over, sample } if !over.is_empty() => {
            return Ok(UserCreated::LimitExceeded { over, sample });
        }
        AddOutcome::Added { sample, .. } => sample,
    };
    stored(&create(executor, &session).await?, sample)
}

/// `scripts/create.lua`.
async fn create(executor: &Executor, session: &NewSession<'_>) -> Result<Value, StoreError> {
    let mut args = Args::with_keys(&[&session.key], session.length());
    session.push(&mut args);
    let script = &CREATE;
    executor.run(ScriptCall { script, args }).await
}

/// Reads the reply of `create.lua`.
fn stored(reply: &Value, sample: Vec<SessionId>) -> Result<UserCreated, StoreError> {
    let published = match reply {
        Value::Integer(0) => return Ok(UserCreated::Collision),
        Value::Integer(1) => true,
        Value::Integer(2) => false,
        _ => return Err(unexpected_reply(Effect::Write)),
    };
    Ok(UserCreated::Created { sample, published })
}

/// Reads the reply of `create_for_user.lua`.
fn created(reply: Value) -> Option<UserCreated> {
    let mut parts = match reply {
        Value::Array(parts) => parts,
        Value::Integer(number @ (1 | 2)) => {
            return Some(UserCreated::Created {
                sample: Vec::new(),
                published: number == 1,
            });
        }
        _ => return None,
    };
    let stored = (parts.len() == 5).then(|| parts.split_off(3));
    let added = added(Value::Array(parts))?;
    Some(match (added, stored.as_deref()) {
        (AddOutcome::LimitReached(there), None) => UserCreated::LimitReached(there),
        (AddOutcome::Added { over, sample }, None) => UserCreated::LimitExceeded { over, sample },
        (AddOutcome::Added { .. }, Some([Value::Integer(0), _])) => UserCreated::Collision,
        (
            AddOutcome::Added { sample, .. },
            Some([Value::Integer(1), Value::Integer(published)]),
        ) => UserCreated::Created {
            sample,
            published: *published == 1,
        },
        _ => return None,
    })
}

/// Reads the reply of `index_add.lua`.
fn added(reply: Value) -> Option<AddOutcome> {
    let Value::Array(parts) = reply else {
        return None;
    };
    let mut parts = parts.into_iter();
    match (parts.next()?, parts.next()?, parts.next()) {
        (Value::Integer(0), there, None) => Some(AddOutcome::LimitReached(ids(there)?)),
        (Value::Integer(1), over, Some(sample)) => Some(AddOutcome::Added {
            over: ids(over)?,
            sample: ids(sample)?,
        }),
        _ => None,
    }
}

/// The ids in a list. An entry that is not an id was not added by this crate, and is ignored.
fn ids(list: Value) -> Option<Vec<SessionId>> {
    let texts: Vec<String> = list.convert().ok()?;
    Some(texts.iter().filter_map(|text| text.parse().ok()).collect())
}

/// The ids of a page, or fewer if they are the last ones: of `ZRANGE key -page -1`, or of `scripts/index_list.lua` for the
/// pages that follow. Members that are not ids are skipped: it reads on, at most [`MAX_READS`] pages of members.
pub(crate) async fn list(
    executor: &Executor,
    key: String,
    after: Option<SessionId>,
) -> Result<Vec<SessionId>, StoreError> {
    let mut after = after.map(|id| id.to_string());
    let mut ids = Vec::new();
    for _ in 0..MAX_READS {
        let members = match &after {
            None => newest(executor, key.clone()).await?,
            Some(after) => following(executor, &key, after).await?,
        };
        let newest_first = members.iter().rev();
        ids.extend(newest_first.filter_map(|member| member.parse::<SessionId>().ok()));
        if members.len() < MAX_PAGE || ids.len() >= MAX_PAGE {
            ids.truncate(MAX_PAGE);
            return Ok(ids);
        }
        after = members.into_iter().next();
    }
    let why = "a user's index has thousands of members that are not ids";
    Err(StoreError::with_source(StoreErrorKind::Unreadable, why))
}

/// The members at the end of an index, in ascending order.
async fn newest(executor: &Executor, key: String) -> Result<Vec<String>, StoreError> {
    let page = i64::try_from(MAX_PAGE).unwrap_or(i64::MAX);
    let zrange = Command::Custom {
        name: "ZRANGE",
        key,
        args: vec![(-page).into(), (-1).into()],
    };
    let reply = executor.send(Effect::Read, zrange).await?;
    members(reply)
}

/// The members that follow another one in descending order, in ascending order.
async fn following(executor: &Executor, key: &str, after: &str) -> Result<Vec<String>, StoreError> {
    let mut args = Args::with_keys(&[key], 64);
    args.push(after);
    args.push_display(MAX_PAGE);
    let script = &INDEX_LIST;
    let reply = executor.run(ScriptCall { script, args }).await;
    members(reply.map_err(nothing_written)?)
}

fn members(reply: Value) -> Result<Vec<String>, StoreError> {
    let members = reply.convert();
    members.map_err(|_| unexpected_reply(Effect::Read))
}

/// The error of a script that only reads: it does not matter whether it was run.
fn nothing_written(error: StoreError) -> StoreError {
    match error.kind() {
        StoreErrorKind::OutcomeUnknown => {
            StoreError::with_source(StoreErrorKind::Unavailable, error)
        }
        _ => error,
    }
}

/// `ZSCORE key id`.
pub(crate) async fn contains(
    executor: &Executor,
    key: String,
    id: SessionId,
) -> Result<bool, StoreError> {
    let zscore = Command::Custom {
        name: "ZSCORE",
        key,
        args: vec![id.to_string().into()],
    };
    let reply = executor.send(Effect::Read, zscore).await?;
    Ok(!reply.is_null())
}

/// `ZREM key id …`.
pub(crate) async fn remove(
    executor: &Executor,
    key: String,
    ids: &[SessionId],
) -> Result<(), StoreError> {
    if ids.is_empty() {
        return Ok(());
    }
    let zrem = Command::Custom {
        name: "ZREM",
        key,
        args: ids.iter().map(|id| id.to_string().into()).collect(),
    };
    executor.send(Effect::Write, zrem).await.map(|_| ())
}
