//! Concurrent edits.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use cloakroom::{Expiry, Session, days};
use cloakroom_core::Token;
use tests::generous;
use tokio::task::JoinSet;

use super::servers::{Servers, TRIALS, send};

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_edits_of_different_entries_are_both_kept() {
    let servers = Servers::start().await;
    for trial in 0..TRIALS {
        let cookie = servers.begin().await;
        let responses = servers
            .race(vec![
                (format!("/set/left/{trial}"), cookie.clone()),
                (format!("/set/right/{trial}"), cookie.clone()),
            ])
            .await;
        for (_, response) in responses {
            assert_eq!((response.status, response.cookie), (StatusCode::OK, None));
        }
        for key in ["left", "right"] {
            assert_eq!(servers.read(key, &cookie).await, trial.to_string());
        }
        assert_eq!(servers.read("began", &cookie).await, "1");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_concurrent_increments_are_all_kept() {
    let servers = Servers::start().await;
    let cookie = servers.begin().await;
    let responses = servers
        .race(vec![("/hit".to_owned(), cookie.clone()); 1000])
        .await;
    for (_, response) in &responses {
        assert_eq!(response.status, StatusCode::OK);
    }
    let (_, stored, _) = servers.only_key();
    assert!(stored.contains("\"hits\":1000"), "{stored}");
}

/// The stranger's session would share a lock with the contended one if there were 64 locks for all.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_writers_of_one_session_do_not_hold_up_a_stranger() {
    let last_bits = |cookie: &str| {
        let (_, token) = cookie.split_once('=').expect("a name and a value");
        let token = Token::parse(token).expect("it is a token");
        token.id().as_bytes()[15] % 64
    };
    let servers = Servers::start().await;
    let cookie = servers.begin().await;
    let stranger = loop {
        let other = servers.begin().await;
        if last_bits(&other) == last_bits(&cookie) {
            break other;
        }
    };
    let app = &servers.apps[0];
    let mut writers = JoinSet::new();
    for _ in 0..1000 {
        let (app, cookie) = (app.clone(), cookie.clone());
        writers.spawn(send(app, "/hit".to_owned(), Some(cookie)));
    }
    let mut served = 0;
    while !writers.is_empty() {
        let response = send(app.clone(), "/hit".to_owned(), Some(stranger.clone())).await;
        assert_eq!(response.status, StatusCode::OK);
        served += 1;
        while let Some(written) = writers.try_join_next() {
            assert_eq!(written.expect("no panic").status, StatusCode::OK);
        }
    }
    // Behind the thousand writers, the stranger would be served once or twice.
    assert!(served > 10, "{served}");
}

#[tokio::test(flavor = "multi_thread")]
async fn continuous_writers_do_not_starve_each_other() {
    let servers = Servers::start().await;
    let cookie = servers.begin().await;
    let mut clients = JoinSet::new();
    for index in 0..100 {
        let (app, cookie) = (servers.apps[index % 2].clone(), cookie.clone());
        clients.spawn(async move {
            for _ in 0..20 {
                let response = send(app.clone(), "/hit".to_owned(), Some(cookie.clone())).await;
                assert_eq!(response.status, StatusCode::OK);
            }
        });
    }
    while let Some(client) = clients.join_next().await {
        client.expect("every write succeeds in time");
    }
    let (_, stored, _) = servers.only_key();
    assert!(stored.contains("\"hits\":2000"), "{stored}");
}

#[tokio::test(flavor = "multi_thread")]
async fn take_once_gives_a_value_to_exactly_one_request() {
    let servers = Servers::start().await;
    for _ in 0..TRIALS / 4 {
        let cookie = servers.begin().await;
        let mut requests = vec![("/once/began".to_owned(), cookie.clone()); 8];
        // Concurrent writers make `take_once` retry.
        requests.push(("/hit".to_owned(), cookie.clone()));
        requests.push(("/hit".to_owned(), cookie.clone()));
        let responses = servers.race(requests).await;
        let given = responses
            .iter()
            .filter(|(_, response)| response.body == "1")
            .count();
        assert_eq!(given, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_concurrent_edit_and_expiry_change_are_both_kept() {
    let servers = Servers::start().await;
    let expiry = Expiry::idle(days(7)).absolute(days(30));
    let remember = move |session: Session| async move { session.set_expiry(expiry) };
    let store = generous::connect(&servers.redis.url(), "cloakroom")
        .await
        .expect("the server is running");
    let app = Router::new()
        .route("/remember", get(remember))
        .layer(generous::layer(store));
    for _ in 0..TRIALS / 4 {
        let cookie = servers.begin().await;
        let remember = send(app.clone(), "/remember".to_owned(), Some(cookie.clone()));
        let edit = servers.send(0, "/set/a/1", Some(&cookie));
        let (remembered, edited) = tokio::join!(remember, edit);
        assert_eq!(
            remembered.cookie.as_ref(),
            Some(&cookie),
            "the same token again"
        );
        assert_eq!(edited.cookie, None);
        assert_eq!(servers.read("a", &cookie).await, "1");
        let (key, _, ttl) = servers.only_key();
        assert!(ttl > days(6), "an edit keeps the chosen expiry: {ttl:?}");
        servers.redis.command(&["DEL", &key]);
    }
}
