//! Many requests with one old cookie, at the moment of the move.

use std::collections::BTreeSet;

use axum::Router;
use tokio::task::JoinSet;

use super::apps::{NEW, OLD, after, beside, logged_in, new_keys, old_app, old_keys};
use crate::servers::Redis;
use crate::visitor::Visitor;

/// A hundred requests at once, spread over servers: the ids that they saw, and their new cookies.
async fn storm(browser: &Visitor, servers: &[Router], path: &str) -> (Vec<String>, Vec<Visitor>) {
    let mut requests = JoinSet::new();
    for number in 0..100 {
        let mut one = browser.at(&servers[number % servers.len()]);
        let path = path.to_owned();
        requests.spawn(async move {
            let text = one.text(&path).await;
            (text, one)
        });
    }
    requests.join_all().await.into_iter().unzip()
}

async fn a_hundred_move_at_once(new: [Router; 2], redis: &Redis, browser: &Visitor) {
    let (users, browsers) = storm(browser, &new, "/who").await;
    assert!(users.iter().all(|user| user == "ada"), "{users:?}");
    let cookies: BTreeSet<_> = browsers.iter().map(|one| &one.cookies[NEW]).collect();
    assert_eq!(cookies.len(), 1);
    assert_eq!(new_keys(&redis.0).len(), 1);
    let mut one = browsers[0].with_only(NEW);
    assert_eq!(one.text("/get/cart").await, "hat");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_requests_beside_the_old_version_make_one_session() {
    let redis = Redis::start();
    let browser = logged_in(&old_app(&redis).await).await;
    let servers = [beside(&redis).await, beside(&redis).await];
    a_hundred_move_at_once(servers, &redis, &browser).await;
    assert_eq!(old_keys(&redis.0).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_requests_after_the_old_version_make_one_session() {
    let redis = Redis::start();
    let browser = logged_in(&old_app(&redis).await).await;
    let servers = [after(&redis).await, after(&redis).await];
    a_hundred_move_at_once(servers, &redis, &browser).await;
    assert!(old_keys(&redis.0).is_empty());
}

/// While the last phase is rolled out, servers of both are at work.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_requests_at_servers_of_both_phases_make_one_session() {
    for _ in 0..5 {
        let redis = Redis::start();
        let browser = logged_in(&old_app(&redis).await).await;
        let servers = [beside(&redis).await, after(&redis).await];
        a_hundred_move_at_once(servers.clone(), &redis, &browser).await;
        let (users, _) = storm(&browser, &servers, "/who").await;
        assert!(users.iter().all(|user| user == "ada"), "{users:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_edits_at_the_moment_of_the_move_all_land() {
    let redis = Redis::start();
    let browser = logged_in(&old_app(&redis).await).await;
    let servers = [beside(&redis).await, beside(&redis).await];
    let (counts, browsers) = storm(&browser, &servers, "/count").await;
    assert_eq!(counts.len(), 100);
    let mut one = browsers[0].with_only(NEW);
    assert_eq!(one.text("/count").await, "101");
    assert_eq!(one.text("/who").await, "ada");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_out_at_the_old_version_amid_the_move_holds() {
    for round in 0..10 {
        let redis = Redis::start();
        let old = old_app(&redis).await;
        let browser = logged_in(&old).await;
        let servers = [beside(&redis).await, beside(&redis).await];
        let mut leaving = browser.at(&old);
        let (_, (users, browsers)) = tokio::join!(
            async move {
                for _ in 0..round {
                    tokio::task::yield_now().await;
                }
                leaving.text("/logout").await
            },
            storm(&browser, &servers, "/who")
        );
        assert!(users.iter().all(|user| user == "ada" || user == "nobody"));
        for mut one in browsers {
            assert_eq!(one.text("/who").await, "nobody");
        }
        assert_eq!(browser.at(&servers[0]).text("/who").await, "nobody");
        assert!(browser.cookies.contains_key(OLD));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_out_at_the_new_version_amid_the_move_holds() {
    for round in 0..10 {
        let redis = Redis::start();
        let browser = logged_in(&old_app(&redis).await).await;
        let servers = [beside(&redis).await, beside(&redis).await];
        let mut leaving = browser.at(&servers[1]);
        let (left, (users, browsers)) = tokio::join!(
            async move {
                for _ in 0..round {
                    tokio::task::yield_now().await;
                }
                leaving.text("/logout").await
            },
            storm(&browser, &servers, "/who")
        );
        assert_eq!(left, "Ended");
        assert!(users.iter().all(|user| user == "ada" || user == "nobody"));
        assert!(old_keys(&redis.0).is_empty());
        super::apps::forget_tombstones(&redis.0);
        for mut one in browsers {
            assert_eq!(one.text("/who").await, "nobody");
        }
    }
}
