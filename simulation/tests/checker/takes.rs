//! What is taken from a mailbox.

use simulation::check::Kind;
use simulation::history::{Action, Outcome, Request, Terms, TokenNumber};

use crate::{ADA, BOB, Parts, Script, T, T2, moment, token, with_edit};

/// The request finds an empty mailbox.
fn finds_nothing(request: &mut Request) {
    let found = request.found.as_mut().expect("it has found a session");
    found.mailbox.clear();
}

/// A request takes the edit of the first one.
fn take(script: &mut Script, token: TokenNumber) -> &mut Request {
    let take = script.add(Action::Take).with(token);
    take.found(token.session, None, &[1]).takes(1)
}

/// A session with an edit, which a request has taken.
fn taken(terms: Terms) -> Script {
    let mut script = Script::with_terms(terms);
    script.add(Action::Append).sets(T);
    take(&mut script, T);
    script
}

#[test]
fn an_element_is_for_one_request() {
    let mut script = taken(Terms::default());
    finds_nothing(script.add(Action::Take).with(T).found(1, None, &[1]));
    assert_eq!(script.kinds(), []);
    take(&mut script, T);
    assert_eq!(script.kinds(), [Kind::TakenTwice]);
}

#[test]
fn an_element_that_was_taken_is_not_carried_over_by_a_renewal() {
    let mut script = with_edit();
    let renewal = script.add(Action::Renew).with(T).found(1, None, &[1]);
    renewal.sets(T2).until(3);
    take(&mut script, T);
    take(&mut script, T2);
    assert_eq!(script.kinds(), [Kind::TakenTwice]);
}

#[test]
fn what_a_sign_in_had_loaded_before_may_be_taken_again() {
    let mut script = with_edit();
    let first = script.add(Action::SignIn(ADA)).with(T).found(1, None, &[1]);
    first.sets(T2);
    let take = take(&mut script, T);
    (take.sent, take.done) = (moment(1500), moment(1600));
    let second = script.add(Action::SignIn(BOB)).with(T).found(1, None, &[1]);
    second.sets(token(3, 3)).sent = moment(1400);
    let again = script.add(Action::Take).with(token(3, 3));
    again.found(3, Some(BOB), &[1]).takes(1);
    assert_eq!(script.kinds(), []);
}

#[test]
fn a_failover_may_lose_that_an_element_was_taken() {
    let mut script = taken(Terms {
        // Ten milliseconds after the first request has taken it.
        failover: Some((2020, 20)),
        has_failures: true,
        ..Terms::default()
    });
    take(&mut script, T);
    assert_eq!(script.kinds(), []);
    script.history.terms.failover = Some((2020, 5));
    assert_eq!(script.kinds(), [Kind::TakenTwice]);
}

#[test]
fn an_element_that_nobody_has_taken_is_in_the_mailbox() {
    let mut script = with_edit();
    finds_nothing(script.add(Action::Read).with(T).found(1, None, &[1]));
    assert_eq!(script.kinds(), [Kind::Lost]);

    for (outcome, kinds) in [
        (Outcome::Unknown, vec![]),
        (Outcome::Refused, vec![Kind::Lost]),
        (Outcome::Done, vec![Kind::Lost]),
    ] {
        let mut script = with_edit();
        let take = script.add(Action::Take).with(T);
        take.found(1, None, &[1]).outcome = outcome;
        finds_nothing(script.add(Action::Read).with(T).found(1, None, &[1]));
        assert_eq!(script.kinds(), kinds, "{outcome:?}");
    }
}
