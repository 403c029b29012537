//! Cloakroom in a browser: a visit counter, notes, signing in and out, the devices of a user, a page that
//! needs a recent sign-in, and the session as it is stored.
//!
//! [`options`] is the command line, [`storage`] the session store, [`app`] the routes and the layers around
//! them, [`pages`] the pages, [`server`] listens and shuts down.

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
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::app::App;
use crate::options::{LogFormat, Options};
use crate::storage::Storage;
use crate::users::Users;

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    install_log(options.log.clone(), options.log_format);
    match run(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            drop(writeln!(io::stderr(), "demo: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), Box<dyn Error>> {
    let storage = Storage::open(options.redis(), options.store_timeout).await?;
    let sessions = app::sessions(&storage, &options)?;
    let limits = storage.limits();
    let request_limit = app::request_limit(&limits)?;
    let guard = app::guard(&limits, &options)?;
    let listener = server::listen(options.listen).await?;
    let users = Users::hash().await?;
    let closing = watch::Sender::new(false);

    let mut stdout = io::stdout();
    writeln!(stdout, "{}", storage.description())?;
    writeln!(stdout, "Open {}", server::url(&listener)?)?;
    let app = App {
        store_responds: storage.watch(),
        storage,
        users,
        guard,
        cookie_is_secure: !options.insecure_http,
        recent_sign_in: options.recent_sign_in,
        closing: closing.subscribe(),
    };
    server::serve(listener, app::router(app, sessions, request_limit), closing).await?;
    Ok(())
}

/// Logs to stderr, which leaves stdout to the URL.
fn install_log(filter: Targets, format: LogFormat) {
    let output = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let output = match format {
        LogFormat::Text => output.with_target(false).compact().boxed(),
        LogFormat::Json => output.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry()
        .with(output.with_filter(filter))
        .init();
}
