//! Extractors of both libraries in one request.

use std::time::SystemTime;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use cloakroom::Session;
use cloakroom_tower_sessions::{v0_14, v0_15};
use tests::generous;
use tests::redis::RedisServer;
use time::OffsetDateTime;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tower_sessions_014::Session as Session14;
use tower_sessions_015::{Expiry, Session as Session15};

use crate::browser::Browser;
use crate::servers::Redis;

async fn app(redis: &Redis, routes: Router) -> Router {
    routes
        .layer(v0_14::BridgeLayer::new())
        .layer(v0_15::BridgeLayer::new())
        .layer(generous::layer(redis.store().await))
}

async fn three_write(native: Session, one: Session14, two: Session15) {
    native.insert("native", 1).expect("the session works");
    one.insert("one", 2).await.expect("the session works");
    two.insert("two", 3).await.expect("the session works");
}

async fn three_read(native: Session, one: Session14, two: Session15) -> String {
    let mut seen = Vec::new();
    for key in ["native", "one", "two"] {
        seen.push(native.get::<u32>(key).expect("the session works"));
        seen.push(one.get(key).await.expect("the session works"));
        seen.push(two.get(key).await.expect("the session works"));
    }
    let seen: Vec<_> = seen.into_iter().map(Option::unwrap_or_default).collect();
    format!("{seen:?}")
}

/// In a stored session, each extractor sees saved changes of the others.
async fn hand_over(native: Session, one: Session14, two: Session15) {
    native.insert("native", 4).expect("the session works");
    assert_eq!(
        one.get::<u32>("native").await.expect("the session works"),
        Some(4)
    );
    one.insert("one", 5).await.expect("the session works");
    one.save().await.expect("the session works");
    assert_eq!(
        native.get::<u32>("one").expect("the session works"),
        Some(5)
    );
    assert_eq!(
        two.get::<u32>("one").await.expect("the session works"),
        Some(5)
    );
}

#[tokio::test]
async fn all_session_types_share_one_session() {
    let redis = Redis::start();
    let routes = Router::new()
        .route("/write", get(three_write))
        .route("/read", get(three_read))
        .route("/hand", get(hand_over));
    let app = app(&redis, routes).await;
    let mut browser = Browser::new(&app);
    browser.text("/write").await;
    assert_eq!(browser.text("/read").await, "[1, 1, 1, 2, 2, 2, 3, 3, 3]");
    browser.text("/hand").await;
    assert_eq!(browser.text("/read").await, "[4, 4, 4, 5, 5, 5, 3, 3, 3]");
    assert_eq!(sessions(&redis.0), 1);
}

async fn destroy_over_edits(native: Session, theirs: Session15) {
    theirs
        .insert("signed-in", true)
        .await
        .expect("the session works");
    native.destroy().await.expect("the session works");
}

#[tokio::test]
async fn destroy_discards_edits_of_a_bridged_session() {
    let redis = Redis::start();
    let routes = Router::new()
        .route("/write", get(three_write))
        .route("/read", get(three_read))
        .route("/destroy", get(destroy_over_edits));
    let app = app(&redis, routes).await;
    let mut browser = Browser::new(&app);
    browser.text("/write").await;
    browser.text("/destroy").await;
    assert_eq!(browser.cookie(), None);
    assert_eq!(browser.text("/read").await, "[0, 0, 0, 0, 0, 0, 0, 0, 0]");
}

async fn keep(session: Session15, State(kept): State<UnboundedSender<Session15>>) {
    session.insert("n", 1).await.expect("the session works");
    kept.send(session).expect("the session works");
}

async fn read_n(session: Session15) -> String {
    let n: Option<u32> = session.get("n").await.expect("the session works");
    format!("{n:?}")
}

#[tokio::test]
async fn after_its_request_a_bridged_session_is_updated_but_never_created_or_renewed() {
    let redis = Redis::start();
    let (sender, mut kept) = unbounded_channel();
    let routes = Router::new()
        .route("/keep", get(keep))
        .route("/read", get(read_n))
        .with_state(sender);
    let app = app(&redis, routes).await;
    let mut browser = Browser::new(&app);
    browser.text("/keep").await;
    let late = kept.recv().await.unwrap();
    late.insert("n", 2).await.unwrap();
    late.save().await.unwrap();
    assert_eq!(browser.text("/read").await, "Some(2)");

    browser.text("/keep").await;
    let late = kept.recv().await.unwrap();
    assert!(late.cycle_id().await.is_err());
    assert_eq!(browser.text("/read").await, "Some(1)");

    browser.text("/keep").await;
    let late = kept.recv().await.unwrap();
    late.flush().await.unwrap();
    assert_eq!(browser.clone().text("/read").await, "None");
    late.insert("n", 3).await.unwrap();
    assert!(late.save().await.is_err());
    assert_eq!(browser.text("/read").await, "None");
}

async fn sign_in(native: Session) {
    native.sign_in("ada").await.expect("the session works");
    native.insert("cart", "shoes").expect("the session works");
}

async fn who(native: Session) -> String {
    let cart: Option<String> = native.get("cart").expect("the session works");
    format!("{:?} {:?} {cart:?}", native.user(), native.deadline())
}

async fn cycle(theirs: Session15) {
    theirs.cycle_id().await.expect("the session works");
}

async fn cycle_and_fail(theirs: Session15) -> StatusCode {
    theirs.cycle_id().await.expect("the session works");
    StatusCode::INTERNAL_SERVER_ERROR
}

#[tokio::test]
async fn cycle_id_renews_and_keeps_user_and_deadline() {
    let redis = Redis::start();
    let routes = Router::new()
        .route("/in", get(sign_in))
        .route("/who", get(who))
        .route("/cycle", get(cycle))
        .route("/fail", get(cycle_and_fail));
    let app = app(&redis, routes).await;
    let mut browser = Browser::new(&app);
    browser.text("/in").await;
    let who = browser.text("/who").await;
    assert!(who.contains("ada") && who.contains("shoes"), "{who}");
    let before = browser.clone();
    browser.text("/cycle").await;
    assert_ne!(browser.cookie(), before.cookie());
    assert_eq!(browser.text("/who").await, who);

    // Under their own layer the session would be lost here.
    assert_eq!(browser.get("/fail").await.status, 500);
    assert_eq!(browser.text("/who").await, who);
}

async fn until(theirs: Session15, Path(seconds): Path<i64>) {
    let at = OffsetDateTime::now_utc() + time::Duration::seconds(seconds);
    theirs.set_expiry(Some(Expiry::AtDateTime(at)));
}

async fn left(native: Session) -> String {
    let left = native
        .deadline()
        .map(|at| at.duration_since(SystemTime::now()));
    let left = left.map(|left| left.expect("a live session").as_secs());
    left.unwrap_or_default().to_string()
}

#[tokio::test]
async fn an_expiry_at_a_date_is_the_deadline() {
    let redis = Redis::start();
    let routes = Router::new()
        .route("/write", get(three_write))
        .route("/until/{seconds}", get(until))
        .route("/left", get(left));
    let app = app(&redis, routes).await;
    let mut browser = Browser::new(&app);
    browser.text("/write").await;
    browser.text("/until/1000").await;
    let left: u64 = browser.text("/left").await.parse().unwrap();
    assert!((900..=1000).contains(&left), "{left}");
    browser.text("/until/-1").await;
    assert_eq!(browser.cookie(), None);
    assert_eq!(sessions(&redis.0), 0);
}

const FLOAT: f64 = 117.633_311_394_000_17;

/// tower-sessions converts a value to JSON before a store sees it, so what is not a number any more is `null`.
async fn write_values(theirs: Session15) {
    theirs
        .insert("float", FLOAT)
        .await
        .expect("the session works");
    theirs
        .insert("nan", f64::NAN)
        .await
        .expect("the session works");
    theirs
        .insert("none", None::<String>)
        .await
        .expect("the session works");
}

async fn read_values(native: Session, theirs: Session15) {
    assert_eq!(
        theirs.get::<f64>("float").await.expect("the session works"),
        Some(FLOAT)
    );
    assert_eq!(
        native.get::<f64>("float").expect("the session works"),
        Some(FLOAT)
    );
    assert_eq!(native.get::<f64>("nan").expect("it is absent"), None);
    assert_eq!(native.get::<String>("none").expect("it is absent"), None);
}

/// Nested more deeply than it could be read.
async fn write_too_deep(theirs: Session15) {
    let deep = (0..200).fold(serde_json::Value::Null, |inner, _| vec![inner].into());
    theirs
        .insert_value("deep", deep)
        .await
        .expect("it is in memory");
}

#[tokio::test]
async fn values_come_back_in_both_libraries_or_are_an_error_response() {
    let routes = Router::new()
        .route("/write", get(write_values))
        .route("/read", get(read_values))
        .route("/deep", get(write_too_deep));
    let redis = Redis::start();
    let mut browser = Browser::new(&app(&redis, routes).await);
    for (path, status) in [
        ("/write", 200),
        ("/read", 200),
        ("/deep", 500),
        ("/read", 200),
    ] {
        assert_eq!(browser.get(path).await.status, status, "{path}");
    }
    let store = v0_15::TowerSessionsStore::new(redis.store().await);
    let layer = tower_sessions_015::SessionManagerLayer::new(store);
    let routes = Router::new().route("/deep", get(write_too_deep));
    let mut browser = Browser::new(&routes.layer(layer));
    assert_eq!(browser.get("/deep").await.status, 500);
}

async fn too_large(session: Session15) {
    session
        .insert("n", "n".repeat(1 << 20))
        .await
        .expect("the session works");
}

#[tokio::test]
async fn an_oversized_bridged_session_is_an_error_response() {
    let redis = Redis::start();
    let routes = Router::new().route("/large", get(too_large));
    let response = Browser::new(&app(&redis, routes).await).get("/large").await;
    assert!(response.status >= 500, "{response:?}");
    assert!(response.set_cookies.is_empty());
}

/// The number of live sessions in Redis: tombstones expire within a minute.
fn sessions(redis: &RedisServer) -> usize {
    let keys = redis.keys_with_ttl();
    let minute = std::time::Duration::from_secs(60);
    let live = keys
        .iter()
        .filter(|(_, ttl)| ttl.is_some_and(|ttl| ttl > minute));
    live.count()
}
