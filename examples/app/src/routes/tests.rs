//! What a test over HTTP would meet by chance only.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use axum::http::HeaderMap;
use cloakroom::testing::TestSession;
use cloakroom::{RevokedBy, Session};
use tokio::time::timeout;

use super::home::CART;
use super::second_factor::{CheckedCode, check_code};
use super::sign_in::{Checked, check, sign_in_unless_changed, take_over_cart, with_one_factor};
use crate::app::{App, Config};
use crate::database::{Cart, Database};
use crate::layers::sessions;
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
async fn a_name_that_is_taken_costs_no_hash() {
    let (app, _) = app(&Storage::memory()).await;
    let permits = app.passwords.occupy().await;
    let adding = app.add_user("ADA", "another-password", false);
    let taken = timeout(Duration::from_secs(20), adding).await;
    assert!(taken.expect("it waits for no permit").unwrap().is_none());
    drop(permits);
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

/// The session of a guest with a cart.
async fn guest(storage: &Storage) -> Session {
    let layer = sessions(storage, &config()).unwrap();
    let guest = TestSession::begin(&layer, |session| session.insert(CART, cart(1))).await;
    guest.unwrap().now().await.unwrap()
}

fn cart(count: u32) -> Cart {
    Cart::from([("Beret".to_owned(), count)])
}

#[tokio::test]
async fn a_sign_in_ends_if_its_password_changes_before_it_is_stored() {
    let storage = Storage::memory();
    let (app, ada) = app(&storage).await;
    let sessions = sessions(&storage, &config()).unwrap().sessions();
    let headers = HeaderMap::new();
    let checked = check(&app, &headers, PEER, "Ada", "ada-password".to_owned()).await;
    let Ok(Checked::Right(checked, _)) = checked else {
        panic!("the password is right");
    };
    let sign_in = async |session: &Session| {
        let sign_in = with_one_factor(session, ada, false).unwrap();
        sign_in_unless_changed(&app, session, sign_in, &checked).await
    };
    assert!(matches!(sign_in(&guest(&storage).await).await, Ok(true)));
    assert_eq!(sessions.revoke_all(ada, RevokedBy::User).await.unwrap(), 1);

    app.database.set_password(ada, "another").await.unwrap();
    let session = guest(&storage).await;
    assert!(matches!(sign_in(&session).await, Ok(false)));
    assert!(session.user().is_none());
    assert_eq!(sessions.count(ada).await.unwrap(), 0);

    app.database.close().await;
    let session = guest(&storage).await;
    assert!(sign_in(&session).await.is_err());
    assert!(session.user().is_none());
    assert_eq!(sessions.count(ada).await.unwrap(), 0);
}

#[tokio::test]
async fn the_cart_goes_to_one_of_several_sign_ins_and_stays_if_a_session_ends() {
    let storage = Storage::memory();
    let (app, ada) = app(&storage).await;
    app.database.save_cart(ada, &cart(2)).await.unwrap();
    let signed_in = async || {
        let session = guest(&storage).await;
        session.sign_in(ada).await.unwrap();
        session
    };
    let (ended, one, two) = (signed_in().await, signed_in().await, signed_in().await);
    let sessions = sessions(&storage, &config()).unwrap().sessions();
    let id = ended.id().unwrap();
    sessions.revoke(ada, id).await.unwrap();
    assert!(take_over_cart(&app, &ended, ada).await.is_err());

    let (first, second) = tokio::join!(
        take_over_cart(&app, &one, ada),
        take_over_cart(&app, &two, ada),
    );
    assert!(first.is_ok() && second.is_ok());
    let carts = [one, two].map(|session| session.get(CART).unwrap());
    assert_eq!(carts, [Some(cart(3)), Some(cart(1))]);
}
