//! What the library itself writes into a live session: secrets that rotate, and where it was seen.

use cloakroom_core::rotation::Secrets;
use cloakroom_core::store::Loaded;
use cloakroom_core::{Digest, Entries, Record, Token};

use super::{Committed, Committer, Stored};
use crate::context::Context;
use crate::device::Origin;
use crate::error::SessionError;
use crate::plan::{Due, Step};
use crate::state::{Draft, Live};

/// What the library itself has to do to a session that this request has used.
pub(crate) fn due(context: &Context, origin: Option<&Origin>, live: &Live) -> Due {
    let (now, record) = (context.clock.now(), &live.record);
    let rotates = context.rotation(record.entries()).is_some_and(|rotation| {
        Secrets::are_due(record, &live.token, &context.realm, now, rotation)
    });
    if rotates && record.digest() != &context.realm.digest(&live.token) {
        return Due::Confirmation;
    }
    if rotates || Secrets::newer(record, &live.token, &context.realm).is_some() {
        return Due::Succession;
    }
    let rule = context.rule(record.entries());
    if !live.limits(rule).touch_due(now, record.seen()) {
        return Due::Nothing;
    }
    match origin {
        Some(origin) if origin.differs_from(record.entries()) => Due::Sighting,
        _ => Due::Touch,
    }
}

impl Committer<'_> {
    /// Carries it out.
    pub(crate) async fn keep_up(
        &self,
        step: Step,
        live: &Live,
        draft: &Draft,
    ) -> Result<Committed, SessionError> {
        if step == Step::Look {
            return self.look_again(live).await;
        }
        if due(self.context, self.origin, live) == Due::Succession
            && !self.rotates(&live.record, &live.token)
        {
            return self.hand_on(live).await;
        }
        self.update(live, draft).await
    }

    /// The successor of the presented secret is there already, and is to be handed out: but only if
    /// the session still lives. A log-in beside this request may have handed out a better cookie.
    async fn hand_on(&self, live: &Live) -> Result<Committed, SessionError> {
        let there = self.context.store.load(live.token.id());
        match self.budget.read(there).await? {
            Loaded::Record(record) => Ok(Committed::Stored(Stored {
                live: Live {
                    token: live.token.clone(),
                    record,
                },
                taken: None,
            })),
            Loaded::Tombstone(_) | Loaded::Nothing => Ok(Committed::Gone),
        }
    }

    /// A cookie that the browser does not have yet is to be handed out.
    async fn look_again(&self, live: &Live) -> Result<Committed, SessionError> {
        // Some clients never take it, and use the session all the same.
        if due(self.context, self.origin, live) != Due::Nothing {
            self.touch(live).await;
        }
        self.hand_on(live).await
    }

    fn rotates(&self, record: &Record, token: &Token) -> bool {
        let (realm, now) = (&self.context.realm, self.now());
        let rotation = self.context.rotation(record.entries());
        rotation.is_some_and(|rotation| Secrets::are_due(record, token, realm, now, rotation))
    }

    /// Puts the library's own into the entries that are to follow `base`; gives the digest of the
    /// session's secret from then on.
    pub(super) fn refresh(
        &self,
        base: &Record,
        token: &Token,
        entries: &mut Entries,
    ) -> Result<Digest, SessionError> {
        if let Some(origin) = self.origin {
            origin.refresh(entries);
        }
        let Some(rotation) = self.context.rotation(base.entries()) else {
            return Ok(*base.digest());
        };
        let (realm, entropy) = (&self.context.realm, &*self.context.entropy);
        let advanced = Secrets::advanced(base, token, realm, self.now(), rotation, entropy)?;
        Ok(match advanced {
            Some((digest, secrets)) => {
                secrets.put_into(entries);
                digest
            }
            None => *base.digest(),
        })
    }
}
