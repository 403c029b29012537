//! The baseline: what one would write by hand, with nothing between axum and fred.
//!
//! It lacks what makes a session library: concurrent updates are lost, and a slow request can bring back
//! a session after sign-out.

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

use super::Failed;
use super::common::{self, Entries, IDLE, page};
use crate::BoxError;
use crate::args::ServeArgs;

#[derive(Clone)]
struct Baseline {
    redis: Client,
    args: ServeArgs,
}

/// Whether Nagle's algorithm is on, as it is by default: small packets wait for the acknowledgement of
/// those before. Many commands then share a packet, which saves CPU on both sides, and adds latency on a
/// real network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nagle {
    On,
    Off,
}

pub(super) async fn app(args: ServeArgs, nagle: Nagle) -> Result<Router, BoxError> {
    let redis = Config::from_url(&args.url())?;
    let mut redis = Builder::from_config(redis);
    if nagle == Nagle::Off {
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
        .with_state(Baseline { redis, args }))
}

/// The same app in a layer that does nothing, to measure what axum itself does for any layer.
pub(super) async fn layered(args: ServeArgs) -> Result<Router, BoxError> {
    let app = app(args, Nagle::On).await?;
    Ok(app.layer(layer_fn(|inner| inner)))
}

async fn read(State(baseline): State<Baseline>, Key(key): Key) -> Result<String, Failed> {
    let entries = baseline.load(&key).await?;
    Ok(page(&entries.name, entries.visits))
}

async fn rolling(State(baseline): State<Baseline>, Key(key): Key) -> Result<String, Failed> {
    // fred has no method for it.
    let command = CustomCommand::new_static("GETEX", ClusterHash::FirstKey, false);
    let words: Vec<Value> = vec![key.into(), "PX".into(), millis().into()];
    let bytes: Vec<u8> = baseline.redis.custom(command, words).await?;
    let entries: Entries = serde_json::from_slice(&bytes)?;
    Ok(page(&entries.name, entries.visits))
}

async fn write(State(baseline): State<Baseline>, Key(key): Key) -> Result<String, Failed> {
    let mut entries = baseline.load(&key).await?;
    entries.visits += 1;
    baseline.save(&key, &entries).await?;
    Ok(page(&entries.name, entries.visits))
}

async fn sign_in(
    State(baseline): State<Baseline>,
) -> Result<([(HeaderName, String); 1], &'static str), Failed> {
    let (key, cookie) = new_session()?;
    baseline.save(&key, &Entries::new(baseline.args)).await?;
    Ok(([(SET_COOKIE, cookie)], "welcome"))
}

async fn hold(State(baseline): State<Baseline>, Key(key): Key) -> Result<String, Failed> {
    let entries = baseline.load(&key).await?;
    common::hold().await;
    Ok(page(&entries.name, entries.visits))
}

impl Baseline {
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

/// Draws the id of a new session. Returns its key and its cookie.
pub(super) fn new_session() -> Result<(String, String), Failed> {
    let mut id = [0; 16];
    getrandom::fill(&mut id)?;
    let id = format!("{:032x}", u128::from_be_bytes(id));
    let cookie = format!("id={id}; HttpOnly; SameSite=Lax; Secure; Path=/");
    Ok((format!("bench:{id}"), cookie))
}

pub(super) fn millis() -> i64 {
    i64::try_from(IDLE.as_millis()).unwrap_or(i64::MAX)
}

/// The key of the session whose id is in the cookie.
pub(super) struct Key(pub(super) String);

impl<S: Sync> FromRequestParts<S> for Key {
    type Rejection = Failed;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failed> {
        let cookies = parts.headers.get(COOKIE).ok_or("no cookie")?.to_str()?;
        let id = cookies
            .split(';')
            .find_map(|cookie| cookie.trim().strip_prefix("id="))
            .filter(|id| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .ok_or("no session")?;
        Ok(Self(format!("bench:{id}")))
    }
}
