//! Merges the commands of requests that are ready at the same moment.
//!
//! fred writes all commands in its queue with one system call. But Tokio runs fred's task right after
//! the task that sent a command, before other tasks that are ready, so fred finds one command at a
//! time. Therefore a command that is sent while others are in flight first lets the requests that are
//! ready submit theirs ([`Batcher`]). Then all of them become one command, or are at least written
//! together ([`start_all`], [`Responder::start`]). No timer is involved, and a command that is alone on its connection is sent at
//! once ([`InFlight`]).
//!
//! Nothing here depends on which commands there are.

mod batcher;
mod in_flight;
mod pipeline;
mod response;

pub(crate) use self::batcher::{Batcher, Item, execute_in_order};
pub(crate) use self::in_flight::{InFlight, InFlightGuard};
pub(crate) use self::pipeline::{complete_all, start_all};
pub(crate) use self::response::BoxFuture;
#[cfg(doc)]
use self::response::Responder;
