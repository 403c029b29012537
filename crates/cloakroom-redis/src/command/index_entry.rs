//! What most sign-ins add to a user's index: an entry whose score and time to live are computed here rather than in Lua.

use cloakroom_core::index::{AddRequest, STALE_AFTER};
use cloakroom_core::{SessionId, Timestamp};

use super::args::{Args, millis};

/// An entry that needs no more than `index_put.lua` does, unless the id has a score of an earlier version.
pub(super) struct Entry {
    score: u64,
    id: SessionId,
    /// How long the index has to be kept, in milliseconds.
    keep: i64,
}

impl Entry {
    /// `None` if there is a limit or an entry to remove, and at those sign-ins that remove stale entries.
    pub(super) fn of(request: &AddRequest) -> Option<Self> {
        let removes_stale = request.id.as_bytes()[15].is_multiple_of(8);
        if request.limit.is_some() || !request.dead.is_empty() || removes_stale {
            return None;
        }
        let keep = signed(request.deadline) - signed(request.now) + millis(STALE_AFTER);
        (keep > 0).then_some(Self {
            score: score_of(request.id, request.deadline),
            id: request.id,
            keep,
        })
    }

    pub(super) fn push(&self, args: &mut Args) {
        args.push_display(self.score);
        args.push_id(self.id);
        args.push_display(self.keep);
    }
}

fn signed(time: Timestamp) -> i64 {
    i64::try_from(time.as_millis())
        .unwrap_or(i64::MAX / 4)
        .min(i64::MAX / 4)
}

/// The score of an entry, as in `index_add.lua`: the time of the id, and a code for the time from then to the deadline.
/// The code has five bits of an exponent and six of a mantissa, (64 + mantissa) * 2^exponent seconds, rounded up.
fn score_of(id: SessionId, deadline: Timestamp) -> u64 {
    let start = id.created_at().as_millis();
    let seconds = deadline.as_millis().saturating_sub(start).div_ceil(1000);
    let seconds = seconds.clamp(64, 1 << 37);
    let exponent = seconds.ilog2() - 6;
    let mantissa = seconds.div_ceil(1 << exponent) - 64;
    start * 2048 + u64::from(exponent) * 64 + mantissa
}
