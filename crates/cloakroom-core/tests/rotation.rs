//! Token rotation: the role of each presented secret in a session.

use std::time::Duration;

use cloakroom_core::rotation::{Rotation, SecretStatus, Secrets};
use cloakroom_core::{
    EndReason, Entries, Expiry, Limits, Realm, Record, Revision, SessionId, SystemRng, Timestamp,
    Token, Tombstone,
};

const EVERY: Duration = Duration::from_secs(600);
const GRACE: Duration = Duration::from_secs(60);

struct Fixture {
    id: SessionId,
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
        let id = token.id();
        let fixture = Self {
            id,
            realm,
            record,
            now,
        };
        (fixture, token)
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

    /// Adds a further secret. Returns `None` if there are too many.
    fn join(&mut self) -> Option<Token> {
        let token = Token::issue_for(self.id, &SystemRng).expect("the system has randomness");
        let digest = self.realm.digest(&token);
        let secrets = Secrets::with_alternative(&self.record, digest, self.now)?;
        let mut entries = self.record.entries().clone();
        secrets.put_into(&mut entries);
        let (seen, limits) = (self.record.last_seen(), self.record.limits());
        let digest = *self.record.digest();
        self.record = Record::new(self.record.revision(), seen, limits, digest, entries);
        Some(token)
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

#[test]
fn an_alternative_is_as_good_as_the_current_secret() {
    let (mut fixture, token) = Fixture::begin();
    let joined = fixture.join().expect("there is room");
    assert_eq!(joined.id(), token.id());
    for valid in [&token, &joined] {
        assert_eq!(fixture.present(valid).0, SecretStatus::Current);
        assert!(fixture.present(valid).1.is_none());
    }
    let unknown = Token::issue_for(token.id(), &SystemRng).expect("the system has randomness");
    assert_eq!(fixture.present(&unknown).0, SecretStatus::Wrong);
}

#[test]
fn the_alternatives_are_at_most_four() {
    let (mut fixture, token) = Fixture::begin();
    let joined: Vec<_> = std::iter::from_fn(|| fixture.join()).collect();
    assert_eq!(joined.len(), 4);
    for valid in joined.iter().chain([&token]) {
        assert_eq!(fixture.present(valid).0, SecretStatus::Current);
    }
    // Superseded ones make room when their grace period is over.
    fixture.pass(EVERY);
    let next = fixture.present(&token).1.expect("it is due");
    assert_eq!(fixture.present(&next).0, SecretStatus::Next);
    assert!(fixture.join().is_none());
    fixture.pass(GRACE);
    assert!(fixture.join().is_some());
    for retired in &joined {
        assert_eq!(fixture.present(retired).0, SecretStatus::Retired);
    }
}

#[test]
fn the_valid_secrets_are_those_that_authenticate() {
    let (mut fixture, token) = Fixture::begin();
    let mut tokens = vec![token];
    tokens.extend(std::iter::from_fn(|| fixture.join()));
    assert_valid(&fixture, &tokens, 5);
    fixture.pass(EVERY);
    for index in 0..tokens.len() {
        let next = fixture.present(&tokens[index]).1;
        tokens.push(next.expect("it is due"));
    }
    assert_valid(&fixture, &tokens, 10);
    fixture.present(&tokens[5]);
    assert_valid(&fixture, &tokens, 10);
    fixture.pass(GRACE);
    // The current one, and the next ones of the others.
    assert_valid(&fixture, &tokens, 5);
}

fn assert_valid(fixture: &Fixture, tokens: &[Token], count: usize) {
    let valid = Secrets::valid(&fixture.record, fixture.now);
    assert_eq!(valid.len(), count);
    assert_eq!(valid[0], *fixture.record.digest());
    for digest in tokens.iter().map(|token| fixture.realm.digest(token)) {
        let status = Secrets::status(&fixture.record, &digest, fixture.now);
        let authenticates = !matches!(status, SecretStatus::Retired | SecretStatus::Wrong);
        assert_eq!(valid.contains(&digest), authenticates, "{status:?}");
    }
}

/// Each holder derives the next secret from its own, and the first that presents it supersedes the others.
#[test]
fn rotation_from_an_alternative_retires_the_others_after_the_grace_period() {
    for from_alternative in [false, true] {
        let (mut fixture, token) = Fixture::begin();
        let (one, two) = (fixture.join().expect("room"), fixture.join().expect("room"));
        fixture.pass(EVERY);
        let (own, others) = if from_alternative {
            (&one, [&token, &two])
        } else {
            (&token, [&one, &two])
        };
        let next = fixture.present(own).1.expect("it is due");
        let other_next = fixture.present(others[0]).1.expect("it is due as well");
        assert!(!same(&next, &other_next));
        assert!(same(
            &fixture.present(own).1.expect("the same again"),
            &next
        ));
        assert_eq!(fixture.present(&next).0, SecretStatus::Next);
        assert_eq!(fixture.present(&next).0, SecretStatus::Current);
        fixture.pass(GRACE - Duration::from_millis(1));
        // A late response may have set any of them.
        let (role, newer) = fixture.present(own);
        assert_eq!(role, SecretStatus::Previous);
        assert!(same(&newer.expect("the successor"), &next));
        for other in others {
            let (role, newer) = fixture.present(other);
            assert_eq!(role, SecretStatus::Previous);
            assert!(newer.is_some(), "its holder goes on with one of its own");
        }
        fixture.pass(Duration::from_millis(1));
        for retired in others.into_iter().chain([own]) {
            assert_eq!(fixture.present(retired).0, SecretStatus::Retired);
        }
        assert_eq!(fixture.present(&next).0, SecretStatus::Current);
        fixture.pass(EVERY);
        let third = fixture.present(&next).1.expect("it is due");
        assert_eq!(fixture.present(&third).0, SecretStatus::Next);
        assert_eq!(fixture.present(&other_next).0, SecretStatus::Retired);
    }
}

/// The browser has received it last, and is idle for longer than the grace period.
#[test]
fn the_secret_that_replaces_a_superseded_one_outlives_the_grace_period() {
    for is_offered_before in [true, false] {
        let (mut fixture, token) = Fixture::begin();
        let joined = fixture.join().expect("room");
        fixture.pass(EVERY);
        if is_offered_before {
            fixture.present(&joined);
        }
        let next = fixture.present(&token).1.expect("it is due");
        assert_eq!(fixture.present(&next).0, SecretStatus::Next);
        let (role, newer) = fixture.present(&joined);
        assert_eq!(role, SecretStatus::Previous);
        let newer = newer.expect("one of its own");
        fixture.pass(GRACE * 10);
        assert_eq!(fixture.present(&joined).0, SecretStatus::Retired);
        // Another sign-in joins the session meanwhile.
        fixture.join().expect("room");
        assert_eq!(fixture.present(&newer).0, SecretStatus::Next);
        assert_eq!(fixture.present(&newer).0, SecretStatus::Current);
        fixture.pass(GRACE);
        assert_eq!(fixture.present(&next).0, SecretStatus::Retired);
    }
}

#[test]
fn a_superseded_secret_is_replaced_within_its_grace_period() {
    let (mut fixture, token) = Fixture::begin();
    let joined = fixture.join().expect("room");
    fixture.pass(EVERY);
    let next = fixture.present(&token).1.expect("it is due");
    assert_eq!(fixture.present(&next).0, SecretStatus::Next);
    let newer = fixture.present(&joined).1.expect("one of its own");
    assert_eq!(fixture.present(&newer).0, SecretStatus::Next);
    fixture.pass(GRACE);
    assert_eq!(fixture.present(&newer).0, SecretStatus::Current);
    assert_eq!(fixture.present(&next).0, SecretStatus::Retired);
    assert_eq!(fixture.present(&token).0, SecretStatus::Retired);
    assert_eq!(fixture.present(&joined).0, SecretStatus::Retired);
}

#[test]
fn a_secret_that_was_added_is_noticed_and_a_rotated_one_is_none() {
    let (mut fixture, token) = Fixture::begin();
    let first = fixture.record.entries().clone();
    assert!(!Secrets::have_gained(&first, &first));

    fixture.pass(EVERY);
    fixture.present(&token);
    let rotating = fixture.record.entries().clone();
    assert!(Secrets::are_rotating(&rotating));
    assert!(!Secrets::have_gained(&first, &rotating));

    fixture.join().expect("there is room");
    let joined = fixture.record.entries().clone();
    assert!(Secrets::have_gained(&first, &joined));
    assert!(Secrets::have_gained(&rotating, &joined));
    assert!(!Secrets::have_gained(&joined, &joined));

    fixture.join().expect("there is room");
    let again = fixture.record.entries().clone();
    assert!(Secrets::have_gained(&joined, &again));
    assert!(!Secrets::have_gained(&again, &joined));
}

#[test]
fn a_tombstone_that_knows_no_secret_gets_that_of_a_record_with_one() {
    let (mut fixture, token) = Fixture::begin();
    let (digest, other, at) = (fixture.realm.digest(&token), fixture.id, fixture.now);
    let unknown = Tombstone::new(None, at, EndReason::SignedOut);
    let completed = Secrets::complete(&unknown, &fixture.record);
    assert_eq!(
        completed,
        Tombstone::new(Some(digest), at, EndReason::SignedOut)
    );

    let joined = fixture.join().expect("there is room");
    assert_eq!(Secrets::complete(&unknown, &fixture.record), unknown);

    let (fixture, _) = Fixture::begin();
    let joined = fixture.realm.digest(&joined);
    for complete in [
        Tombstone::new(Some(digest), at, EndReason::SignedOut),
        Tombstone::renewed(Some(digest), at, other),
        Tombstone::renewed(None, at, other),
        unknown.with_secrets(vec![joined]),
        Tombstone::renewed_with_secrets(vec![joined], at, other),
    ] {
        assert_eq!(Secrets::complete(&complete, &fixture.record), complete);
    }
}
