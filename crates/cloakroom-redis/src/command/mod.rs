//! The commands of the store.
//!
//! One file per subject: `session`, `index` (a user's index, and the store as a whole), `publish`,
//! `raw` (keys that are not the store's own) and `info`. [`Executor`] sends them; `eval`, `script` and
//! `get` are what it can merge, and `args` encodes arguments. `replication` sends the writes that wait
//! for replicas.
//!
//! Every command for which a request waits is defined here. The other users of fred have connections or
//! tasks of their own: `connection::recovery` (`PING`), `bus` and `near::invalidation`.

mod args;
mod eval;
mod executor;
mod get;
pub(crate) mod index;
pub(crate) mod info;
pub(crate) mod publish;
pub(crate) mod raw;
mod script;
pub(crate) mod session;

pub(crate) use self::executor::Executor;
pub(crate) use self::script::Reply;
