//! Edits that are lost, stale, in another order or there twice.

use simulation::check::Kind;
use simulation::history::{Action, Outcome, Terms, User};

use crate::*;

#[test]
fn edits_and_reads_in_order_are_legal() {
    let mut script = with_edit();
    script.add(Action::Append).with(T).found(1, None, &[1]);
    script.add(Action::Read).with(T).found(1, None, &[1, 2]);
    script
        .add(Action::RenewAndAppend)
        .with(T)
        .found(1, None, &[1, 2])
        .sets(token(2, 2));
    script.add(Action::Read).with(T2).found(2, None, &[1, 2, 4]);
    // The browser has a better cookie.
    script.add(Action::Read).with(T).is_current = false;
    assert_eq!(script.kinds(), []);
}

#[test]
fn an_edit_that_is_missing_for_good_is_lost() {
    let mut script = with_edit();
    script.add(Action::Append).with(T).found(1, None, &[1]);
    script
        .add(Action::Append)
        .with(T)
        .found(1, None, &[1])
        .until(9);
    assert_eq!(script.kinds(), [Kind::Lost]);
}

#[test]
fn an_edit_that_is_not_acknowledged_may_be_missing_and_may_be_there() {
    for list in [&[1][..], &[1, 2]] {
        let mut script = with_edit();
        script.add(Action::Append).with(T).outcome = Outcome::Unknown;
        script.add(Action::Read).with(T).found(1, None, list);
        assert_eq!(script.kinds(), []);
    }
}

#[test]
fn an_edit_that_is_under_way_may_be_missing() {
    let mut script = with_edit();
    script
        .add(Action::Append)
        .with(T)
        .found(1, None, &[1])
        .until(3);
    script.add(Action::Read).with(T).found(1, None, &[1]);
    script.add(Action::Read).with(T).found(1, None, &[1, 2]);
    assert_eq!(script.kinds(), []);
}

#[test]
fn an_edit_is_lost_also_if_a_renewal_has_not_carried_it_over() {
    let mut script = with_edit();
    script
        .add(Action::Renew)
        .with(T)
        .found(1, None, &[1])
        .sets(T2)
        .until(4);
    script.add(Action::Append).with(T).found(1, None, &[1]);
    script.add(Action::Read);
    script.add(Action::Read).with(T2).found(2, None, &[1]);
    assert_eq!(script.kinds(), [Kind::Lost]);
}

#[test]
fn a_sign_in_that_another_one_has_overtaken_keeps_what_it_had_loaded() {
    let sign_ins = |second: User| {
        let mut script = with_edit();
        script
            .add(Action::SignIn(ADA))
            .with(T)
            .found(1, None, &[1, 3])
            .sets(T2);
        let edit = script.add(Action::Append).with(T).found(1, None, &[1]);
        (edit.sent, edit.done) = (moment(1500), moment(1600));
        let second = script
            .add(Action::SignIn(second))
            .with(T)
            .found(1, None, &[1])
            .sets(token(3, 3));
        second.sent = moment(1400);
        script
            .add(Action::Read)
            .with(token(3, 3))
            .found(3, Some(BOB), &[1]);
        script
    };
    let script = sign_ins(BOB);
    assert_eq!(script.kinds(), []);
}

#[test]
fn an_old_read_is_stale_unless_a_cache_may_be_as_old() {
    let reads = |max_staleness: u64| {
        let mut script = with_edit();
        script.history.terms.max_staleness = vec![0, max_staleness];
        script.add(Action::Append).with(T).found(1, None, &[1]);
        script.add(Action::Read).with(T).found(1, None, &[1]).server = 1;
        script.add(Action::Read).with(T).found(1, None, &[1, 2]);
        script.kinds()
    };
    assert_eq!(reads(0), [Kind::Stale]);
    // The read was sent 990 milliseconds after the edit was acknowledged.
    assert_eq!(reads(989), [Kind::Stale]);
    assert_eq!(reads(991), []);
}

#[test]
fn a_server_with_a_cache_sees_its_own_edits() {
    let mut script = with_edit();
    script.history.terms.max_staleness = vec![5000, 5000];
    script.add(Action::Append).with(T).found(1, None, &[1]);
    script.add(Action::Read).with(T).found(1, None, &[1]);
    assert_eq!(script.kinds(), [Kind::Lost]);
}

#[test]
fn reads_that_are_not_prefixes_are_reordered() {
    let mut script = with_edit();
    script
        .add(Action::Append)
        .with(T)
        .found(1, None, &[1])
        .until(5);
    script
        .add(Action::Append)
        .with(T)
        .found(1, None, &[1])
        .until(5);
    script.add(Action::Read).with(T).found(1, None, &[1, 2, 3]);
    script.add(Action::Read).with(T).found(1, None, &[1, 3, 2]);
    assert_eq!(script.kinds(), [Kind::Reordered]);
}

#[test]
fn an_edit_that_is_there_twice_is_duplicated_and_one_of_two_is_torn() {
    let mut script = with_edit();
    script.add(Action::Read).with(T).found(1, None, &[1, 1]);
    assert_eq!(script.kinds(), [Kind::Duplicated]);
    let mut script = with_edit();
    script.add(Action::Read).with(T).found(1, None, &[1]);
    script.history.requests[1].found.as_mut().unwrap().count = 2;
    assert_eq!(script.kinds(), [Kind::Torn]);
}

#[test]
fn an_edit_that_was_refused_is_not_stored() {
    let mut script = with_edit();
    script.add(Action::Append).with(T).outcome = Outcome::Refused;
    script.add(Action::Read).with(T).found(1, None, &[1, 2]);
    assert_eq!(script.kinds(), [Kind::Refused]);
}

/// The cache has what the failover has lost.
#[test]
fn a_cache_may_be_older_than_a_failover() {
    for (max_staleness, expected) in [(700, vec![]), (500, vec![Kind::Reordered])] {
        let mut script = Script::with_terms(Terms {
            max_staleness: vec![max_staleness, 0],
            failover: Some((2_400, 50)),
            ..Terms::default()
        });
        script.add(Action::Append).sets(T);
        script
            .add(Action::Append)
            .with(T)
            .found(1, None, &[1])
            .sets(T);
        script.history.requests[1].done = moment(2_390);
        script
            .add(Action::Append)
            .with(T)
            .found(1, None, &[1, 2])
            .sets(T);
        script
            .add(Action::Read)
            .with(T)
            .found(1, None, &[1, 3])
            .server = 1;
        assert_eq!(script.kinds(), expected, "{max_staleness}");
    }
}

#[test]
fn a_failover_may_lose_the_last_edits_and_no_others() {
    let failover = |at: u64| {
        let mut script = Script::with_terms(Terms {
            failover: Some((at, 50)),
            ..Terms::default()
        });
        script.add(Action::Append).sets(T);
        script.add(Action::Append).with(T).found(1, None, &[1]);
        script.add(Action::Append).with(T).found(1, None, &[1]);
        script.add(Action::Read).with(T).found(1, None, &[1, 3]);
        script.kinds()
    };
    // The edit was acknowledged after 2010 ms.
    assert_eq!(failover(2020), []);
    assert_eq!(failover(2070), [Kind::Lost]);
    assert_eq!(failover(1900), [Kind::Lost]);
}
