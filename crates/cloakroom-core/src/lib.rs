//! What a web session *is*, apart from HTTP, runtimes and servers.
//!
//! A browser hands in its coat (the session's data), gets a ticket (the [`Token`], kept in a
//! cookie), and gets the coat back when it shows the ticket. This crate knows coats and tickets;
//! `cloakroom` is the counter in front of an app, `cloakroom-redis` the room with the hooks.
//!
//! | module | what it holds |
//! |---|---|
//! | [`clock`] | [`Timestamp`] and the seam through which time is read |
//! | [`entropy`] | the seam through which randomness is read |
//! | [`id`] | [`SessionId`] (public) and [`Revision`] |
//! | [`token`] | [`Token`] (secret), [`Digest`] (what a store keeps of it), [`Realm`] |
//! | [`expiry`] | idle and absolute timeouts, as pure arithmetic |
//! | [`entries`] | a session's data: keys to raw JSON |
//! | [`change`] | the log of edits, and its replay on fresher data |
//! | [`record`] | what a store keeps of a session, and of an ended one |
//! | [`codec`] | the bytes of a record, versioned |
//! | [`user`] | [`UserId`], and who has signed in |
//! | [`arrival`] | sessions that move in from another system: their token, and where they came from |
//! | [`rotation`] | the secret's rotation in place, as pure decisions |
//! | [`event`] | what happens to sessions, and the contract of an [`EventBus`] |
//! | [`index`] | which sessions a user has: the contract of a [`UserIndex`] |
//! | [`store`] | the contract of a [`Store`] |
//! | [`memory`] | [`MemoryStore`], for development, tests and single processes |
//! | `conformance` | one suite that every store must pass (feature `conformance`) |
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
//!     SystemEntropy, Token,
//! };
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (clock, entropy) = (SystemClock, SystemEntropy);
//! let now = clock.now();
//! let realm = Realm::new("__Host-Http-id");
//!
//! let token = Token::issue(now, &entropy)?;
//! let mut entries = Entries::new();
//! entries.set("hits", &1)?;
//! let limits = Limits::begin(Expiry::idle(Duration::from_secs(1800)), now);
//! let record = Record::new(Revision::draw(&entropy)?, now, limits, realm.digest(&token), entries);
//!
//! let store = MemoryStore::new();
//! let ttl = limits.ttl(now).expect("a session that has just begun is not over");
//! assert_eq!(store.create(token.id(), &record, ttl).await?, Created::Created);
//!
//! let Loaded::Record(found) = store.load(token.id()).await? else { unreachable!() };
//! assert_eq!(found.entries().get::<u32>("hits")?, Some(1));
//! assert!(found.digest() == &realm.digest(&token));
//! # Ok(())
//! # }
//! ```

pub mod arrival;
pub mod change;
pub mod clock;
pub mod codec;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod entries;
pub mod entropy;
pub mod event;
pub mod expiry;
pub mod id;
pub mod index;
pub mod memory;
pub mod record;
pub mod rotation;
pub mod store;
pub mod token;
pub mod user;

pub use self::change::Changes;
pub use self::clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use self::entries::{Entries, EntryError};
pub use self::entropy::{Entropy, EntropyError, SystemEntropy};
pub use self::event::{EventBus, SessionEvent, Subscription};
pub use self::expiry::{Expiry, ExpiryError, Limits};
pub use self::id::{Revision, SessionId};
pub use self::index::UserIndex;
pub use self::memory::MemoryStore;
pub use self::record::{EndReason, Record, Tombstone};
pub use self::store::{Store, StoreError, StoreErrorKind};
pub use self::token::{Digest, Realm, Token};
pub use self::user::{Authentication, UserId, UserKey};
