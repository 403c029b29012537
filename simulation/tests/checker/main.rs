//! The checker, with histories that were written by hand: each anomaly, and histories that are legal.

mod edits;
mod ends;
mod joins;
mod takes;

use simulation::check::{Kind, check};
use simulation::history::{
    Action, Found, History, Moment, Outcome, Request, Terms, TokenNumber, User,
};

/// A history in the making. Requests are sent one after the other, a second apart.
#[derive(Default)]
struct Script {
    history: History,
}

impl Script {
    fn new() -> Self {
        let mut script = Self::default();
        script.history.terms.max_staleness = vec![0, 0];
        script
    }

    fn with_terms(terms: Terms) -> Self {
        let mut script = Self::new();
        let max_staleness = if terms.max_staleness.is_empty() {
            vec![0, 0]
        } else {
            terms.max_staleness
        };
        script.history.terms = Terms {
            max_staleness,
            ..terms
        };
        script
    }

    /// Adds a request of the first browser to the first server, which is over after ten milliseconds.
    fn add(&mut self, action: Action) -> &mut Request {
        let number = u32::try_from(self.history.requests.len() + 1).expect("there are few");
        let base = u64::from(number) * 1000;
        self.history.requests.push(Request {
            number,
            client: 0,
            server: 0,
            action,
            token: None,
            is_current: true,
            sent: moment(base),
            done: moment(base + 10),
            received: Some(moment(base + 20)),
            outcome: Outcome::Done,
            found: None,
            after: None,
            set: None,
            taken: Vec::new(),
            listed: Vec::new(),
        });
        self.history.requests.last_mut().expect("it was added")
    }

    fn kinds(&self) -> Vec<Kind> {
        let mut kinds: Vec<_> = check(&self.history)
            .iter()
            .map(|anomaly| anomaly.kind)
            .collect();
        kinds.dedup();
        kinds
    }
}

const fn token(session: u32, secret: u32) -> TokenNumber {
    TokenNumber { session, secret }
}

/// Shorthand for the parts of a request.
trait Parts {
    fn with(&mut self, token: TokenNumber) -> &mut Self;
    fn found(&mut self, session: u32, user: Option<User>, list: &[u32]) -> &mut Self;
    fn sets(&mut self, token: TokenNumber) -> &mut Self;
    fn takes(&mut self, element: u32) -> &mut Self;
    /// It is over only after the next requests.
    fn until(&mut self, number: u64) -> &mut Self;
}

impl Parts for Request {
    fn with(&mut self, token: TokenNumber) -> &mut Self {
        self.token = Some(token);
        self
    }

    fn found(&mut self, session: u32, user: Option<User>, list: &[u32]) -> &mut Self {
        self.after = self.after.or(Some(session));
        self.found = Some(Found {
            session,
            user,
            list: list.to_vec(),
            mailbox: list.to_vec(),
            count: list.len() as u64,
        });
        self
    }

    fn sets(&mut self, token: TokenNumber) -> &mut Self {
        self.after = Some(token.session);
        self.set = Some(token);
        self
    }

    fn takes(&mut self, element: u32) -> &mut Self {
        self.taken.push(element);
        self
    }

    fn until(&mut self, number: u64) -> &mut Self {
        let base = number * 1000 + 500;
        self.done = Moment {
            order: base,
            millis: base,
        };
        self.received = Some(Moment {
            order: base + 1,
            millis: base + 1,
        });
        self
    }
}

const T: TokenNumber = token(1, 1);
const ADA: User = 7;
const BOB: User = 8;

/// A session with the edit of the first request.
fn with_edit() -> Script {
    let mut script = Script::new();
    script.add(Action::Append).sets(T);
    script
}

/// The same of a user, after the second request.
fn signed_in(terms: Terms) -> Script {
    let mut script = Script::with_terms(terms);
    script.add(Action::Append).sets(T);
    script
        .add(Action::SignIn(ADA))
        .with(T)
        .found(1, None, &[1])
        .sets(token(2, 2));
    script
}

const T2: TokenNumber = token(2, 2);

const fn moment(millis: u64) -> Moment {
    Moment {
        order: millis,
        millis,
    }
}
