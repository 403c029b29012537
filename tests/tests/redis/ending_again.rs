//! Ends that no replica confirmed, repeated.

use std::time::Duration;

use axum::Router;
use cloakroom::{
    RevokedBy, SessionError, SessionErrorKind, SessionId, SessionLayer, SessionLimit, Sessions,
};
use cloakroom_core::Store;
use cloakroom_core::store::Loaded;
use cloakroom_redis::RedisStore;
use http::StatusCode;
use tests::app::app;
use tests::browser::Browser;
use tests::generous;
use tests::topology::Replicated;
use tests::wait::within;
use tokio::time::sleep;

const PATIENCE: Duration = Duration::from_secs(20);

/// A primary and a replica, and a server of an app that waits for the replica.
struct Setup {
    servers: Replicated,
    sessions: Sessions,
    app: Router,
}

impl Setup {
    async fn start() -> Self {
        let servers = Replicated::start(1);
        let layer = generous::layer(connect(&servers).await);
        Self {
            servers,
            sessions: layer.sessions(),
            app: app(layer),
        }
    }

    /// Another connection to the primary.
    async fn store(&self) -> RedisStore {
        connect(&self.servers).await
    }

    /// Another server of the app.
    async fn server(&self) -> SessionLayer {
        generous::layer(self.store().await)
    }

    /// A browser that is signed in, and the session's id. The replica has the session.
    async fn signed_in(&self) -> (Browser, SessionId) {
        let mut browser = Browser::new(self.app.clone());
        let response = browser
            .request(|session| async move {
                session.sign_in("ada").await?;
                Ok(session.id().map(|id| id.to_string()).unwrap_or_default())
            })
            .await;
        assert_eq!(response.status, 200, "{}", response.text());
        (browser, response.text().parse().expect("an id"))
    }

    fn freeze(&self) {
        self.servers.replicas()[0].freeze();
    }

    fn thaw(&self) {
        self.servers.replicas()[0].thaw();
    }

    /// What the replica has, once it runs: what a failover would bring back.
    async fn on_replica(&self, id: SessionId) -> Loaded {
        let url = self.servers.replicas()[0].url();
        let store = generous::connect(url, "cloakroom").await.expect("it runs");
        store.load(id).await.expect("it responds")
    }

    /// Every call fails while the replica is gone, and one succeeds when it is back; then a failover would
    /// not bring the session back.
    async fn every_call_confirms<T: std::fmt::Debug>(
        &self,
        id: SessionId,
        mut end: impl AsyncFnMut() -> Result<T, SessionError>,
    ) {
        self.freeze();
        for attempt in 1..=3 {
            let ended = end().await;
            let failed = ended.as_ref().is_err_and(is_not_replicated);
            assert!(failed, "attempt {attempt} without a replica: {ended:?}");
        }
        self.thaw();
        within("confirmed", PATIENCE, async || end().await.is_ok()).await;
        let there = self.on_replica(id).await;
        assert!(!matches!(there, Loaded::Record(_)), "{there:?}");
        let left = async || {
            self.sessions
                .count("ada")
                .await
                .is_ok_and(|count| count == 0)
        };
        within("not listed", PATIENCE, left).await;
    }
}

async fn connect(servers: &Replicated) -> RedisStore {
    let builder = generous::redis(servers.primary().url(), "cloakroom");
    let builder = builder.with_replica_acks(1, Duration::from_millis(100));
    builder.connect().await.expect("Redis runs")
}

fn is_not_replicated(error: &SessionError) -> bool {
    error.kind() == SessionErrorKind::NotReplicated
}

#[tokio::test(flavor = "multi_thread")]
async fn revoking_all_again_confirms_again() {
    let setup = Setup::start().await;
    let (_, id) = setup.signed_in().await;
    let revoke = async || setup.sessions.revoke_all("ada", RevokedBy::Admin).await;
    setup.every_call_confirms(id, revoke).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn revoking_one_session_again_confirms_again() {
    let setup = Setup::start().await;
    let (_, id) = setup.signed_in().await;
    let revoke = async || setup.sessions.revoke_any(id).await;
    setup.every_call_confirms(id, revoke).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn revoking_a_users_own_session_again_confirms_again() {
    let setup = Setup::start().await;
    let (_, id) = setup.signed_in().await;
    let revoke = async || setup.sessions.revoke("ada", id).await;
    setup.every_call_confirms(id, revoke).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn revoking_others_again_confirms_again() {
    let setup = Setup::start().await;
    let (_, id) = setup.signed_in().await;
    let (mut other, _) = setup.signed_in().await;
    setup.freeze();
    for attempt in 1..=3 {
        let sessions = setup.sessions.clone();
        let response = other
            .request(move |session| async move {
                let ended = sessions.revoke_others(&session).await?;
                Ok(ended.to_string())
            })
            .await;
        let status = response.status;
        assert_eq!(
            status,
            StatusCode::SERVICE_UNAVAILABLE,
            "attempt {attempt} without a replica: {}",
            response.text()
        );
    }
    setup.thaw();
    let there = async || !matches!(setup.on_replica(id).await, Loaded::Record(_));
    within("replicated", PATIENCE, there).await;
}

/// The first sign-out removes the cookie; another tab still sends it.
#[tokio::test(flavor = "multi_thread")]
async fn signing_out_again_confirms_again() {
    let setup = Setup::start().await;
    let (browser, _) = setup.signed_in().await;
    setup.freeze();
    for attempt in 1..=3 {
        let response = browser
            .clone()
            .request(|session| async move { Ok(format!("{:?}", session.sign_out().await?)) })
            .await;
        assert_eq!(
            response.status,
            StatusCode::SERVICE_UNAVAILABLE,
            "attempt {attempt} without a replica: {}",
            response.text()
        );
    }
    setup.thaw();
}

#[tokio::test(flavor = "multi_thread")]
async fn destroying_again_in_the_same_request_confirms_again() {
    let setup = Setup::start().await;
    let (mut browser, _) = setup.signed_in().await;
    setup.freeze();
    let response = browser
        .request(|session| async move {
            let mut kinds = Vec::new();
            for _ in 0..2 {
                kinds.push(session.destroy().await.map_err(|error| error.kind()));
            }
            Ok(format!("{kinds:?}"))
        })
        .await;
    let twice = "[Err(NotReplicated), Err(NotReplicated)]";
    assert_eq!(response.text(), twice);
    setup.thaw();
}

/// What another server has ended may not have reached the replica either, and `WAIT` is about the writes of
/// its own connection.
#[tokio::test(flavor = "multi_thread")]
async fn another_server_confirms_again() {
    let setup = Setup::start().await;
    let (_, id) = setup.signed_in().await;
    let other = setup.server().await.sessions();
    setup.freeze();
    assert!(setup.sessions.revoke_any(id).await.is_err());
    for attempt in 1..=2 {
        let ended = other.revoke_any(id).await;
        let failed = ended.as_ref().is_err_and(is_not_replicated);
        assert!(failed, "attempt {attempt} without a replica: {ended:?}");
    }
    let revoke = async || other.revoke_all("ada", RevokedBy::Admin).await;
    setup.every_call_confirms(id, revoke).await;
}

/// A list of the user's sessions does not remove what was not confirmed from the index.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_between_two_attempts_changes_nothing() {
    let setup = Setup::start().await;
    let (_, id) = setup.signed_in().await;
    let revoke = async || {
        let count = setup.sessions.count("ada").await.expect("it counts");
        assert!(count <= 1, "{count}");
        loop {
            let revoked = setup.sessions.revoke_all("ada", RevokedBy::Admin).await;
            // Not sent: what follows the list in the background waits for the replica as well.
            match &revoked {
                Err(error) if error.kind() == SessionErrorKind::Unavailable => {}
                _ => break revoked,
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    setup.every_call_confirms(id, revoke).await;
}

/// A sign-in that had to end the oldest session leaves it to be confirmed.
#[tokio::test(flavor = "multi_thread")]
async fn an_evicted_session_is_confirmed_again() {
    let setup = Setup::start().await;
    let (_, id) = setup.signed_in().await;
    let builder = generous::layer_builder(setup.store().await);
    let builder = builder.with_session_limit(SessionLimit::evict_oldest(1));
    let layer = builder.build().expect("it is valid");
    setup.freeze();
    let mut another = Browser::new(app(layer.clone()));
    let sign_in = another.request(|session| async move { session.sign_in("ada").await });
    assert_eq!(sign_in.await.status, StatusCode::SERVICE_UNAVAILABLE);
    let sessions = layer.sessions();
    let revoke = async || sessions.revoke_all("ada", RevokedBy::Admin).await;
    setup.every_call_confirms(id, revoke).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn destroying_a_detached_session_again_confirms_again() {
    let setup = Setup::start().await;
    let (mut browser, id) = setup.signed_in().await;
    let (sender, receiver) = tokio::sync::oneshot::channel();
    browser
        .request(|session| async move {
            drop(sender.send(session.detach()?));
            Ok(())
        })
        .await;
    let mut detached = receiver.await.expect("it was detached");
    setup
        .every_call_confirms(id, async || detached.destroy().await)
        .await;
}

/// A sign-out with the cookie from before a renewal ends the session that continues it.
#[tokio::test(flavor = "multi_thread")]
async fn signing_out_again_with_an_old_cookie_confirms_again() {
    let setup = Setup::start().await;
    let (mut browser, _) = setup.signed_in().await;
    let old = browser.clone();
    let response = browser
        .request(|session| async move {
            session.renew()?;
            session.save().await?;
            Ok(session.id().map(|id| id.to_string()).unwrap_or_default())
        })
        .await;
    assert_eq!(response.status, 200, "{}", response.text());
    let successor = response.text().parse().expect("an id");
    let sign_out = async || {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        old.clone()
            .request(|session| async move {
                drop(sender.send(session.sign_out().await));
                Ok(())
            })
            .await;
        receiver.await.expect("the handler runs")
    };
    setup.every_call_confirms(successor, sign_out).await;
}
