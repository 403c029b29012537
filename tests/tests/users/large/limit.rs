//! A limit of five sessions meets a user who has very many.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cloakroom::{SessionEvent, SessionLimit};
use tests::app::app;
use tests::browser::Browser;
use tests::large_user::{Contents, IndexFormat};

use super::Far;
use crate::{eventually, sign_in, try_sign_in, whoami};

const FIVE: SessionLimit = SessionLimit::evict_oldest(5);

/// How long the end of ten thousand sessions in the background may take, in a debug build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

async fn until_five_are_left(far: &Far) {
    let began = Instant::now();
    while far.indexed() != 5 {
        assert!(began.elapsed() < PATIENCE, "{} are left", far.indexed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn a_new_limit_is_enforced(count: usize) {
    let far = Far::with_sessions(count);
    let layer = far.limited(FIVE).await;
    let mut browser = Browser::new(app(layer.clone()));
    let id = sign_in(&mut browser, "ada").await;
    until_five_are_left(&far).await;
    let left = layer.sessions().list("ada").await.expect("it lists");
    let mut left: Vec<_> = left.iter().map(cloakroom::SessionInfo::id).collect();
    left.sort();
    let mut expected = far.ids[count - 4..].to_vec();
    expected.push(id);
    assert_eq!(left, expected, "the newest are left");
    assert_eq!(whoami(&mut browser).await, "ada");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_ten_sessions_the_oldest_end() {
    a_new_limit_is_enforced(10).await;
}

/// The sign-in ends the 64 oldest, and a task the others.
#[tokio::test(flavor = "multi_thread")]
async fn of_ten_thousand_sessions_the_oldest_end() {
    a_new_limit_is_enforced(10_000).await;
}

/// Every one is published.
#[tokio::test(flavor = "multi_thread")]
async fn each_end_is_published_once() {
    let far = Far::with_sessions(500);
    let layer = far.limited(FIVE).await;
    let mut events = layer.sessions().events().expect("there is a bus");
    assert_eq!(events.next().await, Some(SessionEvent::Missed));
    sign_in(&mut Browser::new(app(layer)), "ada").await;
    let mut ended = Vec::new();
    while ended.len() < 496 {
        let next = tokio::time::timeout(PATIENCE, events.next()).await;
        if let Some(SessionEvent::Ended { id, reason, .. }) = next.expect("it is published") {
            assert_eq!(reason, cloakroom::EndReason::LimitExceeded);
            ended.push(id);
        }
    }
    ended.sort();
    assert_eq!(ended, far.ids[..496]);
}

/// How many commands the server runs for one sign-in, including those of scripts.
async fn commands_of_sign_in(far: &Far, browser: &mut Browser, status: u16) -> usize {
    let monitor = far.server.monitor();
    assert_eq!(try_sign_in(browser, "ada").await.status, status);
    monitor.recorded().len()
}

/// With ten times as many sessions, a sign-in costs the same.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_sign_in_does_is_limited() {
    for (limit, status) in [(FIVE, 200), (SessionLimit::reject_above(5), 409)] {
        for count in [1_000, 10_000, 50_000] {
            let far = Far::with_sessions(count);
            let mut browser = far.browser(limit).await;
            let commands = commands_of_sign_in(&far, &mut browser, status).await;
            // Up to 128 loads and 64 ends of three commands each; and what the task in the background has begun
            // when the response is there.
            assert!(commands < 1_500, "{commands} with {count} sessions");
            if status == 409 {
                assert_eq!(far.counted(), i64::try_from(count).expect("it is small"));
                assert!(commands < 150, "{commands} with {count} sessions");
            }
        }
    }
}

/// The server stops while the task runs: the sessions that it has not ended are found by the next sign-in.
#[tokio::test(flavor = "multi_thread")]
async fn the_next_sign_in_goes_on_after_a_crash() {
    let far = Arc::new(Far::with_sessions(3_000));
    let crashed = Arc::clone(&far);
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build();
        let runtime = runtime.expect("it starts");
        runtime.block_on(async {
            let mut browser = crashed.browser(FIVE).await;
            sign_in(&mut browser, "ada").await;
        });
        runtime.shutdown_background();
    });
    tokio::task::spawn_blocking(move || thread.join().expect("it does not panic"))
        .await
        .expect("it ends");
    let left = far.counted();
    assert!((6..3_000).contains(&left), "{left} are left");
    let mut browser = far.browser(FIVE).await;
    sign_in(&mut browser, "ada").await;
    let five = async || far.counted() == 5;
    eventually("all that exceed the limit are ended", five).await;
    // Those that the crashed server was ending are handed out again after the lease.
    tokio::time::sleep(cloakroom_core::index::LEASE).await;
    sign_in(&mut browser, "ada").await;
    until_five_are_left(&far).await;
}

/// A limit that rejects: entries without a session are removed, some with each attempt, until there is room.
#[tokio::test(flavor = "multi_thread")]
async fn entries_without_a_session_make_room_step_by_step() {
    let far = Far::with(1_500, Contents::Nothing, IndexFormat::Current);
    let mut browser = far.browser(SessionLimit::reject_above(5)).await;
    let mut left = far.indexed();
    for _ in 0..20 {
        let response = try_sign_in(&mut browser, "ada").await;
        if response.status == 200 {
            assert_eq!(whoami(&mut browser).await, "ada");
            return;
        }
        assert_eq!(response.status, 409);
        assert!(far.indexed() <= left - 128, "there is progress");
        left = far.indexed();
    }
    panic!("{left} entries are left");
}

/// Requests of other users, while ten thousand sessions of one user end.
#[tokio::test(flavor = "multi_thread")]
async fn other_users_are_served_meanwhile() {
    let far = Far::with_sessions(10_000);
    let layer = far.limited(FIVE).await;
    let mut bob = Browser::new(app(layer.clone()));
    sign_in(&mut bob, "bob").await;
    let (stop, served) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let requests = tokio::spawn({
        let (stop, served) = (Arc::clone(&stop), Arc::clone(&served));
        async move {
            while !stop.load(Ordering::Relaxed) {
                assert_eq!(whoami(&mut bob).await, "bob");
                served.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    sign_in(&mut Browser::new(app(layer)), "ada").await;
    assert!(far.counted() > 5, "they are still being ended");
    until_five_are_left(&far).await;
    stop.store(true, Ordering::Relaxed);
    requests.await.expect("every request is served");
    assert!(served.load(Ordering::Relaxed) > 10);
}
