//! Sign-ins that may have joined the session of one of which no response is known.

use simulation::check::Kind;
use simulation::history::{Action, Outcome, Terms};

use crate::*;

/// A sign-in as another user, of which no response is known, has replaced the user's session: with nothing of its data.
/// One of the same user with the first cookie has joined that.
#[test]
fn a_sign_in_that_joins_one_of_another_users_session_has_none_of_the_data() {
    for (outcome, user, expected) in [
        (Outcome::Unknown, BOB, vec![]),
        // It has not created a session, or one of another user.
        (Outcome::Refused, BOB, vec![Kind::Lost]),
        (Outcome::Unknown, ADA, vec![Kind::Lost]),
    ] {
        let mut script = signed_in(Terms::default());
        let unknown = script.add(Action::SignIn(user)).with(T2);
        unknown.outcome = outcome;
        let joined = script
            .add(Action::AppendAndSignIn(BOB))
            .with(T)
            .found(1, None, &[1]);
        joined.sets(token(3, 3));
        script
            .add(Action::Read)
            .with(token(3, 3))
            .found(3, Some(BOB), &[4]);
        assert_eq!(script.kinds(), expected, "{outcome:?} as {user}");
    }
}

/// Joining is an update, which does not wait for the replica.
#[test]
fn a_failover_may_lose_the_secret_of_a_sign_in_that_has_joined() {
    let script = |outcome, failover| {
        let mut script = Script::with_terms(Terms {
            failover,
            has_failures: true,
            ..Terms::default()
        });
        script.add(Action::Append).sets(T);
        script.add(Action::SignIn(ADA)).with(T).outcome = outcome;
        script.add(Action::SignIn(ADA)).with(T).sets(T2);
        script.add(Action::Read).with(T2);
        script
    };
    let failover = Some((3_015, 50));
    assert_eq!(script(Outcome::Unknown, failover).kinds(), []);
    // Both responses are known, and that of the one which has joined came first.
    let mut both = script(Outcome::Done, failover);
    let created = &mut both.history.requests[1];
    created.sets(token(2, 3)).done = moment(3_020);
    assert_eq!(both.kinds(), []);
    // It has created the session itself, which waits.
    let refused = script(Outcome::Refused, failover);
    assert_eq!(refused.kinds(), [Kind::SignedOut]);
    // Without a failover, or before it, nothing is lost.
    for failover in [None, Some((9_000, 50))] {
        let lost = script(Outcome::Unknown, failover);
        assert_eq!(lost.kinds(), [Kind::SignedOut], "{failover:?}");
    }
}
