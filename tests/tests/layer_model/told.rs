//! What an answer tells, and how an app with a real store comes to one.

use std::collections::BTreeMap;

use axum::Router;
use cloakroom::{EndedMeanwhile, Session, SessionError, SessionLayer, Store};
use cloakroom_core::ManualClock;
use tests::app::{Act, app};
use tests::browser::{Browser, Effect};

use super::history::{BROWSERS, CHOICES, Deed, Event, RULE, SERVERS};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// What the handler saw after each deed.
    pub(crate) body: String,
    pub(crate) cookie: Cookie,
    /// Its edits were dropped, since the session had ended.
    pub(crate) ended_meanwhile: bool,
}

/// What an answer does to the cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cookie {
    Left,
    /// To so many seconds, or until the browser is closed.
    Set(Option<u64>),
    Removed,
}

/// Several servers, and the browsers that visit them.
#[derive(Debug)]
pub(crate) struct World {
    clock: ManualClock,
    apps: [Router; SERVERS],
    browsers: [Browser; BROWSERS],
}

impl World {
    pub(crate) fn new<S: Store + Clone>(stores: &[S; SERVERS]) -> Self {
        let clock = ManualClock::default();
        let layer = |store: &S| {
            SessionLayer::builder(store.clone())
                .with_clock(clock.clone())
                .with_expiry(RULE)
                .build()
                .expect("it can be kept")
        };
        let apps = stores.each_ref().map(|store| app(layer(store)));
        Self {
            browsers: std::array::from_fn(|_| Browser::new(apps[0].clone())),
            apps,
            clock,
        }
    }

    /// What comes of an event; `None` if nobody answers.
    pub(crate) async fn live_through(&mut self, event: &Event) -> Option<Told> {
        match event {
            Event::Pause(time) => self.clock.advance(*time),
            Event::Copy(to, from) => self.browsers[*to] = self.browsers[*from].clone(),
            Event::Request {
                browser,
                server,
                deeds,
            } => {
                let browser = &mut self.browsers[*browser];
                *browser = browser.on(self.apps[*server].clone());
                return Some(visit(browser, deeds.clone()).await);
            }
        }
        None
    }
}

async fn visit(browser: &mut Browser, deeds: Vec<Deed>) -> Told {
    let act = Act::session(async move |session: Session| {
        let mut body = String::new();
        for deed in deeds {
            carry_out(&session, deed).await?;
            body.push_str(&format!("{:?}\n", entries(&session)?));
        }
        Ok(body)
    });
    let answer = browser.perform(act).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    Told {
        body: answer.text().to_owned(),
        cookie: match answer.effect() {
            Effect::Nothing => Cookie::Left,
            Effect::Set => Cookie::Set(answer.set_cookie().max_age()),
            Effect::Removed => Cookie::Removed,
        },
        ended_meanwhile: answer.extension::<EndedMeanwhile>().is_some(),
    }
}

async fn carry_out(session: &Session, deed: Deed) -> Result<(), SessionError> {
    match deed {
        Deed::Read => {}
        Deed::Insert(key, value) => session.insert(key, value)?,
        Deed::Update(key) => {
            session.update(key, |there: Option<u32>| there.unwrap_or_default() + 1)?;
        }
        Deed::Remove(key) => session.remove(key)?,
        Deed::Clear => session.clear()?,
        Deed::Renew => session.renew()?,
        Deed::Destroy => drop(session.destroy().await?),
        Deed::SetExpiry(choice) => session.set_expiry(CHOICES[choice])?,
        Deed::ResetExpiry => session.reset_expiry()?,
        Deed::Save => drop(session.save().await?),
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
