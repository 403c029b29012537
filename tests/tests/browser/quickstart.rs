//! The quickstart example of the README.

use http::StatusCode;
use tests::client::Client;
use tests::program::{self, Running};
use tests::redis::RedisServer;

#[tokio::test]
async fn the_quickstart_counts_visits_per_browser_in_redis() {
    let redis = RedisServer::start();
    let address = format!("127.0.0.1:{}", program::free_port());
    let mut command = program::command("quickstart");
    command.env("REDIS_URL", redis.url());
    command.env("LISTEN", &address);
    let running = Running::start(&mut command, &[&address]).await;

    let mut browser = Client::new(&address);
    for visit in 1..=3 {
        let response = browser.get("/").await;
        assert_eq!(response.status, StatusCode::OK);
        assert_eq!(response.body, format!("You have been here {visit} times"));
    }
    let mut other = Client::new(&address);
    let response = other.get("/").await;
    assert_eq!(response.body, "You have been here 1 times");
    let attributes = "; Path=/; HttpOnly; Secure; SameSite=Lax";
    for attribute in attributes.split("; ").skip(1) {
        assert!(response.header("set-cookie").contains(attribute));
    }

    let keys = redis.keys_with_ttl();
    assert_eq!(keys.len(), 2);
    assert!(keys.iter().all(|(_, ttl)| ttl.is_some()));

    // Sessions survive a restart of the program: they are in Redis.
    drop(running);
    let _running = Running::start(&mut command, &[&address]).await;
    let response = browser.get("/").await;
    assert_eq!(response.body, "You have been here 4 times");
}
