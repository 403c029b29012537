//! The app's code never runs under a lock of the bridge.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use cloakroom::SessionLayer;
use cloakroom_core::MemoryStore;
use cloakroom_tower_sessions::v0_14::BridgeLayer;
use futures_util::FutureExt;
use http::Method;
use serde_json::Value;
use tests::user_agent::UserAgent;
use tower_sessions_014::Session;

/// An app whose closure that finds the user reads the session of the request again, and counts that.
fn app(reads: Arc<AtomicU32>) -> Router {
    let current = Arc::<Mutex<Option<Session>>>::default();
    let of_closure = Arc::clone(&current);
    let find = move |data: &HashMap<String, Value>| {
        let session = of_closure.lock().expect("no panic").clone();
        if let Some(session) = session.filter(|session| session.id().is_some()) {
            // Up to the lock of tower-sessions, which is held while a record is saved.
            drop(session.load().now_or_never());
            reads.fetch_add(1, Ordering::Relaxed);
        }
        Some(data.get("user")?.as_str()?.into())
    };
    let sign_in = async move |session: Session| {
        *current.lock().expect("no panic") = Some(session.clone());
        session.insert("user", "ada").await.expect("it is JSON");
        session.save().await.expect("it is stored");
        session.insert("mark", 1).await.expect("it is JSON");
        session.save().await.expect("it is stored");
    };
    let who = async |session: cloakroom::Session| format!("{:?}", session.user());
    Router::new()
        .route("/sign-in", post(sign_in))
        .route("/who", get(who))
        .layer(BridgeLayer::new().with_user(find))
        .layer(SessionLayer::new(MemoryStore::default()))
}

#[test]
fn the_closure_that_finds_the_user_may_use_the_session() {
    let (done, waits) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime starts");
        let reads = Arc::<AtomicU32>::default();
        let app = app(Arc::clone(&reads));
        let user = runtime.block_on(async {
            let mut browser = UserAgent::new();
            browser.post(&app, "/sign-in").await;
            let who = browser.visit(&app, Method::GET, "/who").await;
            who.text().to_owned()
        });
        done.send((user, reads.load(Ordering::Relaxed)))
    });
    let (user, reads) = waits
        .recv_timeout(Duration::from_secs(60))
        .expect("the app's code waits for a lock that is held while it runs");
    assert_eq!(user, "Some(UserId(ada))");
    assert!(reads > 0);
}
