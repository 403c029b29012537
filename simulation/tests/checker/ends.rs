//! Sessions that come back, that are not found, or that somebody else sees.

use simulation::check::Kind;
use simulation::history::{Action, Outcome, Terms};

use crate::*;

#[test]
fn what_was_signed_out_does_not_come_back() {
    let mut script = with_edit();
    script
        .add(Action::SignOut)
        .with(T)
        .found(1, None, &[1])
        .after = None;
    script.add(Action::Read).with(T).found(1, None, &[1]);
    assert_eq!(script.kinds(), [Kind::Resurrected]);
}

#[test]
fn a_sign_out_ends_what_a_renewal_has_made_of_the_session() {
    let mut script = with_edit();
    script
        .add(Action::Renew)
        .with(T)
        .found(1, None, &[1])
        .sets(T2)
        .until(3);
    script.add(Action::SignOut).with(T);
    script.add(Action::Read).with(T2).found(2, None, &[1]);
    assert_eq!(script.kinds(), [Kind::Resurrected]);
}

#[test]
fn a_sign_in_after_a_sign_out_has_no_data_of_before() {
    let sign_in = |list: &[u32]| {
        let mut script = with_edit();
        script
            .add(Action::SignOut)
            .with(T)
            .found(1, None, &[1])
            .after = None;
        script.add(Action::SignIn(ADA)).with(T).sets(T2);
        script.add(Action::Read).with(T2).found(2, Some(ADA), list);
        script.kinds()
    };
    assert_eq!(sign_in(&[]), []);
    assert_eq!(sign_in(&[1]), [Kind::Resurrected]);
}

#[test]
fn a_failover_may_lose_that_a_sign_in_has_removed_what_a_cache_had() {
    let kinds = |lag: u64, staleness: u64| {
        let mut script = Script::with_terms(Terms {
            max_staleness: vec![staleness, 0],
            // Ten milliseconds after the sign-in.
            failover: Some((3020, lag)),
            has_failures: true,
            ..Terms::default()
        });
        script.add(Action::Append).sets(T);
        let sign_out = script.add(Action::SignOut).with(T).found(1, None, &[1]);
        sign_out.after = None;
        sign_out.server = 1;
        let sign_in = script.add(Action::SignIn(ADA)).with(T);
        sign_in.found(1, None, &[1]).sets(T2);
        script.add(Action::Read).with(T2).found(2, Some(ADA), &[1]);
        script.kinds()
    };
    assert_eq!(kinds(20, 1500), []);
    assert_eq!(kinds(5, 1500), [Kind::Resurrected]);
    assert!(kinds(20, 0).contains(&Kind::Resurrected));
}

#[test]
fn a_token_that_was_refused_stays_invalid() {
    let mut script = with_edit();
    script.add(Action::Renew).with(T).outcome = Outcome::Unknown;
    script.add(Action::Read).with(T);
    script.add(Action::Read).with(T).found(1, None, &[1]);
    assert_eq!(script.kinds(), [Kind::Resurrected]);
}

#[test]
fn a_revocation_ends_the_sessions_that_were_signed_in_before() {
    let mut script = signed_in(Terms::default());
    script.add(Action::RevokeAll(BOB)).client = 1;
    script.add(Action::Read).with(T2).found(2, Some(ADA), &[1]);
    assert_eq!(script.kinds(), []);
    script.add(Action::RevokeAll(ADA)).client = 1;
    script.add(Action::Read).with(T2);
    assert_eq!(script.kinds(), []);
    script.history.requests.pop();
    script.add(Action::Read).with(T2).found(2, Some(ADA), &[1]);
    assert_eq!(script.kinds(), [Kind::Resurrected]);
}

#[test]
fn revoking_the_others_spares_the_session_itself() {
    let mut script = signed_in(Terms::default());
    script.add(Action::SignIn(ADA)).sets(token(5, 5)).client = 1;
    script
        .add(Action::RevokeOthers)
        .with(token(5, 5))
        .found(5, Some(ADA), &[])
        .client = 1;
    let mut legal = Script {
        history: script.history.clone(),
    };
    legal.add(Action::Read).with(T2);
    legal
        .add(Action::Read)
        .with(token(5, 5))
        .found(5, Some(ADA), &[])
        .client = 1;
    assert_eq!(legal.kinds(), []);
    script.add(Action::Read).with(T2).found(2, Some(ADA), &[1]);
    script.add(Action::Read).with(token(5, 5)).client = 1;
    assert_eq!(script.kinds(), [Kind::Resurrected, Kind::SignedOut]);
}

#[test]
fn a_cookie_that_nobody_has_used_elsewhere_has_a_session() {
    let mut script = signed_in(Terms::default());
    script.add(Action::Read).with(T2);
    assert_eq!(script.kinds(), [Kind::SignedOut]);
}

#[test]
fn a_lost_renewal_may_end_the_session() {
    let mut script = signed_in(Terms::default());
    script.add(Action::Renew).with(T2).outcome = Outcome::Unknown;
    script.add(Action::Read).with(T2);
    assert_eq!(script.kinds(), []);
}

#[test]
fn an_old_session_may_be_evicted_and_the_newest_may_not() {
    let terms = || Terms {
        session_limit: Some(1),
        ..Terms::default()
    };
    let mut script = signed_in(terms());
    script.add(Action::SignIn(ADA)).sets(token(5, 5)).client = 1;
    script.add(Action::Read).with(T2);
    assert_eq!(script.kinds(), []);
    script.add(Action::Read).with(token(5, 5)).client = 1;
    assert_eq!(script.kinds(), [Kind::SignedOut]);
}

/// The response is an error, so it does not say whose session it has found.
#[test]
fn a_renewed_session_of_a_user_may_be_revoked_with_the_others() {
    for (user, expected) in [(ADA, vec![]), (BOB, vec![Kind::SignedOut])] {
        let mut script = signed_in(Terms::default());
        let edit = script.add(Action::Append).with(T2);
        edit.found(2, Some(ADA), &[1]).after = Some(2);
        let renewal = script.add(Action::Renew).with(T2).sets(token(3, 3));
        renewal.outcome = Outcome::Refused;
        script.add(Action::RevokeAll(user)).client = 1;
        script.add(Action::Read).with(token(3, 3));
        assert_eq!(script.kinds(), expected, "{user}");
    }
}

/// It goes on after the interruption, and is the newest then.
#[test]
fn a_sign_in_that_was_interrupted_may_evict_a_later_one() {
    for (outcome, expected) in [
        (Outcome::Unknown, vec![]),
        (Outcome::Refused, vec![Kind::SignedOut]),
    ] {
        let mut script = Script::with_terms(Terms {
            session_limit: Some(1),
            ..Terms::default()
        });
        script.add(Action::SignIn(ADA)).outcome = outcome;
        script.add(Action::SignIn(ADA)).sets(T2);
        script.add(Action::Read).with(T2);
        assert_eq!(script.kinds(), expected, "{outcome:?}");
    }
}

#[test]
fn nobody_sees_another_user() {
    let mut script = signed_in(Terms::default());
    script
        .add(Action::Append)
        .with(T2)
        .found(2, Some(ADA), &[1]);
    let mut other = Script {
        history: script.history.clone(),
    };
    script
        .add(Action::Read)
        .with(T2)
        .found(2, Some(BOB), &[1, 3]);
    assert!(script.kinds().contains(&Kind::WrongUser));
    // Data of a user, in the session of another one.
    other
        .add(Action::SignIn(BOB))
        .with(T2)
        .found(2, Some(ADA), &[1, 3])
        .sets(token(3, 3));
    let mut legal = Script {
        history: other.history.clone(),
    };
    legal
        .add(Action::Read)
        .with(token(3, 3))
        .found(3, Some(BOB), &[]);
    assert_eq!(legal.kinds(), []);
    other
        .add(Action::Read)
        .with(token(3, 3))
        .found(3, Some(BOB), &[1, 3]);
    assert_eq!(other.kinds(), [Kind::WrongUser]);
}

#[test]
fn nobody_is_found_who_has_not_signed_in_there() {
    let mut script = signed_in(Terms::default());
    script
        .add(Action::Read)
        .with(T2)
        .found(2, Some(ADA), &[1])
        .client = 1;
    assert_eq!(script.kinds(), [Kind::WrongUser]);
}

#[test]
fn a_replaced_token_is_valid_for_its_grace_period_only() {
    let rotations = |count: u32| {
        let mut script = Script::with_terms(Terms {
            rotation: Some((20_000, 10_000)),
            ..Terms::default()
        });
        script.add(Action::Append).sets(T);
        for secret in 1..=count {
            script
                .add(Action::Read)
                .with(token(1, secret))
                .found(1, None, &[1])
                .sets(token(1, secret + 1));
        }
        script
            .add(Action::Read)
            .with(T)
            .found(1, None, &[1])
            .is_current = false;
        script.kinds()
    };
    assert_eq!(rotations(1), []);
    assert_eq!(rotations(2), [Kind::LateToken]);
}

#[test]
fn every_live_session_is_listed_and_they_are_not_more_than_the_limit() {
    let list = |listed: &[u32]| {
        let mut script = signed_in(Terms {
            session_limit: Some(1),
            ..Terms::default()
        });
        for _ in 0..40 {
            script.add(Action::Read).with(T2).found(2, Some(ADA), &[1]);
        }
        script.add(Action::List(ADA)).listed = listed.to_vec();
        script.kinds()
    };
    assert_eq!(list(&[2]), []);
    assert_eq!(list(&[]), [Kind::Unlisted]);
    assert_eq!(list(&[2, 3]), [Kind::TooMany]);
}

#[test]
fn revoking_everyone_ends_every_earlier_session() {
    let mut script = with_edit();
    script.add(Action::RevokeEveryone).client = 1;
    let mut legal = Script {
        history: script.history.clone(),
    };
    legal.add(Action::Append).sets(T2);
    legal.add(Action::Read).with(T2).found(2, None, &[3]);
    legal.add(Action::Read).with(T);
    assert_eq!(legal.kinds(), []);
    script.add(Action::Read).with(T).found(1, None, &[1]);
    assert_eq!(script.kinds(), [Kind::Resurrected]);
}
