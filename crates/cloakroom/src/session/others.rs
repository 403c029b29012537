//! The live sessions that a request has presented besides the one that it uses.
//!
//! Whatever ends or replaces the session of a request applies to each of them: none may take its place when
//! the cookie has changed.

use cloakroom_core::EndReason;

use super::shared::SharedSession;
use crate::commit;
use crate::error::{SessionError, SessionErrorKind};
use crate::plan::Step;

impl SharedSession {
    /// Before a step that replaces the session: ends the others.
    pub(super) async fn replace_others(&self, step: Step) -> Result<(), SessionError> {
        if matches!(step, Step::Create | Step::Renew) {
            self.end_contested(EndReason::Renewed).await?;
        }
        Ok(())
    }

    /// When the app ends the session: ends the others. Returns whether one of them was live.
    pub(super) async fn destroy_others(&self, reason: EndReason) -> Result<bool, SessionError> {
        let contested = self.state().is_contested();
        let ended = self.end_contested(reason).await;
        if !contested {
            return ended;
        }
        let mut state = self.state();
        match &ended {
            Ok(true) => state.destroyed(),
            // The cookies are not removed: the browser may have better ones by now.
            Ok(false) => {
                state.discard_edits();
                state.mark_ended();
            }
            Err(error) if error.kind() == SessionErrorKind::NotReplicated => state.destroyed(),
            Err(_) => {}
        }
        ended
    }

    async fn end_contested(&self, reason: EndReason) -> Result<bool, SessionError> {
        let others = self.state().others().to_vec();
        if others.is_empty() {
            return Ok(false);
        }
        let cx = self.commit_context();
        let ended = Box::pin(commit::end_contested(&cx, &others, reason)).await;
        let have_ended = match &ended {
            Ok(_) => true,
            Err(error) => error.kind() == SessionErrorKind::NotReplicated,
        };
        if have_ended {
            self.state().others_ended();
        }
        ended
    }
}
