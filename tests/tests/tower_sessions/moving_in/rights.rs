//! A user of Redis with no more rights than the store's front page lists.

use cloakroom::{Arrivals, days};
use cloakroom_redis::RedisStore;
use cloakroom_tower_sessions::migration::TowerSessionsRedis;
use tokio::task::JoinSet;

use super::apps::{key, logged_in, new_app, old_app};
use crate::servers::Redis;

/// What the front page lists for a user, and for sessions that move in.
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

/// Own keys and old ones come under different rules, so no command may ask for both.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rights_that_are_listed_suffice_in_company() {
    let redis = Redis::start();
    redis.0.command(&rights());
    let old = old_app(&redis).await;
    let builder = RedisStore::builder(redis.url()).with_username("shop");
    let store = builder.with_password("password").connect().await.unwrap();
    let theirs = TowerSessionsRedis::in_redis(&store);
    for theirs in [theirs.clone().with_inactivity(days(14)), theirs] {
        let new = new_app(store.clone(), Arrivals::beside(theirs, key()));
        let mut visits = JoinSet::new();
        for _ in 0..50 {
            let mut browser = logged_in(&old).await.at(&new);
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
