//! Carrying out a plan: the steps that write to the store.
//!
//! A command whose outcome is unknown is never sent again. One `load` may settle it; else the
//! request is answered with an error that says "perhaps".

use std::sync::Arc;
use std::time::Duration;

use cloakroom_core::change::Replay;
use cloakroom_core::entries::Value;
use cloakroom_core::store::{Created, Ended, Loaded, Touched, Updated};
use cloakroom_core::{
    EndReason, Entries, Limits, Record, Revision, SessionId, StoreError, StoreErrorKind, Timestamp,
    Token, Tombstone, codec,
};

use crate::budget::Budget;
use crate::context::{Context, OnOverwrite, TOMBSTONE_TTL};
use crate::error::{Cause, SessionError};
use crate::event;
use crate::state::{Draft, Live};
use crate::turns::Turn;

mod renewal;

/// How many fresh ids a creation tries.
const ATTEMPTS: usize = 3;

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
    pub(crate) taken: Option<Option<Value>>,
}

/// One request's commits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Committer<'a> {
    pub(crate) context: &'a Arc<Context>,
    pub(crate) budget: &'a Budget,
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

impl Committer<'_> {
    /// Begins a session.
    pub(crate) async fn create(&self, draft: &Draft) -> Result<Committed, SessionError> {
        let live = self.begin(&draft.entries, draft.chosen).await?;
        event::created(live.token.id());
        Ok(Committed::Stored(Stored { live, taken: None }))
    }

    /// Saves edits of a session, on top of what others saved meanwhile.
    pub(crate) async fn update(
        &self,
        live: &Live,
        draft: &Draft,
    ) -> Result<Committed, SessionError> {
        let token = &live.token;
        let mut turn = match self.context.turns.is_contended(token.id()) {
            true => Some(self.turn(token.id()).await?),
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
            let (entries, taken) = match merged {
                None => (draft.entries.clone(), None),
                Some(merged) => (merged.entries, Some(merged.taken)),
            };
            let nothing_new = entries == *record.entries() && draft.chosen.is_none();
            // Somebody else's commit holds all that this one would. Only the store can say so: what
            // was left may be stale.
            if let (Base::Fresh(fresh), true) = (&base, nothing_new) {
                return Ok(stored(token, fresh.clone(), taken));
            }
            let next = self.next(token, record, entries, draft.chosen)?;
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
                self.give_way(round, next.revision()).await?;
                continue;
            }
            let mut mine = self.turn(token.id()).await?;
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
        let Some(ttl) = live.limits(self.context.expiry).ttl(now) else {
            return Use::Superseded;
        };
        let store = &self.context.store;
        let touch = store.touch(id, live.record.revision(), now, ttl);
        match self.budget.write(touch).await {
            Ok(Touched::Touched) => Use::WrittenDown(now),
            Ok(Touched::Superseded) => Use::Superseded,
            Err(error) => {
                event::touch_failed(id, &error);
                Use::Failed
            }
        }
    }

    /// Ends a session, whatever was saved meanwhile.
    pub(crate) async fn end(&self, live: &Live, reason: EndReason) -> Result<Ended, SessionError> {
        let ended = self.end_at(live, None, reason).await;
        let has_ended = match &ended {
            Ok(ended) => *ended == Ended::Ended,
            Err(error) => error.kind() == StoreErrorKind::NotReplicated,
        };
        if has_ended {
            event::ended(live.token.id(), reason);
        }
        if let Err(error) = &ended {
            event::end_failed(live.token.id(), error);
        }
        Ok(ended?)
    }

    /// Stores a new session under a fresh id. After a creation of unknown outcome the id is fresh
    /// again: the same one could meet itself.
    async fn begin(&self, entries: &Entries, limits: Option<Limits>) -> Result<Live, SessionError> {
        self.check_size(entries)?;
        let mut unknown = None;
        for _ in 0..ATTEMPTS {
            let now = self.now();
            let entropy = &*self.context.entropy;
            let token = Token::issue(now, entropy)?;
            let limits = limits.unwrap_or_else(|| Limits::begin(self.context.expiry, now));
            let digest = self.context.realm.digest(&token);
            let record = Record::new(
                Revision::draw(entropy)?,
                now,
                limits,
                digest,
                entries.clone(),
            );
            let Some(ttl) = limits.ttl(now) else {
                return Err(Cause::Ended.into());
            };
            let create = self.context.store.create(token.id(), &record, ttl);
            match self.budget.write(create).await {
                Ok(Created::Created) => return Ok(Live { token, record }),
                Ok(Created::Collision) => {}
                Err(error) if error.kind() == StoreErrorKind::OutcomeUnknown => {
                    unknown = Some(error);
                }
                Err(error) if error.kind() == StoreErrorKind::NotReplicated => {
                    self.abandon(Live { token, record });
                    return Err(error.into());
                }
                Err(error) => return Err(unknown.unwrap_or(error).into()),
            }
        }
        let collided = || StoreError::new(StoreErrorKind::Unavailable);
        Err(unknown.unwrap_or_else(collided).into())
    }

    async fn end_at(
        &self,
        live: &Live,
        expected: Option<Revision>,
        reason: EndReason,
    ) -> Result<Ended, StoreError> {
        let tombstone = Tombstone::new(Some(*live.record.digest()), self.now(), reason);
        let end = self
            .context
            .store
            .end(live.token.id(), expected, &tombstone, TOMBSTONE_TTL);
        self.budget.write(end).await
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
        if !merged.overwritten.is_empty() && self.context.on_overwrite == OnOverwrite::Refuse {
            return Err(Cause::Conflict(merged.overwritten).into());
        }
        event::replayed(id);
        for key in &merged.overwritten {
            event::overwritten(id, key);
        }
        Ok(merged)
    }

    /// The record that is to follow `base`.
    fn next(
        &self,
        token: &Token,
        base: &Record,
        entries: Entries,
        chosen: Option<Limits>,
    ) -> Result<Record, SessionError> {
        // A record over a limit that was lowered since may shrink step by step.
        if entries.json_len() > base.entries().json_len() {
            self.check_size(&entries)?;
        }
        let created = token.id().created_at();
        let limits = chosen
            .unwrap_or_else(|| base.limits())
            .under(self.context.expiry, created)
            // An older token is refused without a look at the store.
            .until(created.plus(self.context.longest_life()));
        Ok(Record::new(
            Revision::draw(&*self.context.entropy)?,
            self.now().max(base.seen()),
            limits,
            *base.digest(),
            entries,
        ))
    }

    fn check_size(&self, entries: &Entries) -> Result<(), SessionError> {
        let limit = self.context.max_record_size;
        let size = codec::encoded_len(entries);
        if size > limit {
            return Err(Cause::TooLarge { size, limit }.into());
        }
        Ok(())
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
    event::ended_meanwhile(id);
    Committed::Gone
}

fn stored(token: &Token, record: Record, taken: Option<Option<Value>>) -> Committed {
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
