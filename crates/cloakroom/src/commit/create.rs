//! Create: stores a new session. A session of a user is added to the user's index before anybody has its token.

use std::borrow::Cow;

use cloakroom_core::event::SessionEvent;
use cloakroom_core::index::{AddRequest, Limit};
use cloakroom_core::store::{Created, UserCreated};
use cloakroom_core::{
    Authentication, Entries, Limits, Record, SessionId, StoreError, StoreErrorKind, Token, UserId,
};

use super::context::CommitContext;
use super::end::{remove_from_index, roll_back};
use super::end_legacy::end_legacy;
use super::evict::{evict_others, make_room};
use super::follow_up::{FollowUp, client_for_event};
use super::index::{Owner, dead_among, index_impersonation};
use super::join::join_ended;
use super::outcome::{Committed, Stored};
use super::record::{check_size, ttl_of, with_metadata};
use crate::error::{Cause, SessionError};
use crate::state::{Draft, Live};
use crate::telemetry::log;

/// How many ids a creation tries.
const MAX_IDS: usize = 3;

/// How often a full index is checked for entries without a session before the sign-in is refused. Each
/// check looks at a limited number of entries.
const MAX_INDEX_CHECKS: usize = 3;

/// How a session is added to its user's index.
#[derive(Clone, Copy, Debug)]
pub(super) struct CreateOptions {
    /// Whether the session limit applies: for a sign-in, and not for a renewal.
    pub(super) is_limited: bool,
    /// The session whose place it takes in the index.
    pub(super) replaces: Option<SessionId>,
    /// Whether the store may publish the event: if nothing else has to succeed before.
    pub(super) publishes: bool,
    /// Whether nobody has the token yet: it is not derived from another one.
    pub(super) has_fresh_token: bool,
}

/// A new session, and what is left to do for the index.
pub(super) struct NewSession {
    pub(super) live: Live,
    pub(super) index: IndexFollowUp,
}

/// What the index leaves to do in the background, once a session is stored.
#[derive(Default)]
pub(super) struct IndexFollowUp {
    /// Entries to check for sessions.
    pub(super) sample: Vec<SessionId>,
    /// Whether the store has published the event.
    pub(super) is_published: bool,
}

/// The result of an attempt to store a new session.
pub(super) enum Attempt {
    Created(IndexFollowUp),
    /// There is a record or a tombstone under the id.
    Collision,
    /// It had to make room for a session that was renewed meanwhile: one that it was to end itself.
    Evicted,
    Failed(StoreError),
}

/// Creates the session of a request. `ended` are the tokens that it has presented, of sessions that have
/// ended: a sign-in continues in the successor of a renewed one.
pub(crate) async fn create(
    cx: &CommitContext<'_>,
    draft: &Draft,
    ended: &[Token],
) -> Result<Committed, SessionError> {
    let entries = with_metadata(cx, draft, draft.entries.clone());
    let signs_in = draft.signing_in.is_some();
    let options = CreateOptions {
        is_limited: signs_in,
        replaces: None,
        publishes: true,
        has_fresh_token: true,
    };
    if signs_in && cx.context.migration.is_some() {
        Box::pin(end_legacy(cx, None)).await?;
    }
    if !ended.is_empty()
        && let Some(joined) = Box::pin(join_ended(cx, ended, draft)).await?
    {
        return Ok(Committed::Stored(joined));
    }
    let user = match &draft.signing_in {
        Some(signing_in) => Some(Cow::Borrowed(&signing_in.user)),
        None => Authentication::of(&entries).map(|it| Cow::Owned(it.user().clone())),
    };
    let user = user.as_deref();
    let new = create_session(cx, &entries, user, draft.chosen, options).await?;
    report_creation(cx, &new.live, user, new.index);
    Ok(Committed::Stored(Stored {
        live: new.live,
        taken: None,
    }))
}

/// Stores a new session under a fresh id. After a creation of unknown outcome, the next attempt has another
/// fresh id: under the same one it could collide with itself. One that was evicted for a renewal has a newer id the next
/// time, so that the renewed session makes room for it.
pub(super) async fn create_session(
    cx: &CommitContext<'_>,
    entries: &Entries,
    user: Option<&UserId>,
    limits: Option<Limits>,
    options: CreateOptions,
) -> Result<NewSession, SessionError> {
    check_size(cx, entries)?;
    check_not_revoked(cx).await?;
    let owner = Owner::of(cx, user);
    let owner = owner.as_ref();
    let mut unknown = None;
    let mut evicted = None;
    for _ in 0..MAX_IDS {
        let live = draw_session(cx, entries, owner, limits)?;
        match attempt(cx, &live, owner, options).await? {
            Attempt::Created(index) => return Ok(NewSession { live, index }),
            // Under the fresh id of a user's session there can only be a tombstone: all sessions of the
            // user were revoked, this one included, or a later sign-in has evicted it.
            Attempt::Collision if user.is_some() => {
                log::revoked_during_sign_in(live.id());
                remove_from_index(cx, &live);
                return Err(Cause::Undone.into());
            }
            Attempt::Collision => {}
            // Its own eviction has removed it from the index.
            Attempt::Evicted => evicted = Some(live.id()),
            Attempt::Failed(error) => {
                let kind = error.kind();
                // It may have been stored: a session that the user would see in the list, or one on
                // fewer replicas than required.
                if user.is_some() || kind == StoreErrorKind::NotReplicated {
                    drop(roll_back(cx, live));
                }
                if kind != StoreErrorKind::OutcomeUnknown {
                    return Err(unknown.unwrap_or(error).into());
                }
                unknown = Some(error);
            }
        }
    }
    if let (None, Some(id)) = (&unknown, evicted) {
        log::revoked_during_sign_in(id);
        return Err(Cause::Undone.into());
    }
    let error = unknown.unwrap_or_else(|| StoreError::new(StoreErrorKind::Unavailable));
    Err(error.into())
}

/// A session that is created before "revoked before" would be refused at once.
async fn check_not_revoked(cx: &CommitContext<'_>) -> Result<(), SessionError> {
    let revoked_before = cx.context.revoked_before(cx.budget).await?;
    if cx.now() < revoked_before {
        return Err(StoreError::new(StoreErrorKind::Unavailable).into());
    }
    Ok(())
}

/// Returns a session with a fresh id and token, not stored yet.
fn draw_session(
    cx: &CommitContext<'_>,
    entries: &Entries,
    owner: Option<&Owner<'_>>,
    limits: Option<Limits>,
) -> Result<Live, SessionError> {
    let now = cx.now();
    let (mut token, revision) = Token::issue_with_revision(now, &*cx.context.rng)?;
    if let Some(owner) = owner {
        let id = cx.store().place(&owner.key, token.id());
        token = token.with_id(id);
    }
    let limits = limits.unwrap_or_else(|| Limits::begin(cx.context.rule(entries), now));
    let digest = cx.context.realm.digest(&token);
    let record = Record::new(revision, now, limits, digest, entries.clone());
    Ok(Live { token, record })
}

/// Tries to store a new session, of a user or an anonymous one.
pub(super) async fn attempt(
    cx: &CommitContext<'_>,
    live: &Live,
    owner: Option<&Owner<'_>>,
    options: CreateOptions,
) -> Result<Attempt, SessionError> {
    if let Err(error) = Box::pin(index_impersonation(cx, live)).await {
        return Ok(Attempt::Failed(error));
    }
    match owner {
        Some(owner) => create_for_user(cx, live, owner, options).await,
        None => create_record(cx, live).await,
    }
}

async fn create_record(cx: &CommitContext<'_>, live: &Live) -> Result<Attempt, SessionError> {
    let ttl = ttl_of(cx, &live.record)?;
    let create = cx.store().create(live.id(), &live.record, ttl);
    Ok(match cx.budget.write(create).await {
        Ok(Created::Created) => Attempt::Created(IndexFollowUp::default()),
        Ok(Created::Collision) => Attempt::Collision,
        Err(error) => Attempt::Failed(error),
    })
}

/// Adds a new session to its user's index, ends the sessions that exceed the limit then, and stores it.
async fn create_for_user(
    cx: &CommitContext<'_>,
    live: &Live,
    owner: &Owner<'_>,
    options: CreateOptions,
) -> Result<Attempt, SessionError> {
    let Owner { user, key } = *owner;
    let ttl = ttl_of(cx, &live.record)?;
    let event = (options.publishes && cx.context.publishes_events)
        .then(|| creation_event(cx, live, Some(user)));
    let limit = limit_for(cx, options);
    let mut request = add_request(cx, live, limit, options);
    for check in 0..=MAX_INDEX_CHECKS {
        let create = cx
            .store()
            .create_for_user(key, &request, &live.record, ttl, event.as_ref());
        match cx.budget.write(create).await {
            Ok(UserCreated::Created { sample, published }) => {
                return Ok(Attempt::Created(IndexFollowUp {
                    sample,
                    is_published: published,
                }));
            }
            Ok(UserCreated::Collision) => return Ok(Attempt::Collision),
            Ok(UserCreated::LimitExceeded { over, sample }) => {
                return Box::pin(evict_and_create(cx, live, user, &over, sample, options)).await;
            }
            Ok(UserCreated::LimitReached(ids)) => {
                let dead = Box::pin(dead_among(cx, &ids)).await?;
                let evicts = limit.is_some_and(|limit| limit.evict_oldest);
                if check == MAX_INDEX_CHECKS || (dead.is_empty() && !evicts) {
                    log::too_many_sessions(ids.len());
                    break;
                }
                request.limit = limit;
                request.dead = dead;
            }
            Err(error) => return Ok(Attempt::Failed(error)),
        }
    }
    Err(Cause::TooManySessions.into())
}

fn limit_for(cx: &CommitContext<'_>, options: CreateOptions) -> Option<Limit> {
    match cx.context.session_limit {
        Some(limit) if options.is_limited => Some(limit.0),
        _ => None,
    }
}

fn add_request(
    cx: &CommitContext<'_>,
    live: &Live,
    limit: Option<Limit>,
    options: CreateOptions,
) -> AddRequest {
    AddRequest {
        id: live.id(),
        deadline: live.record.limits().deadline(),
        now: cx.now(),
        // The first attempt evicts nothing: entries without a session are removed before live sessions
        // are ended.
        limit: limit.map(|limit| Limit {
            evict_oldest: false,
            ..limit
        }),
        replaces: options.replaces,
        dead: Vec::new(),
        has_fresh_token: options.has_fresh_token,
    }
}

/// Ends the sessions that exceed the limit since this one is in the index, and stores it. The others end
/// first, also if this session cannot be stored in the end: the index has handed them to this sign-in, and
/// no other one counts or ends them.
async fn evict_and_create(
    cx: &CommitContext<'_>,
    live: &Live,
    user: &UserId,
    evicted: &[SessionId],
    sample: Vec<SessionId>,
    options: CreateOptions,
) -> Result<Attempt, SessionError> {
    match make_room(cx, user, evicted, live.id(), options.replaces).await {
        Ok(true) => {}
        Ok(false) => return Ok(Attempt::Evicted),
        Err(error) => {
            drop(roll_back(cx, live.clone()));
            return Err(error);
        }
    }
    let attempt = create_record(cx, live).await;
    evict_others(cx.context, user, evicted.len(), options.replaces);
    Ok(match attempt? {
        Attempt::Created(index) => Attempt::Created(IndexFollowUp { sample, ..index }),
        other => other,
    })
}

/// Logs and publishes that a session was created, and starts what follows in the background.
pub(super) fn report_creation(
    cx: &CommitContext<'_>,
    live: &Live,
    user: Option<&UserId>,
    index: IndexFollowUp,
) {
    let id = live.id();
    log::created(id);
    if let Some(user) = user {
        log::signed_in(id, cx.context.logged(user));
    }
    follow_up_creation(cx, live, user, index);
}

/// Starts what follows from a creation in the background.
pub(super) fn follow_up_creation(
    cx: &CommitContext<'_>,
    live: &Live,
    user: Option<&UserId>,
    index: IndexFollowUp,
) {
    let mut follow_up = FollowUp::new(cx.context);
    if let Some(user) = user {
        follow_up = follow_up.check_sample(user, index.sample);
    }
    if !index.is_published {
        follow_up = follow_up.publish(creation_event(cx, live, user));
    }
    follow_up.start();
}

fn creation_event(cx: &CommitContext<'_>, live: &Live, user: Option<&UserId>) -> SessionEvent {
    let id = live.id();
    match user {
        Some(user) => SessionEvent::SignedIn {
            id,
            user: user.clone(),
            from: None,
            client: client_for_event(cx.context, live.record.entries()),
        },
        None => SessionEvent::Created { id },
    }
}
