//! The floor: what one would write by hand, with nothing between axum and fred.
//!
//! It keeps none of the promises that make a session library: updates get lost, log-outs are undone.

use axum::Router;
use axum::extract::{FromRequestParts, State};
use axum::http::HeaderName;
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::request::Parts;
use axum::routing::get;
use fred::clients::Client;
use fred::interfaces::{ClientLike, KeysInterface};
use fred::types::config::Config;
use fred::types::{Builder, ClusterHash, CustomCommand, Expiration, Value};
use tower::layer::layer_fn;

use super::entries::{Entries, IDLE, page};
use super::{Failed, gate};
use crate::Problem;
use crate::args::Setup;

#[derive(Clone)]
struct Floor {
    redis: Client,
    setup: Setup,
}

/// Whether small packets wait for the answer to those before them, as they do unless told otherwise.
/// Waiting, many commands share a packet, which saves both sides work; over a network they come later.
#[derive(Clone, Copy, Debug)]
pub(super) enum Packets {
    Wait,
    Leave,
}

pub(super) async fn app(setup: Setup, packets: Packets) -> Result<Router, Problem> {
    let redis = Config::from_url(&format!("redis://127.0.0.1:{}", setup.redis))?;
    let mut redis = Builder::from_config(redis);
    if matches!(packets, Packets::Leave) {
        redis.with_connection_config(|config| config.tcp.nodelay = Some(true));
    }
    let redis = redis.build()?;
    redis.init().await?;
    Ok(Router::new()
        .route("/none", get(async || "none"))
        .route("/read", get(read))
        .route("/rolling", get(rolling))
        .route("/write", get(write))
        .route("/sign-in", get(sign_in))
        .route("/hold", get(hold))
        .with_state(Floor { redis, setup }))
}

/// The same app in a layer that does nothing: what axum itself does for any layer.
pub(super) async fn layered(setup: Setup) -> Result<Router, Problem> {
    let app = app(setup, Packets::Wait).await?;
    Ok(app.layer(layer_fn(|inner| inner)))
}

async fn read(State(floor): State<Floor>, Key(key): Key) -> Result<String, Failed> {
    let entries = floor.load(&key).await?;
    Ok(page(&entries.name, entries.visits))
}

async fn rolling(State(floor): State<Floor>, Key(key): Key) -> Result<String, Failed> {
    // fred has no name for it.
    let command = CustomCommand::new_static("GETEX", ClusterHash::FirstKey, false);
    let words: Vec<Value> = vec![key.into(), "PX".into(), millis().into()];
    let bytes: Vec<u8> = floor.redis.custom(command, words).await?;
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
    let mut id = [0; 16];
    getrandom::fill(&mut id)?;
    let id = format!("{:032x}", u128::from_be_bytes(id));
    floor
        .save(&format!("floor:{id}"), &Entries::new(floor.setup))
        .await?;
    let cookie = format!("id={id}; HttpOnly; SameSite=Lax; Secure; Path=/");
    Ok(([(SET_COOKIE, cookie)], "welcome"))
}

async fn hold(State(floor): State<Floor>, Key(key): Key) -> Result<String, Failed> {
    let entries = floor.load(&key).await?;
    gate::wait().await;
    Ok(page(&entries.name, entries.visits))
}

impl Floor {
    async fn load(&self, key: &str) -> Result<Entries, Failed> {
        let bytes: Vec<u8> = self.redis.get(key).await?;
        Ok(serde_json::from_slice(&bytes)?)
    }

    async fn save(&self, key: &str, entries: &Entries) -> Result<(), Failed> {
        let bytes = serde_json::to_vec(entries)?;
        let saved = self
            .redis
            .set(key, bytes.as_slice(), Some(idle()), None, false);
        Ok(saved.await?)
    }
}

fn idle() -> Expiration {
    Expiration::PX(millis())
}

fn millis() -> i64 {
    i64::try_from(IDLE.as_millis()).unwrap_or(i64::MAX)
}

/// The key of the session whose id the cookie tells.
struct Key(String);

impl<S: Sync> FromRequestParts<S> for Key {
    type Rejection = Failed;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failed> {
        let cookies = parts.headers.get(COOKIE).ok_or("no cookie")?.to_str()?;
        let id = cookies
            .split(';')
            .find_map(|cookie| cookie.trim().strip_prefix("id="))
            .filter(|id| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .ok_or("no session")?;
        Ok(Self(format!("floor:{id}")))
    }
}
