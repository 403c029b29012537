//! Updates by `SET … IFEQ … GET`. The old text must be known.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use cloakroom_core::codec::{self, RecordFormat, Stored};
use cloakroom_core::store::Updated;
use cloakroom_core::{Record, Revision, SessionId, StoreError};

/// The texts of the sessions that were read, and not written since: as many as there are sessions.
pub(super) struct Texts([Mutex<HashMap<SessionId, Bytes>>; 64]);

impl Default for Texts {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::default()))
    }
}

impl Texts {
    pub(super) fn insert(&self, id: SessionId, text: Bytes) {
        let mut texts = self.of(id).lock().unwrap_or_else(PoisonError::into_inner);
        texts.insert(id, text);
    }

    /// Removes the text of a session, and returns it if it has the expected revision.
    pub(super) fn take(&self, id: SessionId, expected: Revision) -> Option<Bytes> {
        let text = {
            let mut texts = self.of(id).lock().unwrap_or_else(PoisonError::into_inner);
            texts.remove(&id)?
        };
        let is_expected = [RecordFormat::V1, RecordFormat::V2].iter().any(|format| {
            let mut head = String::new();
            codec::encode_head_start_as(expected, *format, &mut head);
            text.starts_with(head.as_bytes())
        });
        is_expected.then_some(text)
    }

    fn of(&self, id: SessionId) -> &Mutex<HashMap<SessionId, Bytes>> {
        &self.0[usize::from(id.as_bytes()[15]) % self.0.len()]
    }
}

/// The arguments of `SET key … PX`, up to the TTL.
pub(super) fn set_args(key: String, record: &Record, old: &Bytes, ttl: Duration) -> [Bytes; 7] {
    let new = codec::encode_as(record, RecordFormat::V2);
    [
        Bytes::from(key),
        Bytes::from(new),
        Bytes::from_static(b"IFEQ"),
        old.clone(),
        Bytes::from_static(b"GET"),
        Bytes::from_static(b"PX"),
        Bytes::from(ttl.as_millis().to_string()),
    ]
}

/// Reads the reply: what was stored before. After a conflict, the next attempt compares with that.
pub(super) fn updated(
    texts: &Texts,
    id: SessionId,
    old: &Bytes,
    found: Option<Bytes>,
) -> Result<Updated, StoreError> {
    let Some(found) = found else {
        return Ok(Updated::Missing);
    };
    if found == old {
        return Ok(Updated::Updated);
    }
    texts.insert(id, found.clone());
    Ok(match codec::decode(&found)? {
        Stored::Record(record) => Updated::Conflict(record),
        Stored::Tombstone(tombstone) => Updated::Ended(tombstone),
    })
}
