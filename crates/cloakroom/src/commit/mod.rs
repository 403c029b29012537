//! The steps of a plan that write to the store, one file for each verb.
//!
//! A command whose outcome is unknown is never sent again. One `load` may find out what has happened;
//! otherwise the request fails with [`OutcomeUnknown`](crate::SessionErrorKind::OutcomeUnknown).
//!
//! | file | contents |
//! |---|---|
//! | [`create`], [`update`], [`renew`], [`touch`], [`end`], [`end_contested`] | the steps of requests |
//! | [`join`], [`successor`] | what became of a session that was renewed in the meantime, and how a sign-in continues in it |
//! | [`evict`], [`group`], [`concurrent`] | many sessions end: those above the limit, or all of a user; in groups of limited size |
//! | [`maintain`] | the steps that the library needs for itself: token rotation, device and last-seen |
//! | [`migrate`], [`end_legacy`] | a migrated session: how it is created and unlinked, and how its legacy session ends |
//! | [`record`], [`refresh`], [`index`], [`contention`] | parts of several steps |
//! | [`follow_up`] | what follows in the background: index entries to remove, events to publish |

mod concurrent;
mod contention;
mod context;
mod create;
mod end;
mod end_contested;
mod end_legacy;
mod evict;
mod follow_up;
mod group;
mod index;
mod join;
mod maintain;
mod migrate;
mod outcome;
mod record;
mod refresh;
mod renew;
mod successor;
mod touch;
mod update;

pub(crate) use self::concurrent::MAX_GROUP;
pub(crate) use self::context::CommitContext;
pub(crate) use self::create::create;
pub(crate) use self::end::{end, end_by_id};
pub(crate) use self::end_contested::end_contested;
pub(crate) use self::end_legacy::{combine, end_legacy};
pub(crate) use self::follow_up::FollowUp;
pub(crate) use self::group::{EndedGroup, end_group};
pub(crate) use self::maintain::{due, maintain};
pub(crate) use self::migrate::{create_migrated, unlink};
pub(crate) use self::outcome::{Committed, WorstError};
pub(crate) use self::renew::renew;
pub(crate) use self::successor::{MAX_RENEWALS, end_again, end_with_successor};
pub(crate) use self::touch::touch;
pub(crate) use self::update::update;
