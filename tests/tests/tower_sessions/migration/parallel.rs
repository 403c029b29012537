//! Many concurrent requests with one legacy cookie, during its migration.

use std::collections::BTreeSet;

use axum::Router;
use tokio::task::JoinSet;

use super::apps::{
    LEGACY, NEW, cutover, legacy_app, legacy_keys, new_keys, side_by_side, signed_in,
};
use crate::browser::Browser;
use crate::servers::Redis;

/// Sends a hundred concurrent requests to several servers. Returns the texts and the browsers.
async fn burst(browser: &Browser, servers: &[Router], path: &str) -> (Vec<String>, Vec<Browser>) {
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

async fn a_hundred_move_at_once(new: [Router; 2], redis: &Redis, browser: &Browser) {
    let (users, browsers) = burst(browser, &new, "/who").await;
    assert!(users.iter().all(|user| user == "ada"), "{users:?}");
    let cookies: BTreeSet<_> = browsers.iter().map(|one| &one.cookies[NEW]).collect();
    assert_eq!(cookies.len(), 1);
    assert_eq!(new_keys(&redis.0).len(), 1);
    let mut one = browsers[0].with_only(NEW);
    assert_eq!(one.text("/get/cart").await, "hat");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_concurrent_requests_side_by_side_create_one_session() {
    let redis = Redis::start();
    let browser = signed_in(&legacy_app(&redis).await).await;
    let servers = [side_by_side(&redis).await, side_by_side(&redis).await];
    a_hundred_move_at_once(servers, &redis, &browser).await;
    assert_eq!(legacy_keys(&redis.0).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_concurrent_requests_after_cutover_create_one_session() {
    let redis = Redis::start();
    let browser = signed_in(&legacy_app(&redis).await).await;
    let servers = [cutover(&redis).await, cutover(&redis).await];
    a_hundred_move_at_once(servers, &redis, &browser).await;
    assert!(legacy_keys(&redis.0).is_empty());
}

/// During the rollout of the cutover, servers of both phases are running.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_concurrent_requests_in_both_phases_create_one_session() {
    for _ in 0..5 {
        let redis = Redis::start();
        let browser = signed_in(&legacy_app(&redis).await).await;
        let servers = [side_by_side(&redis).await, cutover(&redis).await];
        a_hundred_move_at_once(servers.clone(), &redis, &browser).await;
        let (users, _) = burst(&browser, &servers, "/who").await;
        assert!(users.iter().all(|user| user == "ada"), "{users:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_edits_during_the_migration_are_all_kept() {
    let redis = Redis::start();
    let browser = signed_in(&legacy_app(&redis).await).await;
    let servers = [side_by_side(&redis).await, side_by_side(&redis).await];
    let (counts, browsers) = burst(&browser, &servers, "/count").await;
    assert_eq!(counts.len(), 100);
    let mut one = browsers[0].with_only(NEW);
    assert_eq!(one.text("/count").await, "101");
    assert_eq!(one.text("/who").await, "ada");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_out_in_the_legacy_app_during_the_migration_holds() {
    for round in 0..10 {
        let redis = Redis::start();
        let old = legacy_app(&redis).await;
        let browser = signed_in(&old).await;
        let servers = [side_by_side(&redis).await, side_by_side(&redis).await];
        let mut leaving = browser.at(&old);
        let (_, (users, browsers)) = tokio::join!(
            async move {
                for _ in 0..round {
                    tokio::task::yield_now().await;
                }
                leaving.text("/logout").await
            },
            burst(&browser, &servers, "/who")
        );
        assert!(users.iter().all(|user| user == "ada" || user == "nobody"));
        for mut one in browsers {
            assert_eq!(one.text("/who").await, "nobody");
        }
        assert_eq!(browser.at(&servers[0]).text("/who").await, "nobody");
        assert!(browser.cookies.contains_key(LEGACY));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_out_in_the_new_app_during_the_migration_holds() {
    for round in 0..10 {
        let redis = Redis::start();
        let browser = signed_in(&legacy_app(&redis).await).await;
        let servers = [side_by_side(&redis).await, side_by_side(&redis).await];
        let mut leaving = browser.at(&servers[1]);
        let (left, (users, browsers)) = tokio::join!(
            async move {
                for _ in 0..round {
                    tokio::task::yield_now().await;
                }
                leaving.text("/logout").await
            },
            burst(&browser, &servers, "/who")
        );
        assert_eq!(left, "Ended");
        assert!(users.iter().all(|user| user == "ada" || user == "nobody"));
        assert!(legacy_keys(&redis.0).is_empty());
        super::apps::forget_tombstones(&redis.0);
        for mut one in browsers {
            assert_eq!(one.text("/who").await, "nobody");
        }
    }
}
