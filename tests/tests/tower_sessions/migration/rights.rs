//! A Redis user with the documented rights only.

use cloakroom::{Migration, days};
use cloakroom_tower_sessions::migration::TowerSessionsRedis;
use tokio::task::JoinSet;

use super::apps::{key, legacy_app, new_app, signed_in};
use crate::servers::Redis;
use tests::generous;

/// The documented rights of the user, with those for a migration.
fn rights() -> Vec<String> {
    let page = include_str!("../../../../crates/cloakroom-redis/src/lib.rs");
    let listed = |start: &str, end: char| {
        let from = page.find(start).expect("the front page lists it");
        let text = &page[from..];
        let length = text.find(end).expect("the front page lists it");
        text[..length].to_owned()
    };
    let own = listed("ACL SETUSER shop", '\n');
    let mut words: Vec<String> = own.split(' ').map(str::to_owned).collect();
    words.push(listed("(~??", '`'));
    words
}

/// New and legacy keys have different rights, so no merged command may read both.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documented_rights_suffice_for_merged_commands() {
    let redis = Redis::start();
    redis.0.command(&rights());
    let old = legacy_app(&redis).await;
    let builder = generous::redis(redis.url(), "cloakroom").with_username("shop");
    let store = builder.with_password("password").connect().await.unwrap();
    let theirs = TowerSessionsRedis::new(&store);
    for theirs in [theirs.clone().with_inactivity(days(14)), theirs] {
        let new = new_app(store.clone(), Migration::side_by_side(theirs, key()));
        let mut visits = JoinSet::new();
        for _ in 0..50 {
            let mut browser = signed_in(&old).await.at(&new);
            visits.spawn(async move {
                for _ in 0..10 {
                    assert_eq!(browser.text("/who").await, "ada");
                }
                browser.text("/logout").await
            });
        }
        assert!(visits.join_all().await.iter().all(|left| left == "Ended"));
    }
}
