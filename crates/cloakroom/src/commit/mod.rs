//! Carrying out a plan: the steps that write to the store.
//!
//! A command whose outcome is unknown is never sent again. One `load` may settle it; else the
//! request is answered with an error that says "perhaps".

use std::sync::Arc;
use std::time::Duration;

use cloakroom_core::arrival::Arrival;
use cloakroom_core::change::Replay;
use cloakroom_core::entries::Entry;
use cloakroom_core::store::{Loaded, Touched, Updated};
use cloakroom_core::{
    Digest, Entries, Limits, Record, Revision, SessionId, StoreError, StoreErrorKind, Timestamp,
    Token, codec,
};

use crate::budget::Budget;
use crate::context::{ConflictPolicy, Context};
use crate::device::Origin;
use crate::error::{Cause, SessionError};
use crate::key_lock::Turn;
use crate::migration::Presented;
use crate::state::{Draft, Live};
use crate::telemetry::log;

mod create;
mod end;
mod follow_up;
pub(crate) mod maintain;
pub(crate) mod migrate;
mod renew;

/// How many refusals in a row a commit takes before it lets another server go first.
const PATIENCE: u32 = 16;

/// What came of a commit.
#[derive(Debug)]
pub(crate) enum Committed {
    /// This is stored now.
    Stored(Stored),
    /// The session ended elsewhere; nothing is stored.
    Gone,
}

/// What a commit stored.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) live: Live,
    /// What a `take_once` found, if the edits had to be replayed.
    pub(crate) taken: Option<Option<Entry>>,
}

/// One request's commits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Committer<'a> {
    pub(crate) context: &'a Arc<Context>,
    pub(crate) budget: &'a Budget,
    /// Where the request comes from.
    pub(crate) origin: Option<&'a Origin>,
    /// What the request carries of another system.
    pub(crate) former: Option<Presented<'a>>,
}

/// What came of a touch.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Use {
    /// The session was last seen now.
    WrittenDown(Timestamp),
    /// Another commit, a later touch or an ending was there.
    Superseded,
    /// The store failed.
    Failed,
}

/// The record that an attempt to update is made on.
enum Base {
    /// What the request has loaded, and its handler has edited.
    Loaded,
    /// What another request of this process has committed and left. It may be stale.
    Left(Record),
    /// What the store has handed back with a refusal.
    Fresh(Record),
}

enum Tried {
    Stored,
    Conflict(Record),
    Gone,
}

impl<'a> Committer<'a> {
    /// For a task beyond any request.
    pub(crate) const fn of(context: &'a Arc<Context>, budget: &'a Budget) -> Self {
        Self {
            context,
            budget,
            origin: None,
            former: None,
        }
    }
}

impl Committer<'_> {
    /// Saves edits of a session, on top of what others saved meanwhile.
    pub(crate) async fn update(
        &self,
        live: &Live,
        draft: &Draft,
    ) -> Result<Committed, SessionError> {
        let token = &live.token;
        if let Some(chosen) = draft.chosen {
            Box::pin(self.enter_again(live, chosen)).await?;
        }
        let mut turn = match self.context.turns.is_contended(token.id()) {
            true => Some(Box::pin(self.turn(token.id())).await?),
            false => None,
        };
        // What the next attempt is made on; what was left by the holder before spares a refusal.
        let mut base = Base::Loaded;
        if let Some(left) = turn.as_mut().and_then(Turn::take_left) {
            base = Base::Left(left);
        }
        for round in 0_u32.. {
            let (record, merged) = match &base {
                Base::Loaded => (&live.record, None),
                Base::Left(record) | Base::Fresh(record) => {
                    (record, Some(self.merge(token.id(), draft, record)?))
                }
            };
            let (mut entries, taken) = match merged {
                None => (draft.entries.clone(), None),
                Some(merged) => (merged.entries, Some(merged.taken)),
            };
            let digest = self.refresh(record, token, &mut entries)?;
            let nothing_new = entries == *record.entries() && draft.chosen.is_none();
            // Somebody else's commit holds all that this one would. Only the store can say so: what
            // was left may be stale.
            if let (Base::Fresh(fresh), true) = (&base, nothing_new) {
                return Ok(stored(token, fresh.clone(), taken));
            }
            let next = self.next(token, record, entries, digest, draft.chosen)?;
            let fresher = match self.try_update(token, record, &next).await? {
                Tried::Stored => {
                    if let Some(turn) = turn {
                        turn.leave(&next);
                    }
                    return Ok(stored(token, next, taken));
                }
                Tried::Conflict(fresher) => fresher,
                Tried::Gone => return Ok(gone(token.id())),
            };
            base = Base::Fresh(fresher);
            if turn.is_some() {
                Box::pin(self.give_way(round, next.revision())).await?;
                continue;
            }
            let mut mine = Box::pin(self.turn(token.id())).await?;
            if let Some(left) = mine.take_left() {
                base = Base::Left(left);
            }
            turn = Some(mine);
        }
        unreachable!("the loop ends by returning: the budget is finite")
    }

    /// Writes down that the session was used. A failure is not worth an error: it lives on for a
    /// while.
    pub(crate) async fn touch(&self, live: &Live) -> Use {
        let id = live.token.id();
        let now = self.now();
        let rule = self.context.rule(live.record.entries());
        let Some(ttl) = live.limits(rule).ttl(now) else {
            return Use::Superseded;
        };
        let store = &self.context.store;
        let touch = store.touch(id, live.record.revision(), now, ttl);
        match self.budget.write(touch).await {
            Ok(Touched::Touched) => Use::WrittenDown(now),
            Ok(Touched::Superseded) => Use::Superseded,
            Err(error) => {
                log::touch_failed(id, &error);
                Use::Failed
            }
        }
    }

    /// The entries of a session that begins with this commit.
    fn dressed(&self, draft: &Draft, entries: Entries) -> Entries {
        let mut entries = draft.begins_with(entries);
        if let (Some(_), Some(origin)) = (&draft.signing_in, self.origin) {
            origin.put_into(&mut entries);
        }
        entries
    }

    /// Nothing begins before the epoch does: it would be refused at once.
    async fn check_epoch(&self) -> Result<(), SessionError> {
        let epoch = &self.context.epoch;
        let began = epoch.began(self.context, self.budget).await?;
        match self.now() < began {
            true => Err(StoreError::new(StoreErrorKind::Unavailable).into()),
            false => Ok(()),
        }
    }

    /// One attempt to replace `base` by `next`.
    async fn try_update(
        &self,
        token: &Token,
        base: &Record,
        next: &Record,
    ) -> Result<Tried, SessionError> {
        let Some(ttl) = next.limits().ttl(self.now()) else {
            return Ok(Tried::Gone);
        };
        let store = &self.context.store;
        let update = store.update(token.id(), base.revision(), next, ttl);
        match self.budget.write(update).await {
            Ok(Updated::Updated) => Ok(Tried::Stored),
            Ok(Updated::Conflict(fresher)) => Ok(Tried::Conflict(fresher)),
            Ok(Updated::Ended(_) | Updated::Missing) => Ok(Tried::Gone),
            Err(error) if error.kind() == StoreErrorKind::OutcomeUnknown => {
                let there = self.budget.read(store.load(token.id())).await;
                match there {
                    Ok(Loaded::Record(there)) if there.revision() == next.revision() => {
                        Ok(Tried::Stored)
                    }
                    _ => Err(error.into()),
                }
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The edits on top of a fresher record.
    fn merge(
        &self,
        id: SessionId,
        draft: &Draft,
        fresher: &Record,
    ) -> Result<Replay, SessionError> {
        let merged = draft.changes.replay(&draft.base, fresher.entries())?;
        if !merged.overwritten.is_empty() && self.context.conflict_policy == ConflictPolicy::Reject
        {
            return Err(Cause::Conflict(merged.overwritten).into());
        }
        log::replayed(id);
        for key in &merged.overwritten {
            log::overwritten(id, key);
        }
        Ok(merged)
    }

    /// The record that is to follow `base`.
    fn next(
        &self,
        token: &Token,
        base: &Record,
        entries: Entries,
        digest: Digest,
        chosen: Option<Limits>,
    ) -> Result<Record, SessionError> {
        // A record over a limit that was lowered since may shrink step by step.
        if entries.json_len() > base.entries().json_len() {
            self.check_size(&entries)?;
        }
        let id = token.id();
        let limits = chosen
            .unwrap_or_else(|| base.limits())
            .under(self.context.rule(&entries), Arrival::began(id, &entries))
            // An older token is refused without a look at the store.
            .until(id.created_at().plus(self.context.longest_life()));
        Ok(Record::new(
            Revision::draw(&*self.context.entropy)?,
            self.now().max(base.seen()),
            limits,
            digest,
            entries,
        ))
    }

    /// The limit is for what the app puts in. What the library adds is small; but a user's name can be
    /// long, and what is not read must not be written.
    fn check_size(&self, entries: &Entries) -> Result<(), SessionError> {
        let of_the_app = codec::HEAD_LEN + entries.json_len_of_the_app();
        let checks = [
            (of_the_app, self.context.max_record_size),
            (codec::encoded_len(entries), codec::LONGEST),
        ];
        match checks.into_iter().find(|(size, limit)| size > limit) {
            Some((size, limit)) => Err(Cause::TooLarge { size, limit }.into()),
            None => Ok(()),
        }
    }

    async fn turn(&self, id: SessionId) -> Result<Turn<'_>, SessionError> {
        let turn = self.budget.wait(self.context.turns.take(id)).await;
        turn.ok_or_else(spent)
    }

    /// Lets another server go first, for a random moment that grows with the rounds.
    async fn give_way(&self, round: u32, random: Revision) -> Result<(), SessionError> {
        let Some(rounds) = round.checked_sub(PATIENCE) else {
            return Ok(());
        };
        let most = 2 << rounds.min(3);
        let pause = Duration::from_millis(random.to_bits() % most);
        let paused = self.budget.wait(tokio::time::sleep(pause)).await;
        paused.ok_or_else(spent)
    }

    fn now(&self) -> Timestamp {
        self.context.clock.now()
    }
}

fn gone(id: SessionId) -> Committed {
    log::ended_meanwhile(id);
    Committed::Gone
}

fn stored(token: &Token, record: Record, taken: Option<Option<Entry>>) -> Committed {
    let live = Live {
        token: token.clone(),
        record,
    };
    Committed::Stored(Stored { live, taken })
}

/// The budget is spent before the commit was carried out: nothing is saved.
fn spent() -> SessionError {
    StoreError::new(StoreErrorKind::Unavailable).into()
}
