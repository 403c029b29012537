//! HTTP- and runtime-agnostic session model used by `cloakroom`.
//!
//! This crate defines what a session is and what a store must do. `cloakroom` is the middleware on top
//! of it, `cloakroom-redis` a store for Redis and Valkey. Nothing here does I/O.
//!
//! | module | contents |
//! |---|---|
//! | [`clock`] | [`Timestamp`], and the trait through which the time is read |
//! | [`rng`] | the trait through which random bytes are read |
//! | [`id`] | [`SessionId`] (public) and [`Revision`] |
//! | [`token`] | [`Token`] (secret), its [`Digest`] (what a store keeps), [`Realm`] |
//! | [`expiry`] | idle and absolute timeouts, as pure arithmetic |
//! | [`entries`] | a session's data: keys and raw JSON values |
//! | [`change`] | the log of edits, and its replay on fresher data |
//! | [`user`] | [`UserId`], and who signed in to a session |
//! | [`record`] | what a store keeps of a live session, and of an ended one |
//! | [`codec`] | the stored format of a record, versioned |
//! | [`rotation`] | token rotation and reuse detection, as pure decisions |
//! | [`renewal`] | which session a renewed session continues |
//! | [`migration`] | sessions that are migrated from a legacy store |
//! | [`error`] | [`StoreError`] |
//! | [`client`] | [`SessionClient`], from where and with what a session is used |
//! | [`event`] | [`SessionEvent`], what happens to sessions |
//! | [`bus`] | the contract of an [`EventBus`] |
//! | [`index`] | the contract of a [`UserIndex`]: which sessions a user has |
//! | [`admin`] | the contract of a [`StoreAdmin`]: operations on all sessions of a store |
//! | [`store`] | the contract of a [`Store`] |
//! | [`memory`] | [`MemoryStore`], for development, tests and single processes |
//! | `conformance` | the test suite for stores (feature `conformance`) |
//!
//! # Example
//!
//! A store keeps records; it never sees a token.
//!
//! ```
//! use std::time::Duration;
//! use cloakroom_core::store::{Created, Loaded, Store};
//! use cloakroom_core::{
//!     Clock, Entries, Expiry, Limits, MemoryStore, Realm, Record, Revision, SystemClock,
//!     SystemRng, Token,
//! };
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (clock, rng) = (SystemClock, SystemRng);
//! let now = clock.now();
//! let realm = Realm::new("__Host-Http-id");
//!
//! let token = Token::issue(now, &rng)?;
//! let mut entries = Entries::new();
//! entries.set("hits", &1)?;
//! let limits = Limits::begin(Expiry::idle(Duration::from_secs(1800)), now);
//! let record = Record::new(Revision::draw(&rng)?, now, limits, realm.digest(&token), entries);
//!
//! let store = MemoryStore::new();
//! let ttl = limits.ttl(now).expect("a new session has not expired");
//! assert_eq!(store.create(token.id(), &record, ttl).await?, Created::Created);
//!
//! let Loaded::Record(found) = store.load(token.id()).await? else { unreachable!() };
//! assert_eq!(found.entries().get::<u32>("hits")?, Some(1));
//! assert!(found.digest() == &realm.digest(&token));
//! # Ok(())
//! # }
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod admin;
pub mod bus;
pub mod change;
pub mod client;
pub mod clock;
pub mod codec;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod entries;
pub mod error;
pub mod event;
pub mod expiry;
pub mod id;
pub mod impersonation;
pub mod index;
pub mod lifetime;
pub mod memory;
pub mod migration;
pub mod record;
pub mod renewal;
pub mod rng;
pub mod rotation;
pub mod store;
pub mod token;
pub mod user;

pub use self::admin::StoreAdmin;
pub use self::bus::{EventBus, Subscription};
pub use self::change::Changes;
pub use self::client::SessionClient;
pub use self::clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use self::entries::{Entries, EntryError};
pub use self::error::{StoreError, StoreErrorKind};
pub use self::event::SessionEvent;
pub use self::expiry::{Expiry, ExpiryError, Limits};
pub use self::id::{Revision, SessionId};
pub use self::impersonation::Impersonation;
pub use self::index::UserIndex;
pub use self::memory::MemoryStore;
pub use self::record::{EndReason, Record, Tombstone};
pub use self::rng::{Rng, RngError, SystemRng};
pub use self::store::Store;
pub use self::token::{Digest, Realm, Token};
pub use self::user::{Authentication, UserId, UserKey};

/// How to write a store of your own.
#[cfg(all(doc, not(doctest), unix))]
pub mod guides {
    #[doc = include_str!("../docs/implementing-a-store.md")]
    pub mod implementing_a_store {}
}
