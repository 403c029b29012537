//! Measures what a request costs with a near cache and without one: through axum and the layer, without a
//! network between client and app.
//!
//! `cargo run --release -p measure --bin near_cache_requests` prints the CPU time of the process per request,
//! with 64 requests at once. With the arguments `near` or `plain`, a route and a number, one thread sends that
//! many requests in `requests`, for a profiler: `valgrind --tool=callgrind
//! --toggle-collect='*near_cache_requests::requests*' target/release/near_cache_requests near read 1000`

use std::env;
use std::error::Error;
use std::fs;
use std::io::{Write, stdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use cloakroom::{Session, SessionError, SessionLayer, Store};
use cloakroom_redis::{NearCache, RedisStore};
use http::header::{COOKIE, SET_COOKIE};
use http::{Request, StatusCode};
use tests::redis::RedisServer;
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tower::ServiceExt;

/// `bare` is the route `none` without the layer. A sign-in has no cookie.
const ROUTES: [&str; 5] = ["bare", "none", "read", "write", "sign-in"];

/// How many requests are averaged, and how many of them come before.
const TIMES: u64 = 100_000;
const WARM_UP: u64 = 2000;

/// How many requests are sent at once, each of another session.
const AT_ONCE: usize = 64;

/// How long a command may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// The unit of CPU times in `/proc`, as Linux has it on all usual machines.
const TICK: Duration = Duration::from_millis(10);

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    let redis = RedisServer::start();
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    if let [store, route, times] = &*args {
        let app = runtime.block_on(app(&redis, store == "near"))?;
        return profiled(&app, route, times.parse()?);
    }
    let mut table =
        String::from("| CPU time per request | without a near cache | with it |\n|---|---|---|\n");
    let apps = [false, true].map(|near| runtime.block_on(app(&redis, near)));
    let [plain, near] = apps;
    let (plain, near) = (plain?, near?);
    for route in ROUTES {
        let mut took = [Duration::ZERO; 2];
        for (took, app) in took.iter_mut().zip([&plain, &near]) {
            runtime.block_on(concurrent(app, route, WARM_UP))?;
            let began = cpu_time()?;
            runtime.block_on(concurrent(app, route, TIMES))?;
            *took = cpu_time()? - began;
        }
        let [plain, near] = took.map(|took| took.as_secs_f64() * 1e6 / TIMES as f64);
        table.push_str(&format!("| {route} | {plain:.1} µs | {near:.1} µs |\n"));
    }
    stdout().write_all(table.as_bytes())?;
    Ok(())
}

/// Sends requests on a thread of their own: the tasks of the near cache run on others.
fn profiled(app: &Router, route: &str, times: u64) -> Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let cookie = runtime.block_on(begin(app))?;
    for times in [WARM_UP, times] {
        runtime.block_on(requests(app, route, &cookie, times))?;
    }
    Ok(())
}

async fn app(redis: &RedisServer, with_near_cache: bool) -> Result<Router> {
    let store = RedisStore::builder(redis.url(), "cloakroom").with_command_timeout(PATIENCE);
    let store = store.connect().await?;
    if !with_near_cache {
        return Ok(router(store));
    }
    let near = NearCache::new(store);
    while !near.stats().coherent {
        sleep(Duration::from_millis(1)).await;
    }
    Ok(router(near))
}

fn router(store: impl Store) -> Router {
    let layer = SessionLayer::builder(store).with_store_timeout(PATIENCE);
    Router::new()
        .route("/none", get(async || "hello"))
        .route("/read", get(read))
        .route("/write", get(write))
        .route("/sign-in", get(sign_in))
        .layer(layer.build().expect("it is valid"))
        .route("/bare", get(async || "hello"))
}

async fn read(session: Session) -> std::result::Result<&'static str, SessionError> {
    session.get::<u64>("number")?;
    Ok("hello")
}

async fn write(session: Session) -> std::result::Result<&'static str, SessionError> {
    session.update("number", |number: Option<u64>| number.unwrap_or(0) + 1)?;
    Ok("hello")
}

async fn sign_in(session: Session) -> std::result::Result<&'static str, SessionError> {
    static USERS: AtomicU64 = AtomicU64::new(1000);
    session
        .sign_in(USERS.fetch_add(1, Ordering::Relaxed))
        .insert("name", "Ada Lovelace")?
        .insert("csrf", "Zm9vYmFyYmF6cXV4Zm9vYmFy")?
        .insert("roles", ["member", "editor"])?
        .insert("number", 1)?
        .await?;
    Ok("hello")
}

/// Returns the cookie of a new session with five entries.
async fn begin(app: &Router) -> Result<String> {
    let request = Request::get("/sign-in").body(Body::empty())?;
    let response = app.clone().oneshot(request).await?;
    let cookie = response.headers()[SET_COOKIE].to_str()?;
    let cookie = cookie.split(';').next().ok_or("the cookie has no value")?;
    Ok(cookie.to_owned())
}

async fn concurrent(app: &Router, route: &str, times: u64) -> Result<()> {
    let (app, route) = (Arc::new(app.clone()), Arc::<str>::from(route));
    let mut workers = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (app, route) = (Arc::clone(&app), Arc::clone(&route));
        workers.spawn(async move {
            let cookie = begin(&app).await?;
            requests(&app, &route, &cookie, times / AT_ONCE as u64).await
        });
    }
    while let Some(worked) = workers.join_next().await {
        worked??;
    }
    Ok(())
}

/// Sends requests one after the other.
#[inline(never)]
async fn requests(app: &Router, route: &str, cookie: &str, times: u64) -> Result<()> {
    for _ in 0..times {
        let mut request = Request::get(format!("/{route}"));
        if route != "sign-in" {
            request = request.header(COOKIE, cookie);
        }
        let response = app.clone().oneshot(request.body(Body::empty())?).await?;
        if response.status() != StatusCode::OK {
            return Err(format!("{route}: {}", response.status()).into());
        }
        // As after a response that is sent.
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// The CPU time of this process, of all its threads.
fn cpu_time() -> Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').ok_or("unexpected text")?;
    let mut ticks = 0;
    for field in fields.split_whitespace().skip(11).take(2) {
        ticks += field.parse::<u32>()?;
    }
    Ok(TICK * ticks)
}
