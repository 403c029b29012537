//! One app with the everyday tasks of a sign-in. Its README has a table of the tasks, in the order in which to read them.

mod app;
mod audit;
mod csrf_form;
pub mod database;
mod ended;
mod errors;
mod http_client;
mod layers;
mod limits;
mod notice;
mod outbox;
mod page;
mod passwords;
pub mod provider;
mod random;
mod routes;
mod storage;

pub use self::app::{App, Config};
pub use self::layers::{AppSessions, router, sessions};
pub use self::outbox::Outbox;
pub use self::storage::Storage;
