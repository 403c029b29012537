//! Starts the app, and the identity provider of the example on the next port.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

use app_example::database::Database;
use app_example::{App, Config, Storage, provider, router, sessions};
use clap::Parser;
use tokio::net::TcpListener;

/// One app with the everyday tasks of a sign-in.
#[derive(Parser)]
struct Options {
    /// The port of the app. The identity provider of the example gets the next one
    #[arg(long, env, default_value_t = 3000)]
    port: u16,

    /// Store sessions in this Redis or Valkey; without a URL, in the one at 127.0.0.1:6379
    #[arg(
        long, env = "REDIS_URL", value_name = "URL", num_args = 0..=1,
        default_missing_value = "redis://127.0.0.1:6379", hide_env_values = true,
    )]
    redis: Option<String>,

    /// The file of the database; by default it is in memory
    #[arg(long, env, value_name = "FILE")]
    database: Option<String>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = Options::parse();
    let url = options.redis.filter(|url| !url.is_empty());
    let storage = match url {
        Some(url) => Storage::redis(&url).await?,
        None => Storage::memory(),
    };
    let database = Database::open(options.database.as_deref()).await?;
    let app = listen(options.port).await?;
    let identity = listen(options.port.checked_add(1).unwrap_or_default()).await?;
    let config = Config {
        url: format!("http://localhost:{}", app.local_addr()?.port()),
        provider: format!("http://{}", identity.local_addr()?),
        // A real app reads it from its configuration.
        secret: "the secret of the example, which everybody knows".to_owned(),
        recent_sign_in: Duration::from_secs(5 * 60),
        prints_mail: true,
    };
    let provider = provider::router(&config.provider, &config.url);
    let layer = sessions(&storage, &config)?;
    let mut stdout = io::stdout();
    writeln!(
        stdout,
        "Sign in as Ada (ada-password) or Mona (mona-password), who is on the staff."
    )?;
    writeln!(stdout, "Open {}", config.url)?;
    let state = App::new(config, database, &storage)?;
    for (name, password, is_staff) in [
        ("Ada", "ada-password", false),
        ("Mona", "mona-password", true),
    ] {
        let added = state.add_user(name, password, is_staff).await;
        added.map_err(|error| error.to_string())?;
    }
    state.start_audit_log(&layer.sessions())?;
    let service = router(state, &layer).into_make_service_with_connect_info::<SocketAddr>();
    tokio::try_join!(
        axum::serve(app, service).into_future(),
        axum::serve(identity, provider).into_future(),
    )?;
    Ok(())
}

async fn listen(port: u16) -> Result<TcpListener, String> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await;
    listener.map_err(|error| {
        format!("cannot listen on port {port} ({error}): choose another with --port")
    })
}
