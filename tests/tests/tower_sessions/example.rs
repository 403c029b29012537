//! The axum-login example, run as its readers do.

use tests::client::Client;
use tests::program::{self, Running};
use tests::redis::RedisServer;

#[tokio::test]
async fn the_example_signs_in_shows_its_page_and_signs_out() {
    let redis = RedisServer::start();
    let address = format!("127.0.0.1:{}", program::free_port());
    let mut command = program::command("axum-login-example");
    command
        .env("REDIS_URL", redis.url())
        .env("LISTEN", &address);
    let _running = Running::start(&mut command, &[&address]).await;

    let mut browser = Client::new(&address);
    assert!(
        browser
            .get("/")
            .await
            .header("location")
            .starts_with("/login")
    );
    let sign_in = async |browser: &mut Client, password| {
        let form = [("name", "ada"), ("password", password)];
        browser.post("/login", &form).await
    };
    sign_in(&mut browser, "wrong").await;
    let page = browser.get("/login").await.body;
    assert!(page.contains("Wrong password."), "{page}");
    assert_eq!(
        sign_in(&mut browser, "password").await.header("location"),
        "/"
    );
    let page = browser.get("/").await.body;
    assert!(
        page.contains("You are signed in.") && page.contains("Hello, ada."),
        "{page}"
    );

    let mut copied = browser.clone();
    browser.post("/logout", &[]).await;
    assert_eq!(browser.cookie(), None);
    assert!(
        copied
            .get("/")
            .await
            .header("location")
            .starts_with("/login")
    );
}
