//! One trial of a race.

use std::time::Duration;

use http::Request;
use http::header::COOKIE;
use test_support::http::{Response, exchange};
use tokio::time::{sleep, timeout};

use super::Race;
use super::jar::CookieJar;
use crate::BoxError;

/// The ports of the two servers.
pub(super) type Ports = [u16; 2];

/// How long a request may take on a busy machine.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// When the second request of a race with a slow one is sent, after the first.
const HEAD_START: Duration = Duration::from_millis(25);

/// How long after the race the session is read: caches may be a little behind.
const SETTLED: Duration = Duration::from_millis(100);

/// How a trial has ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    /// Whether the user has lost something, or is signed in again after signing out.
    pub(super) has_failed: bool,
    /// Whether a request of the race got another response than a success.
    pub(super) is_refused: bool,
}

/// Runs one trial with a new session. The two requests go to different servers; `number` decides which.
pub(super) async fn run(race: Race, ports: Ports, number: usize) -> Result<Outcome, BoxError> {
    let [here, there] = match number % 2 {
        0 => ports,
        _ => [ports[1], ports[0]],
    };
    let mut browser = Browser::default();
    browser.expect(here, "/race/edit/cart/0").await?;
    if matches!(race, Race::SignOut | Race::TwoRenewals) {
        browser.expect(here, "/race/sign-in").await?;
    }
    let before = browser.clone();
    let (first, second) = match race {
        Race::Edits => ("/race/edit/a/20", "/race/edit/b/20"),
        Race::SignOut => ("/race/edit/a/80", "/race/sign-out"),
        Race::SignIn => ("/race/edit/a/80", "/race/sign-in"),
        Race::TwoRenewals => ("/race/renew/a", "/race/renew/b"),
        Race::TwoSignIns => ("/race/sign-in", "/race/sign-in"),
    };
    let responses = browser.race((here, first), (there, second), race).await?;
    sleep(SETTLED).await;
    let found = browser.show(here).await?;
    let has_failed = match race {
        Race::Edits => !has_all(&found, &["cart", "a", "b"]),
        Race::SignOut => {
            has_all(&found, &["user"]) || has_all(&before.show(here).await?, &["user"])
        }
        Race::SignIn => !has_all(&found, &["cart", "user"]),
        Race::TwoRenewals | Race::TwoSignIns => !has_all(&found, &["cart", "user"]),
    };
    Ok(Outcome {
        has_failed,
        is_refused: responses
            .iter()
            .any(|response| !response.status.is_success()),
    })
}

fn has_all(found: &str, keys: &[&str]) -> bool {
    let found: Vec<_> = found.split(' ').collect();
    keys.iter().all(|key| found.contains(key))
}

/// Sends requests with the cookies that responses have set.
#[derive(Clone, Debug, Default)]
struct Browser {
    jar: CookieJar,
}

impl Browser {
    /// Sends a request that is not part of the race, and must succeed.
    async fn expect(&mut self, port: u16, path: &str) -> Result<(), BoxError> {
        let response = send(port, path, self.jar.header()).await?;
        if !response.status.is_success() {
            return Err(format!("{path}: {} {}", response.status, response.body).into());
        }
        self.jar.take(&response)
    }

    /// Sends two requests with the same cookies. Takes the cookies of both, in the order in which the responses
    /// arrive.
    async fn race(
        &mut self,
        (here, first): (u16, &str),
        (there, second): (u16, &str),
        race: Race,
    ) -> Result<Vec<Response>, BoxError> {
        let cookies = self.jar.header();
        let first = async {
            let response = send(here, first, cookies.clone()).await?;
            Ok::<_, BoxError>(vec![response])
        };
        let second = async {
            if matches!(race, Race::SignOut | Race::SignIn) {
                sleep(HEAD_START).await;
            }
            let mut responses = vec![send(there, second, cookies.clone()).await?];
            if race == Race::SignIn {
                // From a page that was open before.
                responses.push(send(there, "/race/show", cookies.clone()).await?);
            }
            Ok::<_, BoxError>(responses)
        };
        let (mut first, mut second) = (Box::pin(first), Box::pin(second));
        let (mut responses, later) = tokio::select! {
            responses = &mut first => (responses?, second.await?),
            responses = &mut second => (responses?, first.await?),
        };
        responses.extend(later);
        for response in &responses {
            self.jar.take(response)?;
        }
        Ok(responses)
    }

    /// The entries of the session that the cookies lead to. A response other than a success shows none.
    async fn show(&self, port: u16) -> Result<String, BoxError> {
        let response = send(port, "/race/show", self.jar.header()).await?;
        if response.status.is_success() {
            return Ok(response.body);
        }
        Ok(String::new())
    }
}

async fn send(port: u16, path: &str, cookies: String) -> Result<Response, BoxError> {
    let mut request = Request::get(path);
    if !cookies.is_empty() {
        request = request.header(COOKIE, cookies);
    }
    let request = request.body(String::new())?;
    let authority = format!("127.0.0.1:{port}");
    let response = timeout(REQUEST_TIMEOUT, exchange(&authority, request)).await;
    response.map_err(|_| format!("{path}: no response in time"))?
}
