//! One app in two versions, on one Redis: [`old`] keeps its sessions with tower-sessions, [`new`] with
//! Cloakroom. Log in at the old one, and follow the link to the new one: you still are.
//! `docs/migration.md` tells how a move goes.

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

use self::page::Neighbour;
use self::phase::{Move, Phase};

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

    /// How far the move is
    #[arg(long, value_enum, default_value = "beside")]
    phase: Phase,

    /// Where the old version listens, while it runs
    #[arg(long, default_value = "127.0.0.1:3000")]
    old: SocketAddr,

    /// Where the new version listens
    #[arg(long, env = "LISTEN", default_value = "127.0.0.1:3001")]
    new: SocketAddr,

    #[command(flatten)]
    secrets: Move,
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
    let beside = options.phase == Phase::Beside;
    let to_old = beside.then(|| Neighbour::new("old", options.old));
    let sessions = new::sessions(&options.redis, options.phase, &options.secrets).await?;
    let new = serve("new", options.new, new::app(to_old).layer(sessions));
    if !beside {
        return new.await;
    }
    let to_new = Neighbour::new("new", options.new);
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

#[allow(clippy::print_stderr, reason = "it is a program for a terminal")]
fn say(text: &str) {
    eprintln!("{text}");
}
