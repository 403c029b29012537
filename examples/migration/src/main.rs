//! One app in two versions, on one Redis: [`old`] keeps its sessions with tower-sessions, [`new`] with
//! Cloakroom. Sign in at the old one and follow the link to the new one: you are still signed in.
//! `docs/migration.md` describes the migration.

mod new;
mod old;
mod page;
mod phase;

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;

use axum::Router;
use clap::Parser;
use tokio::net::TcpListener;

use self::page::OtherVersion;
use self::phase::{MigrationOptions, Phase};

/// An app on tower-sessions and its new version on Cloakroom, side by side on one Redis.
#[derive(Parser)]
#[command(version)]
struct Options {
    /// The Redis or Valkey of both versions
    #[arg(
        long,
        env = "REDIS_URL",
        hide_env_values = true,
        default_value = "redis://127.0.0.1"
    )]
    redis: String,

    /// The phase of the migration
    #[arg(long, value_enum, default_value = "side-by-side")]
    phase: Phase,

    /// Where the old version listens, while it runs side by side
    #[arg(long, default_value = "127.0.0.1:3000")]
    old: SocketAddr,

    /// Where the new version listens
    #[arg(long, env = "LISTEN", default_value = "127.0.0.1:3001")]
    new: SocketAddr,

    #[command(flatten)]
    migration: MigrationOptions,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), Box<dyn Error>> {
    let side_by_side = options.phase == Phase::SideBySide;
    let to_old = side_by_side.then(|| OtherVersion::new("old", options.old));
    let sessions = new::sessions(&options.redis, options.phase, &options.migration).await?;
    let new = serve("new", options.new, new::app(to_old).layer(sessions));
    if !side_by_side {
        return new.await;
    }
    let to_new = OtherVersion::new("new", options.new);
    let sessions = old::sessions(&options.redis).await?;
    let old = serve("old", options.old, old::app(to_new).layer(sessions));
    tokio::try_join!(old, new)?;
    Ok(())
}

async fn serve(version: &str, address: SocketAddr, app: Router) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(address).await;
    let listener = listener.map_err(|error| format!("cannot listen on {address}: {error}"))?;
    say(&format!("the {version} version: http://{address}"));
    Ok(axum::serve(listener, app).await?)
}

#[allow(clippy::print_stderr, reason = "a command-line program")]
fn say(text: &str) {
    eprintln!("{text}");
}
