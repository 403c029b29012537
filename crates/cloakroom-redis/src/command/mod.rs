//! The commands of the store.
//!
//! One file per subject: `session` and `end`, `index` (a user's index), `admin` (the store as a whole), `raw` (keys that
//! are not the store's own), `publish` (events) and `info`. Commands are values, a `ScriptCall` or a `Command`; the
//! [`Executor`] sends them, and merges those that come at the same moment. `replication` sends the writes
//! that wait for replicas.
//!
//! Every command for which a request waits is defined here. The other users of fred have connections or
//! tasks of their own: `connection::recovery` (`PING`), `bus` and `near::invalidation`.

pub(crate) mod admin;
mod app;
mod args;
mod batch;
pub(crate) mod end;
mod eval;
mod executor;
pub(crate) mod index;
mod index_entry;
pub(crate) mod info;
mod node;
pub(crate) mod permissions;
mod plain;
mod publish;
pub(crate) mod raw;
mod script;
pub(crate) mod session;
pub(crate) mod slot;

pub(crate) use self::app::AppCall;
pub(crate) use self::executor::Executor;
pub(crate) use self::publish::Message;
pub(crate) use self::script::{AppScriptPair, Reply};
