//! Counts the visits of each browser, in Redis.

use std::{env, error::Error};

use axum::{Router, routing::get};
use cloakroom::{Expiry, Session, SessionError, SessionLayer, hours, minutes};
use cloakroom_redis::RedisStore;
use tokio::net::TcpListener;

async fn hits(session: Session) -> Result<String, SessionError> {
    let hits = session.update("hits", |n: Option<u64>| n.unwrap_or(0) + 1)?;
    Ok(format!("You have been here {hits} times"))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let redis = env::var("REDIS_URL").unwrap_or("redis://127.0.0.1".into());
    let sessions = SessionLayer::builder(RedisStore::connect(redis, "hits").await?)
        .with_expiry(Expiry::idle(minutes(30)).absolute(hours(12)))
        .build()?;
    let app = Router::new().route("/", get(hits)).layer(sessions);

    let address = env::var("LISTEN").unwrap_or("127.0.0.1:3000".into());
    axum::serve(TcpListener::bind(address).await?, app).await?;
    Ok(())
}
