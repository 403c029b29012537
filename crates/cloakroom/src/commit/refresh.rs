//! The library's own entries of a live session: token rotation, and the device.

use cloakroom_core::rotation::Secrets;
use cloakroom_core::{Digest, Entries, Record, Timestamp, Token};

use super::context::CommitContext;
use crate::context::Context;
use crate::error::SessionError;
use crate::state::Live;

/// Whether the presented token is due for rotation, or is the one that was offered and now becomes the
/// current one.
pub(super) fn is_rotation_due(context: &Context, live: &Live, now: Timestamp) -> bool {
    let record = &live.record;
    match context.rotation(record.entries()) {
        Some(rotation) => Secrets::are_due(record, &live.token, &context.realm, now, rotation),
        None => false,
    }
}

/// Updates the library's own entries in those that follow `base`. Returns the digest of the session's
/// token from then on.
pub(super) fn refresh(
    cx: &CommitContext<'_>,
    base: &Record,
    token: &Token,
    entries: &mut Entries,
) -> Result<Digest, SessionError> {
    if let Some(client) = cx.client {
        client.refresh(entries);
    }
    let Some(rotation) = cx.context.rotation(base.entries()) else {
        return Ok(*base.digest());
    };
    let (realm, rng) = (&cx.context.realm, &*cx.context.rng);
    match Secrets::advanced(base, token, realm, cx.now(), rotation, rng)? {
        Some((digest, secrets)) => {
            secrets.put_into(entries);
            Ok(digest)
        }
        None => Ok(*base.digest()),
    }
}
