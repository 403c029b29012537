//! Cloakroom in a browser: a visit counter, notes, signing in and out, one's devices, a safe, and the
//! session as the store has it.
//!
//! Where to find what: [`options`] is the command line, [`storage`] where sessions are kept, [`app`]
//! the routes and the layers around them, [`pages`] what one sees, [`server`] listens and closes.

mod app;
mod flash;
mod options;
mod pages;
mod server;
mod storage;
mod users;

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use tokio::sync::watch;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::app::App;
use crate::options::Options;
use crate::storage::Storage;
use crate::users::Users;

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    log(options.log.clone());
    match run(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One line: what went wrong, for people.
            drop(writeln!(io::stderr(), "demo: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), Box<dyn Error>> {
    let storage = Storage::open(options.redis()).await?;
    let sessions = app::sessions(&storage, &options)?;
    let listener = server::listen(options.listen).await?;
    let users = Users::hash().await?;
    let closing = watch::Sender::new(false);

    let mut stdout = io::stdout();
    writeln!(stdout, "{}", storage.in_words())?;
    writeln!(stdout, "Open {}", server::url(&listener)?)?;
    let app = App {
        storage,
        users,
        cookie_is_secure: !options.insecure_http,
        fresh: options.fresh,
        closing: closing.subscribe(),
    };
    server::serve(listener, app::router(app, sessions), closing).await?;
    Ok(())
}

fn log(what: Targets) {
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_target(false)
        .compact();
    tracing_subscriber::registry().with(what).with(lines).init();
}
