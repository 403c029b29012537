//! What is observed of a response, and an app with a real store that produces it.

use std::collections::BTreeMap;

use axum::Router;
use cloakroom::{EndedConcurrently, Session, SessionError, Store};
use cloakroom_core::ManualClock;
use tests::app::{Handler, app};
use tests::browser::{Browser, CookieChange};
use tests::generous;

use super::history::{Action, BROWSERS, CHOICES, Event, RULE, SERVERS};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Observed {
    /// What the handler read after each action.
    pub(crate) body: String,
    pub(crate) cookie: Cookie,
    /// Its edits were dropped because the session had ended.
    pub(crate) ended_concurrently: bool,
}

/// What a response does to the cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cookie {
    Left,
    /// With this `Max-Age` in seconds, or as a session cookie.
    Set(Option<u64>),
    Removed,
}

/// Several servers and browsers.
#[derive(Debug)]
pub(crate) struct Deployment {
    clock: ManualClock,
    apps: [Router; SERVERS],
    browsers: [Browser; BROWSERS],
}

impl Deployment {
    pub(crate) fn new<S: Store + Clone>(stores: &[S; SERVERS]) -> Self {
        let clock = ManualClock::default();
        let layer = |store: &S| {
            generous::layer_builder(store.clone())
                .with_clock(clock.clone())
                .with_expiry(RULE)
                .build()
                .expect("the expiry is valid")
        };
        let apps = stores.each_ref().map(|store| app(layer(store)));
        Self {
            browsers: std::array::from_fn(|_| Browser::new(apps[0].clone())),
            apps,
            clock,
        }
    }

    /// Applies an event, and returns the response, if it is a request.
    pub(crate) async fn apply(&mut self, event: &Event) -> Option<Observed> {
        match event {
            Event::Pause(time) => self.clock.advance(*time),
            Event::Copy(to, from) => self.browsers[*to] = self.browsers[*from].clone(),
            Event::Request {
                browser,
                server,
                actions,
            } => {
                let browser = &mut self.browsers[*browser];
                *browser = browser.on(self.apps[*server].clone());
                return Some(request(browser, actions.clone()).await);
            }
        }
        None
    }
}

async fn request(browser: &mut Browser, actions: Vec<Action>) -> Observed {
    let handler = Handler::session(async move |session: Session| {
        let mut body = String::new();
        for action in actions {
            run_action(&session, action).await?;
            body.push_str(&format!("{:?}\n", entries(&session)?));
        }
        Ok(body)
    });
    let response = browser.request_with(handler).await;
    assert_eq!(response.status, 200, "{}", response.text());
    Observed {
        body: response.text().to_owned(),
        cookie: match response.cookie_change() {
            CookieChange::Nothing => Cookie::Left,
            CookieChange::Set => Cookie::Set(response.set_cookie().max_age()),
            CookieChange::Removed => Cookie::Removed,
        },
        ended_concurrently: response.extension::<EndedConcurrently>().is_some(),
    }
}

async fn run_action(session: &Session, action: Action) -> Result<(), SessionError> {
    match action {
        Action::Read => {}
        Action::Insert(key, value) => session.insert(key, value)?,
        Action::Update(key) => {
            session.update(key, |there: Option<u32>| there.unwrap_or_default() + 1)?;
        }
        Action::Remove(key) => session.remove(key)?,
        Action::Clear => session.clear()?,
        Action::Renew => session.renew()?,
        Action::Destroy => drop(session.destroy().await?),
        Action::SetExpiry(choice) => session.set_expiry(CHOICES[choice])?,
        Action::ResetExpiry => session.reset_expiry()?,
        Action::Save => drop(session.save().await?),
    }
    Ok(())
}

fn entries(session: &Session) -> Result<BTreeMap<String, u32>, SessionError> {
    let mut entries = BTreeMap::new();
    for key in session.keys() {
        if let Some(value) = session.get(&*key)? {
            entries.insert(key, value);
        }
    }
    Ok(entries)
}
