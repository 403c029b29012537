//! What a session that moves in, or has moved in, writes to the stores.

use std::sync::Arc;

use cloakroom_core::arrival::Arrival;
use cloakroom_core::store::{Ended, Loaded};
use cloakroom_core::{Authentication, EndReason, Entries, SessionId, StoreErrorKind};

use super::create::{Attempt, Entering};
use super::{Committer, Tried};
use crate::error::SessionError;
use crate::migration::{Arrivals, OldEnded, OldId};
use crate::state::Live;
use crate::telemetry::log;

/// How often letting go of the old session gives way to other commits.
const ATTEMPTS: usize = 3;

impl Committer<'_> {
    /// Stores a session that moves in; `false` if something is there already.
    pub(crate) async fn move_in(&self, live: &Live) -> Result<bool, SessionError> {
        let entries = live.record.entries();
        self.check_size(entries)?;
        let user = Authentication::of(entries);
        let user = user.as_ref().map(Authentication::user);
        let entering = Entering {
            is_told: true,
            ..Entering::default()
        };
        let beside = match self.attempt(live, user, entering).await? {
            Attempt::Stored(beside) => beside,
            Attempt::Taken => return Ok(false),
            Attempt::Failed(error) => return Err(error.into()),
        };
        let id = live.token.id();
        log::moved_in(id);
        self.begun(id, user, beside);
        Ok(true)
    }

    /// Lets the old session go, for good: first the record says that nobody need look after it, then
    /// it ends. If that fails, all is as it was, or the old session is left to its own time.
    pub(crate) async fn settle(&self, mut live: Live, old: &OldId) -> Live {
        for _ in 0..ATTEMPTS {
            let base = &live.record;
            let Some(arrival) = Arrival::of(base.entries()).filter(|it| it.from().is_some()) else {
                return live;
            };
            let mut entries = base.entries().clone();
            arrival.settled().put_into(&mut entries);
            let next = self.next(&live.token, base, entries, *base.digest(), None);
            let tried = match next {
                Ok(next) => match self.try_update(&live.token, base, &next).await {
                    Ok(Tried::Stored) => {
                        live.record = next;
                        break;
                    }
                    tried => tried,
                },
                Err(error) => Err(error),
            };
            match tried {
                Ok(Tried::Conflict(fresher)) => live.record = fresher,
                Ok(Tried::Stored | Tried::Gone) => return live,
                Err(error) => {
                    log::upkeep_failed(live.token.id(), &error);
                    return live;
                }
            }
        }
        let is_settled = Arrival::of(live.record.entries()).is_none_or(|it| it.from().is_none());
        if let (true, Some(arrivals)) = (is_settled, &self.context.arrivals)
            && let Err(error) = arrivals.end(old, self.budget).await
        {
            log::old_not_ended(&error);
        }
        live
    }

    /// Ends the old sessions behind this one and behind the request's old cookies. Where they have
    /// ended, the old cookie goes with the answer.
    pub(crate) async fn end_old(
        &self,
        moved: Option<(SessionId, &Entries)>,
    ) -> Result<OldEnded, SessionError> {
        let Some(arrivals) = &self.context.arrivals else {
            return Ok(OldEnded::Missing);
        };
        let presented = self.former.map_or(&[][..], |former| former.ids);
        let mut outcome = OldEnded::Missing;
        for id in presented {
            let ended = arrivals.end(id, self.budget).await;
            if ended.inspect_err(log::old_not_ended)? == OldEnded::Ended {
                outcome = OldEnded::Ended;
            }
        }
        if let Some((id, entries)) = moved
            && self.end_origin(id, entries).await? == OldEnded::Ended
        {
            outcome = OldEnded::Ended;
        }
        if let (OldEnded::Ended, Some(former)) = (outcome, self.former) {
            former.let_cookie_go();
        }
        Ok(outcome)
    }

    /// Ends the old session behind one of which only the id is known.
    pub(super) async fn end_origin_of(&self, id: SessionId) -> Result<OldEnded, SessionError> {
        let arrivals = self.context.arrivals.as_ref();
        if !arrivals.is_some_and(|arrivals| arrivals.may_begin(id)) {
            return Ok(OldEnded::Missing);
        }
        match self.budget.read(self.context.store.load(id)).await {
            Ok(Loaded::Record(record)) => self.end_origin(id, record.entries()).await,
            Ok(_) => Ok(OldEnded::Missing),
            Err(error) if error.kind() == StoreErrorKind::Unreadable => Ok(OldEnded::Missing),
            Err(error) => Err(error.into()),
        }
    }

    async fn end_origin(&self, id: SessionId, entries: &Entries) -> Result<OldEnded, SessionError> {
        let realm = &self.context.realm;
        let origin = |arrivals: &Arc<Arrivals>| {
            let old = arrivals.origin(realm, id, entries)?;
            Some((Arc::clone(arrivals), old))
        };
        let Some((arrivals, old)) = self.context.arrivals.as_ref().and_then(origin) else {
            return Ok(OldEnded::Missing);
        };
        let ended = arrivals.end(&old, self.budget).await;
        Ok(ended.inspect_err(log::old_not_ended)?)
    }
}

/// What came of ending a session after its old one. A request beside may have seen the old one gone,
/// and ended this one for it: it has ended by this request all the same.
pub(crate) fn ended_with(old: OldEnded, ended: Ended) -> Ended {
    match (old, &ended) {
        (OldEnded::Ended, Ended::AlreadyEnded(stone)) if stone.reason() == EndReason::AtOrigin => {
            Ended::Ended
        }
        _ => ended,
    }
}
