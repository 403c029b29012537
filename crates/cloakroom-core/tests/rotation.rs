//! Token rotation: the role of each presented secret in a session.

use std::time::Duration;

use cloakroom_core::rotation::{Rotation, SecretStatus, Secrets};
use cloakroom_core::{
    Entries, Expiry, Limits, Realm, Record, Revision, SystemRng, Timestamp, Token,
};

const EVERY: Duration = Duration::from_secs(600);
const GRACE: Duration = Duration::from_secs(60);

struct Fixture {
    realm: Realm,
    record: Record,
    now: Timestamp,
}

impl Fixture {
    fn begin() -> (Self, Token) {
        let (realm, now) = (Realm::new("test"), Timestamp::from_millis(1_000_000));
        let token = Token::issue(now, &SystemRng).expect("the system has randomness");
        let record = Record::new(
            Revision::from_bits(1),
            now,
            Limits::begin(Expiry::default(), now),
            realm.digest(&token),
            Entries::new(),
        );
        (Self { realm, record, now }, token)
    }

    /// Presents a token. Returns its role, and the token that the response sets.
    fn present(&mut self, token: &Token) -> (SecretStatus, Option<Token>) {
        let rotation = Rotation::every(EVERY).grace(GRACE);
        let presented = Secrets::status(&self.record, &self.realm.digest(token), self.now);
        let advanced = Secrets::advanced(
            &self.record,
            token,
            &self.realm,
            self.now,
            rotation,
            &SystemRng,
        );
        if let Some((digest, secrets)) = advanced.expect("the system has randomness") {
            let mut entries = self.record.entries().clone();
            secrets.put_into(&mut entries);
            let (seen, limits) = (self.record.last_seen(), self.record.limits());
            self.record = Record::new(self.record.revision(), seen, limits, digest, entries);
        }
        (
            presented,
            Secrets::successor(&self.record, token, &self.realm),
        )
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now.plus(time);
    }
}

fn same(one: &Token, two: &Token) -> bool {
    one.encode() == two.encode()
}

#[test]
fn a_recent_secret_is_kept() {
    let (mut fixture, token) = Fixture::begin();
    fixture.pass(EVERY - Duration::from_millis(1));
    let (presented, newer) = fixture.present(&token);
    assert_eq!(presented, SecretStatus::Current);
    assert!(newer.is_none() && !Secrets::are_rotating(fixture.record.entries()));
}

#[test]
fn every_request_with_the_current_secret_is_offered_the_same_next_one() {
    let (mut fixture, token) = Fixture::begin();
    fixture.pass(EVERY);
    let (_, first) = fixture.present(&token);
    let first = first.expect("the interval is over");
    assert!(!same(&first, &token) && first.id() == token.id());
    // Any number of responses may be lost, for any time.
    for _ in 0..5 {
        fixture.pass(EVERY * 10);
        let (presented, again) = fixture.present(&token);
        assert_eq!(presented, SecretStatus::Current);
        assert!(same(&again.unwrap(), &first));
    }
}

#[test]
fn a_secret_is_retired_when_the_next_was_presented_and_the_grace_period_is_over() {
    let (mut fixture, token) = Fixture::begin();
    fixture.pass(EVERY);
    let next = fixture.present(&token).1.unwrap();
    let (presented, newer) = fixture.present(&next);
    assert_eq!(presented, SecretStatus::Next);
    assert!(newer.is_none());
    assert_eq!(fixture.present(&next).0, SecretStatus::Current);

    fixture.pass(GRACE - Duration::from_millis(1));
    let (presented, newer) = fixture.present(&token);
    assert_eq!(presented, SecretStatus::Previous);
    assert!(same(&newer.unwrap(), &next), "it gets the new one");
    fixture.pass(Duration::from_millis(1));
    assert_eq!(fixture.present(&token).0, SecretStatus::Retired);
}

#[test]
fn reuse_is_detected_over_several_rotations_but_not_forever() {
    let (mut fixture, token) = Fixture::begin();
    let mut held = vec![token];
    for _ in 0..8 {
        fixture.pass(EVERY);
        let next = fixture.present(held.last().unwrap()).1.unwrap();
        assert_eq!(fixture.present(&next).0, SecretStatus::Next);
        held.push(next);
    }
    fixture.pass(GRACE);
    let judged: Vec<_> = held.iter().map(|token| fixture.present(token).0).collect();
    assert_eq!(judged[..3], [SecretStatus::Wrong; 3]);
    assert_eq!(judged[3..8], [SecretStatus::Retired; 5]);
    assert_eq!(judged[8], SecretStatus::Current);
}

#[test]
fn a_secret_that_never_belonged_to_the_session_is_wrong_and_not_reuse() {
    let (mut fixture, token) = Fixture::begin();
    fixture.pass(EVERY);
    let next = fixture.present(&token).1.unwrap();
    fixture.present(&next);
    fixture.pass(GRACE * 2);
    let unknown = token.rotated(&[7; 16]);
    assert_eq!(unknown.id(), token.id());
    assert_eq!(fixture.present(&unknown).0, SecretStatus::Wrong);
}

#[test]
fn no_secret_is_stored() {
    let (mut fixture, token) = Fixture::begin();
    fixture.pass(EVERY);
    let next = fixture.present(&token).1.unwrap();
    let stored = fixture.record.entries().entry(Secrets::KEY).unwrap().json();
    for token in [&token, &next] {
        let secret = &token.encode()[22..];
        assert!(!stored.contains(secret));
    }
}
