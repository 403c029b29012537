//! What a test over HTTP would meet by chance only.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use axum::http::HeaderMap;

use super::second_factor::{CheckedCode, check_code};
use super::sign_in::{Checked, check};
use crate::app::{App, Config};
use crate::database::Database;
use crate::storage::Storage;

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The app, with a user.
async fn app(storage: &Storage) -> (App, i64) {
    let config = config();
    let database = Database::open(None).await.unwrap();
    let app = App::new(config, database, storage).unwrap();
    let ada = app.add_user("Ada", "ada-password", false).await.unwrap();
    (app, ada.unwrap())
}

fn config() -> Config {
    Config {
        url: "http://localhost:3000".to_owned(),
        provider: "http://127.0.0.1:3001".to_owned(),
        secret: "a secret of at least thirty-two bytes".to_owned(),
        recent_sign_in: Duration::from_secs(60),
        prints_mail: false,
    }
}

#[tokio::test]
async fn an_attempt_does_not_count_when_the_database_fails() {
    let (app, ada) = app(&Storage::memory()).await;
    let headers = HeaderMap::new();
    let at_code = async || check_code(&app, &headers, PEER, ada, "000000").await;
    let password = || "ada-password".to_owned();
    let at_password = async || check(&app, &headers, PEER, "Ada", password()).await;
    // These are counted.
    assert!(matches!(at_code().await, Ok(CheckedCode::Wrong)));
    assert!(matches!(at_password().await, Ok(Checked::Right(..))));
    app.database.close().await;
    for _ in 0..30 {
        assert!(at_code().await.is_err());
        assert!(at_password().await.is_err());
    }
}
