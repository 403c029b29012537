//! Counts the visits of each browser, with sessions in files.

use std::{env, error::Error, time::Duration};

use axum::{Router, routing::get};
use cloakroom::{Session, SessionError, SessionLayer};
use custom_store_example::FileStore;
use tokio::{net::TcpListener, time::sleep};

async fn hits(session: Session) -> Result<String, SessionError> {
    let hits = session.update("hits", |n: Option<u64>| n.unwrap_or(0) + 1)?;
    Ok(format!("You have been here {hits} times"))
}

/// Deletes expired files every minute.
async fn delete_expired(store: FileStore) {
    loop {
        sleep(Duration::from_secs(60)).await;
        // If it fails, the next round deletes what is left.
        drop(store.delete_expired().await);
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let directory = env::temp_dir().join("cloakroom-custom-store");
    let store = FileStore::open(env::var_os("SESSIONS").map_or(directory, Into::into))?;
    tokio::spawn(delete_expired(store.clone()));
    let app = Router::new().route("/", get(hits));
    let app = app.layer(SessionLayer::new(store));

    let address = env::var("LISTEN").unwrap_or("127.0.0.1:3000".into());
    axum::serve(TcpListener::bind(address).await?, app).await?;
    Ok(())
}
