//! Secrets that rotate: what each one that is presented is to a session.

use std::time::Duration;

use cloakroom_core::rotation::{Presented, Rotation, Secrets};
use cloakroom_core::{
    Entries, Expiry, Limits, Realm, Record, Revision, SystemEntropy, Timestamp, Token,
};

const EVERY: Duration = Duration::from_secs(600);
const GRACE: Duration = Duration::from_secs(60);

struct Stage {
    realm: Realm,
    record: Record,
    now: Timestamp,
}

impl Stage {
    fn begin() -> (Self, Token) {
        let (realm, now) = (Realm::new("test"), Timestamp::from_millis(1_000_000));
        let token = Token::issue(now, &SystemEntropy).expect("there is randomness");
        let record = Record::new(
            Revision::from_bits(1),
            now,
            Limits::begin(Expiry::default(), now),
            realm.digest(&token),
            Entries::new(),
        );
        (Self { realm, record, now }, token)
    }

    /// Presents a token: what it is, and the token to hold from now on.
    fn present(&mut self, token: &Token) -> (Presented, Option<Token>) {
        let rotation = Rotation::every(EVERY).grace(GRACE);
        let presented = Secrets::judge(&self.record, &self.realm.digest(token), self.now);
        let advanced = Secrets::advanced(
            &self.record,
            token,
            &self.realm,
            self.now,
            rotation,
            &SystemEntropy,
        );
        if let Some((digest, secrets)) = advanced.expect("there is randomness") {
            let mut entries = self.record.entries().clone();
            secrets.put_into(&mut entries);
            let (seen, limits) = (self.record.seen(), self.record.limits());
            self.record = Record::new(self.record.revision(), seen, limits, digest, entries);
        }
        (presented, Secrets::newer(&self.record, token, &self.realm))
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now.plus(time);
    }
}

fn same(one: &Token, two: &Token) -> bool {
    one.encode() == two.encode()
}

#[test]
fn a_young_secret_stays() {
    let (mut stage, token) = Stage::begin();
    stage.pass(EVERY - Duration::from_millis(1));
    let (presented, newer) = stage.present(&token);
    assert_eq!(presented, Presented::Current);
    assert!(newer.is_none() && !Secrets::are_several(stage.record.entries()));
}

#[test]
fn all_that_present_the_old_secret_are_offered_the_same_new_one() {
    let (mut stage, token) = Stage::begin();
    stage.pass(EVERY);
    let (_, first) = stage.present(&token);
    let first = first.expect("it is time");
    assert!(!same(&first, &token) && first.id() == token.id());
    // The answers may all be lost, for as long as they like.
    for _ in 0..5 {
        stage.pass(EVERY * 10);
        let (presented, again) = stage.present(&token);
        assert_eq!(presented, Presented::Current);
        assert!(same(&again.unwrap(), &first));
    }
}

#[test]
fn the_old_secret_retires_after_the_new_one_was_presented_and_a_grace() {
    let (mut stage, token) = Stage::begin();
    stage.pass(EVERY);
    let next = stage.present(&token).1.unwrap();
    let (presented, newer) = stage.present(&next);
    assert_eq!(presented, Presented::Next);
    assert!(newer.is_none());
    assert_eq!(stage.present(&next).0, Presented::Current);

    stage.pass(GRACE - Duration::from_millis(1));
    let (presented, newer) = stage.present(&token);
    assert_eq!(presented, Presented::Before);
    assert!(same(&newer.unwrap(), &next), "it is led to the new one");
    stage.pass(Duration::from_millis(1));
    assert_eq!(stage.present(&token).0, Presented::Retired);
}

#[test]
fn retired_secrets_are_remembered_over_several_rotations_and_not_for_ever() {
    let (mut stage, token) = Stage::begin();
    let mut held = vec![token];
    for _ in 0..8 {
        stage.pass(EVERY);
        let next = stage.present(held.last().unwrap()).1.unwrap();
        assert_eq!(stage.present(&next).0, Presented::Next);
        held.push(next);
    }
    stage.pass(GRACE);
    let judged: Vec<_> = held.iter().map(|token| stage.present(token).0).collect();
    assert_eq!(judged[..3], [Presented::Wrong; 3]);
    assert_eq!(judged[3..8], [Presented::Retired; 5]);
    assert_eq!(judged[8], Presented::Current);
}

#[test]
fn a_secret_that_was_never_the_sessions_is_wrong_and_no_theft() {
    let (mut stage, token) = Stage::begin();
    stage.pass(EVERY);
    let next = stage.present(&token).1.unwrap();
    stage.present(&next);
    stage.pass(GRACE * 2);
    let stranger = token.rotated(&[7; 16]);
    assert_eq!(stranger.id(), token.id());
    assert_eq!(stage.present(&stranger).0, Presented::Wrong);
}

#[test]
fn neither_nonce_nor_digest_alone_leads_to_a_secret() {
    let (mut stage, token) = Stage::begin();
    stage.pass(EVERY);
    let next = stage.present(&token).1.unwrap();
    let stored = stage.record.entries().entry(Secrets::KEY).unwrap().json();
    for token in [&token, &next] {
        let secret = &token.encode()[22..];
        assert!(!stored.contains(secret));
    }
}
