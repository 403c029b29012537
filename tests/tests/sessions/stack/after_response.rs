//! Sessions after the response: streaming bodies, WebSockets, spawned tasks.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::extract::ws::{Message, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use cloakroom::{Destroyed, Reloaded, Saved, Session, SessionError, SessionErrorKind};
use futures_util::{SinkExt, StreamExt, stream};
use http::header::{COOKIE, SET_COOKIE};
use http_body_util::BodyExt;
use tests::app::{Fixture, Handler};
use tests::browser::CookieChange;
use tests::faulty_store::Fault::Before;
use tests::faulty_store::Gate;
use tests::faulty_store::Verb::{Create, Load, Update};
use tokio::net::TcpListener;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

#[tokio::test]
async fn a_streaming_body_starts_after_the_save_and_cannot_edit() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser();
    let gate = Gate::new();
    let at_gate = gate.clone();
    let handler = |session: Session| async move {
        session.insert("n", 1)?;
        let body = stream::once(async move {
            at_gate.pass().await;
            let error = session.insert("n", 2).unwrap_err();
            assert_eq!(error.kind(), SessionErrorKind::ResponseSent);
            assert_eq!(session.save().await.unwrap(), Saved::Unchanged);
            Ok::<_, SessionError>(Bytes::from(error.to_string()))
        });
        Ok(Body::from_stream(body))
    };
    let mut request = Request::new(Body::empty());
    request.extensions_mut().insert(Handler::session(handler));
    let response = browser.start(request).await;
    assert_eq!(
        fixture.store.take_verbs(),
        [Create],
        "saved before the headers leave"
    );
    assert!(response.headers().contains_key(SET_COOKIE));
    gate.open();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&body).contains("Session::detach"));
    assert_eq!(browser.read().await, Some(1));
}

/// A detached handle sees and makes changes of the session.
#[tokio::test]
async fn a_detached_session_saves_and_reloads() {
    let fixture = Fixture::memory();
    let (mut browser, mut detached) = fixture.detached().await;
    assert_eq!(detached.save().await.unwrap(), Saved::Unchanged);
    detached.insert("progress", 1).unwrap();
    browser
        .request(|session| async move { session.insert("n", 2) })
        .await;
    fixture.clear_verbs();
    assert_eq!(detached.reload().await.unwrap(), Reloaded::Live);
    assert_eq!(detached.get::<u32>("n").unwrap(), Some(2));
    assert_eq!(detached.get::<u32>("progress").unwrap(), Some(1));
    assert_eq!(detached.save().await.unwrap(), Saved::Stored);
    assert_eq!(fixture.store.take_verbs(), [Load, Update]);
    assert_eq!(browser.read().await, Some(2));
}

#[tokio::test]
async fn a_detached_session_edits_like_its_request_and_can_end() {
    let fixture = Fixture::memory();
    let (mut browser, mut detached) = fixture.detached().await;
    assert_eq!(detached.increment("n", 2).unwrap(), 3);
    detached.push("list", "a".to_owned()).unwrap();
    detached.merge("list", vec!["b".to_owned()]).unwrap();
    detached.insert("other", 1).unwrap();
    detached.remove("other").unwrap();
    assert!(detached.contains("list") && !detached.contains("other"));
    assert_eq!(detached.keys(), ["list", "n"]);
    assert!(detached.user().is_none() && detached.user_id::<i64>().unwrap().is_none());
    assert!(detached.expires_at() < detached.deadline());
    assert_eq!(detached.save().await.unwrap(), Saved::Stored);
    assert_eq!(browser.read().await, Some(3));
    detached.clear().unwrap();
    assert!(detached.keys().is_empty());
    assert_eq!(detached.destroy().await.unwrap(), Destroyed::Ended);
    assert!(detached.id().is_none());
    assert_eq!(browser.read().await, None);
}

#[tokio::test]
async fn a_detached_session_never_creates() {
    let fixture = Fixture::memory();
    let mut browser = fixture.browser_with_session().await;
    let (sender, receiver) = tokio::sync::oneshot::channel();
    browser
        .request(|session| async move {
            assert!(sender.send([session.detach()?, session.detach()?]).is_ok());
            Ok(())
        })
        .await;
    let [mut first, mut second] = receiver.await.unwrap();
    browser
        .request(|session| async move { session.destroy().await.map(|_| ()) })
        .await;
    fixture.clear_verbs();
    first.insert("n", 5).unwrap();
    assert_eq!(first.save().await.unwrap(), Saved::Ended);
    assert_eq!(second.reload().await.unwrap(), Reloaded::Ended);
    for session in [&mut first, &mut second] {
        session.insert("n", 6).unwrap();
        assert_eq!(session.save().await.unwrap(), Saved::Ended);
        assert_eq!(session.reload().await.unwrap(), Reloaded::Ended);
        let error = session.update_now("n", |n: Option<u32>| n.unwrap_or(0));
        assert_eq!(error.await.unwrap_err().kind(), SessionErrorKind::Ended);
    }
    assert_eq!(fixture.store.take_verbs(), [Update, Load]);
}

#[tokio::test]
async fn an_unstored_session_cannot_be_detached() {
    let fixture = Fixture::memory();
    let response = fixture
        .browser()
        .request(|session| async move {
            session.insert("n", 1)?;
            assert!(session.detach().is_err());
            session.save().await?;
            let detached = session.detach()?;
            assert_eq!(detached.id(), session.id());
            Ok(())
        })
        .await;
    fixture.assert_response(&response, 200, &[Create], CookieChange::Set);
}

/// Each call has its own time limit, so that a long-lived handle does not exhaust it.
#[tokio::test(start_paused = true)]
async fn each_call_of_a_detached_session_has_its_own_time_limit() {
    let fixture = Fixture::memory();
    let (_, mut detached) = fixture.detached().await;
    for round in 2..5 {
        let gate = Gate::new();
        fixture.store.next(Update, Before(gate.clone()));
        let opener = async {
            gate.reached().await;
            tokio::time::sleep(Duration::from_millis(600)).await;
            gate.open();
        };
        let update = detached.update_now("n", |n: Option<u32>| n.unwrap_or(0) + 1);
        let (updated, ()) = tokio::join!(update, opener);
        assert_eq!(updated.unwrap(), round);
    }
    assert_eq!(detached.save().await.unwrap(), Saved::Unchanged);
}

#[tokio::test]
async fn tasks_that_outlive_their_request_cannot_edit() {
    let fixture = Fixture::memory();
    let (sender, receiver) = tokio::sync::oneshot::channel();
    fixture
        .browser()
        .request(|session| async move {
            drop(sender.send(session));
            Ok(())
        })
        .await;
    let session = receiver.await.unwrap();
    let closed = SessionErrorKind::ResponseSent;
    assert_eq!(session.insert("n", 1).unwrap_err().kind(), closed);
    assert_eq!(session.renew().unwrap_err().kind(), closed);
    assert_eq!(session.clear().unwrap_err().kind(), closed);
    assert_eq!(session.remove("n").unwrap_err().kind(), closed);
    let update = session.update("n", |n: Option<u32>| n.unwrap_or(0));
    assert_eq!(update.unwrap_err().kind(), closed);
    assert_eq!(session.save().await.unwrap(), Saved::Unchanged);
    assert_eq!(fixture.store.take_verbs(), []);
}

/// Responds to "count" with an incremented and saved counter, and to "look" with the result of a reload.
async fn chat(session: Session, upgrade: WebSocketUpgrade) -> Result<Response, SessionError> {
    session.insert("n", 1)?;
    session.save().await?;
    let mut detached = session.detach()?;
    Ok(upgrade.on_upgrade(async move |mut socket| {
        while let Some(Ok(Message::Text(text))) = socket.recv().await {
            let response = if text == "look" {
                format!("{:?}", detached.reload().await)
            } else {
                let count = detached.update("n", |n: Option<u32>| n.unwrap_or(0) + 1);
                format!("{count:?} {:?}", detached.save().await)
            };
            if socket.send(Message::text(response)).await.is_err() {
                return;
            }
        }
    }))
}

#[tokio::test]
async fn a_web_socket_sets_its_cookie_on_upgrade_and_notices_the_end() {
    let fixture = Fixture::memory();
    let app = Router::new()
        .route("/chat", get(chat))
        .layer(fixture.layer());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move { axum::serve(listener, app).await });

    let url = format!("ws://{address}/chat");
    let (mut socket, response) = connect_async(url.into_client_request().unwrap())
        .await
        .unwrap();
    assert_eq!(response.status(), 101);
    let cookie = response.headers()[SET_COOKIE].to_str().unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let mut ask = async |text: &str| {
        socket.send(tungstenite::Message::text(text)).await.unwrap();
        let response = socket.next().await.unwrap().unwrap();
        response.into_text().unwrap().to_string()
    };
    assert_eq!(ask("count").await, "Ok(2) Ok(Stored)");
    assert_eq!(ask("look").await, "Ok(Live)");

    let mut browser = fixture.browser();
    let mut sign_out = Request::new(Body::empty());
    sign_out
        .headers_mut()
        .insert(COOKIE, cookie.parse().unwrap());
    let handler = |session: Session| async move {
        assert_eq!(session.get::<u32>("n")?, Some(2));
        session.destroy().await.map(|_| ())
    };
    sign_out.extensions_mut().insert(Handler::session(handler));
    assert_eq!(
        browser.send(sign_out).await.cookie_change(),
        CookieChange::Removed
    );
    assert_eq!(ask("count").await, "Ok(3) Ok(Ended)");
    assert_eq!(ask("look").await, "Ok(Ended)");
    server.abort();
}
