//! Ends many sessions of users, in groups.

use std::sync::Arc;

use cloakroom_core::store::Ended;
use cloakroom_core::{EndReason, SessionId, UserId};

use super::concurrent::write_concurrently;
use super::context::CommitContext;
use super::end::{EndedById, end_without_report, report_end_by_id};
use super::follow_up::FollowUp;
use super::outcome::WorstError;
use crate::budget::Budget;
use crate::context::Context;
use crate::error::SessionError;

/// Sessions that were to be ended.
pub(crate) struct EndedGroup {
    /// One result for each, in no particular order.
    pub(crate) results: Vec<(SessionId, Result<Ended, SessionError>)>,
    /// Events to publish, and index entries to remove.
    pub(crate) follow_up: FollowUp,
}

impl EndedGroup {
    /// Returns how many live sessions have ended.
    pub(crate) fn count(&self) -> usize {
        let results = self.results.iter();
        let ended = results.filter(|(_, result)| matches!(result, Ok(Ended::Ended)));
        ended.count()
    }

    /// Returns the error of a session that could not be ended: the [worst](WorstError).
    pub(crate) fn error(&self) -> Option<SessionError> {
        let mut worst = WorstError::default();
        let results = self.results.iter();
        worst.add_all(results.filter_map(|(_, result)| result.as_ref().err().cloned()));
        worst.take().err()
    }
}

/// Ends at most [`MAX_GROUP`](super::MAX_GROUP) sessions, some of them concurrently. Each has the layer's store
/// timeout for itself. One that cannot be ended does not prevent the others from ending.
pub(crate) async fn end_group(
    context: &Arc<Context>,
    sessions: Vec<(SessionId, Option<UserId>)>,
    reason: EndReason,
) -> EndedGroup {
    let end = |(id, _): &(SessionId, Option<UserId>)| {
        let (context, id) = (Arc::clone(context), *id);
        async move {
            let budget = Budget::new(context.budget);
            let cx = CommitContext::without_request(&context, &budget);
            end_without_report(&cx, id, reason).await
        }
    };
    let mut follow_up = FollowUp::new(context);
    let mut results = Vec::new();
    for ((id, user), ended) in write_concurrently(sessions, end).await {
        follow_up = report_end_by_id(context, follow_up, id, user.as_ref(), reason, &ended);
        let result = ended.map(EndedById::into_ended).map_err(SessionError::from);
        results.push((id, result));
    }
    EndedGroup { results, follow_up }
}
