//! The baseline, written with redis-rs.

use axum::Router;
use axum::extract::State;
use axum::http::HeaderName;
use axum::http::header::SET_COOKIE;
use axum::routing::get;
use redis_rs::cmd;

use super::connection::Connection;
use crate::BoxError;
use crate::args::ServeArgs;
use crate::server::Failed;
use crate::server::baseline::{Key, millis, new_session};
use crate::server::common::{self, Entries, page};

#[derive(Clone)]
struct Floor {
    redis: Connection,
    args: ServeArgs,
}

pub(in crate::server) async fn app(args: ServeArgs) -> Result<Router, BoxError> {
    let redis = Connection::open(args, None).await?;
    Ok(Router::new()
        .route("/none", get(async || "none"))
        .route("/read", get(read))
        .route("/rolling", get(rolling))
        .route("/write", get(write))
        .route("/sign-in", get(sign_in))
        .route("/hold", get(hold))
        .with_state(Floor { redis, args }))
}

async fn read(State(floor): State<Floor>, Key(key): Key) -> Result<String, Failed> {
    let entries = floor.load(&key).await?;
    Ok(page(&entries.name, entries.visits))
}

async fn rolling(State(floor): State<Floor>, Key(key): Key) -> Result<String, Failed> {
    let mut getex = cmd("GETEX");
    getex.arg(key).arg("PX").arg(millis());
    let bytes: Vec<u8> = floor.redis.send(&getex).await?;
    let entries: Entries = serde_json::from_slice(&bytes)?;
    Ok(page(&entries.name, entries.visits))
}

async fn write(State(floor): State<Floor>, Key(key): Key) -> Result<String, Failed> {
    let mut entries = floor.load(&key).await?;
    entries.visits += 1;
    floor.save(&key, &entries).await?;
    Ok(page(&entries.name, entries.visits))
}

async fn sign_in(
    State(floor): State<Floor>,
) -> Result<([(HeaderName, String); 1], &'static str), Failed> {
    let (key, cookie) = new_session()?;
    floor.save(&key, &Entries::new(floor.args)).await?;
    Ok(([(SET_COOKIE, cookie)], "welcome"))
}

async fn hold(State(floor): State<Floor>, Key(key): Key) -> Result<String, Failed> {
    let entries = floor.load(&key).await?;
    common::hold().await;
    Ok(page(&entries.name, entries.visits))
}

impl Floor {
    async fn load(&self, key: &str) -> Result<Entries, Failed> {
        let mut get = cmd("GET");
        let bytes: Vec<u8> = self.redis.send(get.arg(key)).await?;
        Ok(serde_json::from_slice(&bytes)?)
    }

    async fn save(&self, key: &str, entries: &Entries) -> Result<(), Failed> {
        let mut set = cmd("SET");
        set.arg(key).arg(serde_json::to_vec(entries)?);
        set.arg("PX").arg(millis());
        Ok(self.redis.send(&set).await?)
    }
}
