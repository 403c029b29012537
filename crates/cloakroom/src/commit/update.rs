//! Update: stores the edits of a session, merged with concurrent ones.

use cloakroom_core::entries::Entry;
use cloakroom_core::store::Updated;
use cloakroom_core::{Entries, Record, SessionId};

use super::contention::{back_off, lock_key};
use super::context::CommitContext;
use super::index::reindex;
use super::outcome::{Committed, Stored};
use super::record::{merge, next_record, replace};
use super::refresh::refresh;
use crate::error::{Cause, SessionError};
use crate::key_lock::KeyLock;
use crate::state::{Draft, Live};
use crate::telemetry::log;

/// The record on which an attempt builds.
enum Base {
    /// The one that the request has loaded, and its handler has edited.
    Loaded,
    /// The one that another request of this process has committed. It may be stale.
    HandedOff(Record),
    /// The one that the store has returned with a conflict.
    Fresher(Record),
}

/// Stores the edits of a session. After a conflict, it merges them with what was stored, and tries again.
pub(crate) async fn update(
    cx: &CommitContext<'_>,
    live: &Live,
    draft: &Draft,
) -> Result<Committed, SessionError> {
    let id = live.id();
    if let Some(chosen) = draft.chosen {
        Box::pin(reindex(cx, live, chosen)).await?;
    }
    let mut lock = None;
    if cx.context.key_locks.is_locked(id) {
        lock = Some(Box::pin(lock_key(cx, id)).await?);
    }
    // To build on what the previous holder has committed saves a conflict.
    let mut base = match lock.as_mut().and_then(KeyLock::take_handoff) {
        Some(record) => Base::HandedOff(record),
        None => Base::Loaded,
    };
    for conflicts in 0_u32.. {
        let (next, taken) = next_on(cx, live, draft, &base)?;
        let record = base.record(live);
        let Some(next) = next else {
            return Ok(stored(live, record.clone(), taken));
        };
        match replace(cx, id, record, &next).await? {
            Updated::Updated => {
                if let Some(lock) = lock {
                    lock.hand_off(&next);
                }
                return Ok(stored(live, next, taken));
            }
            Updated::Conflict(fresher) => base = Base::Fresher(fresher),
            Updated::Ended(_) => {
                log::ended_concurrently(id);
                return Ok(Committed::Ended);
            }
            // Nobody is known to have ended it, so the loss of edits is an error.
            Updated::Missing => return Err(Cause::Expired.into()),
        }
        if lock.is_some() {
            Box::pin(back_off(cx, conflicts, next.revision())).await?;
            continue;
        }
        let mut acquired = Box::pin(lock_key(cx, id)).await?;
        if let Some(record) = acquired.take_handoff() {
            base = Base::HandedOff(record);
        }
        lock = Some(acquired);
    }
    unreachable!("the loop ends by returning: the budget is finite")
}

/// If the edits were replayed: the value that a `take_once` has found.
type Taken = Option<Option<Entry>>;

/// Returns the record that follows a base; `None` if the base, as the store has returned it, holds all the
/// edits already: a concurrent commit has made the same changes. Only the store can say so, since a record
/// that was handed off may be stale.
fn next_on(
    cx: &CommitContext<'_>,
    live: &Live,
    draft: &Draft,
    base: &Base,
) -> Result<(Option<Record>, Taken), SessionError> {
    let (mut entries, taken) = entries_on(cx, live.id(), draft, base)?;
    let record = base.record(live);
    let digest = refresh(cx, record, &live.token, &mut entries)?;
    let is_unchanged = entries == *record.entries() && draft.chosen.is_none();
    if is_unchanged && matches!(base, Base::Fresher(_)) {
        return Ok((None, taken));
    }
    let next = next_record(cx, live.id(), record, entries, digest, draft.chosen)?;
    Ok((Some(next), taken))
}

/// Returns the entries with the edits applied on a base.
fn entries_on(
    cx: &CommitContext<'_>,
    id: SessionId,
    draft: &Draft,
    base: &Base,
) -> Result<(Entries, Taken), SessionError> {
    match base {
        Base::Loaded => Ok((draft.entries.clone(), None)),
        Base::HandedOff(record) | Base::Fresher(record) => {
            let merged = merge(cx, id, draft, record)?;
            Ok((merged.entries, Some(merged.taken)))
        }
    }
}

impl Base {
    fn record<'a>(&'a self, live: &'a Live) -> &'a Record {
        match self {
            Self::Loaded => &live.record,
            Self::HandedOff(record) | Self::Fresher(record) => record,
        }
    }
}

fn stored(live: &Live, record: Record, taken: Taken) -> Committed {
    let token = live.token.clone();
    let live = Live { token, record };
    Committed::Stored(Stored { live, taken })
}
