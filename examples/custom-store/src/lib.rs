//! A complete session store: a directory with one file for each session.
//!
//! It is for an app with one process whose sessions survive a restart. It shows what every store has to do;
//! the guide `docs/implementing-a-store.md` explains it.
//!
//! | module | contents |
//! |---|---|
//! | `files` | a locked directory of files that expire; nothing in it knows what a session is |
//! | `store` | [`FileStore`], and the one required part: the trait [`Store`](cloakroom_core::Store) |
//! | `index` | optional: which sessions a user has |
//! | `admin` | optional: operations on all sessions |
//! | `bus` | optional: events |

mod admin;
mod bus;
mod files;
mod index;
mod store;

pub use self::store::FileStore;
