//! Starts the app: `LISTEN` is its address, `REDIS_URL` its Redis (by default memory), `DATABASE` its file (by default
//! memory).

use std::env;
use std::io::{self, Write};
use std::net::SocketAddr;

use app_example::{App, Storage, database::Database, router};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let storage = match env::var("REDIS_URL") {
        Ok(url) => Storage::redis(&url).await?,
        Err(_) => Storage::memory(),
    };
    let database = Database::open(env::var("DATABASE").ok().as_deref()).await?;
    database.add_user("Ada", "ada-password").await?;
    let app = App::new(database, &storage)?;
    let address = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".to_owned());
    let listener = TcpListener::bind(&address).await?;
    writeln!(
        io::stdout(),
        "Sign in as Ada, with the password ada-password: http://{address}"
    )?;
    let service = router(app, &storage).into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).await?;
    Ok(())
}
