//! When a session expires: by arithmetic, and with a store.

mod support;

use std::time::Duration;

use cloakroom_core::store::{Created, Loaded};
use cloakroom_core::{
    Clock, Digest, Entries, Expiry, Limits, ManualClock, MemoryStore, Record, Revision, SessionId,
    Store, SystemRng, Timestamp, Token,
};
use proptest::collection::vec;
use proptest::prelude::*;
use tokio::runtime::Builder;

const MILLI: Duration = Duration::from_millis(1);

fn millis(range: std::ops::Range<u64>) -> impl Strategy<Value = Duration> {
    range.prop_map(Duration::from_millis)
}

/// Any time between 1970 and 2100.
fn time() -> impl Strategy<Value = Timestamp> {
    (0..4_102_444_800_000_u64).prop_map(Timestamp::from_millis)
}

/// Valid timeouts, short enough to end in a test.
fn expiry() -> impl Strategy<Value = Expiry> {
    let timeout = || prop_oneof![millis(1_000..60_000), millis(1_000..3_000_000_000)];
    (timeout(), timeout())
        .prop_map(|(one, other)| Expiry::idle(one.min(other)).absolute(one.max(other)))
}

fn limits() -> impl Strategy<Value = Limits> {
    (expiry(), time(), any::<bool>()).prop_map(|(expiry, now, chosen)| {
        if chosen {
            Limits::chosen(expiry, now)
        } else {
            Limits::begin(expiry, now)
        }
    })
}

proptest! {
    #![proptest_config(support::config(support::regressions!("expiry")))]

    #[test]
    fn a_ttl_exceeds_neither_limit(limits in limits(), now in time()) {
        match limits.ttl(now) {
            None => prop_assert!(now >= limits.deadline()),
            Some(ttl) => {
                prop_assert!(ttl > Duration::ZERO);
                prop_assert!(ttl <= limits.idle());
                prop_assert!(now.plus(ttl) <= limits.deadline());
                prop_assert_eq!(limits.expires_at(now), now.plus(ttl));
            }
        }
    }

    #[test]
    fn a_session_used_now_is_expired_if_it_has_no_ttl(limits in limits(), now in time()) {
        prop_assert_eq!(limits.is_expired(now, now), limits.ttl(now).is_none());
    }

    #[test]
    fn expiry_is_the_expiry_time_plus_at_most_the_tolerance(
        limits in limits(),
        seen in time(),
        gap in millis(0..6_000_000_000),
    ) {
        let now = seen.plus(gap);
        let expires = limits.expires_at(seen);
        if limits.is_expired(now, seen) {
            prop_assert!(now >= expires);
        }
        if now >= expires.plus(Limits::CLOCK_TOLERANCE) {
            prop_assert!(limits.is_expired(now, seen));
        }
    }

    #[test]
    fn clocks_within_the_tolerance_expire_nothing_early(
        expiry in expiry(),
        seen in time(),
        unused in 0.0..1.0_f64,
        ahead in millis(0..5_001),
    ) {
        let expiry = expiry.absolute(Expiry::MAX);
        let limits = Limits::begin(expiry, seen);
        let unused = limits.idle().mul_f64(unused).saturating_sub(MILLI);
        prop_assert!(!limits.is_expired(seen.plus(unused).plus(ahead), seen));
    }

    #[test]
    fn a_clock_that_goes_back_expires_nothing_and_touches_only_beyond_the_tolerance(
        limits in limits(),
        seen in time(),
        back in prop_oneof![1..10_000_u64, 1..1_000_000_000_u64],
    ) {
        let now = Timestamp::from_millis(seen.as_millis().saturating_sub(back));
        prop_assume!(now < seen);
        prop_assert_eq!(limits.is_expired(now, seen), now >= limits.deadline());
        let is_wrong = seen.since(now) > Limits::CLOCK_TOLERANCE;
        prop_assert_eq!(limits.touch_due(now, seen), is_wrong);
        prop_assert!(limits.ttl(now).is_none_or(|ttl| ttl <= limits.idle()));
    }

    #[test]
    fn a_touch_is_due_after_a_tenth_of_the_idle_timeout(
        limits in limits(),
        seen in time(),
        gap in millis(0..3_000_000_000),
    ) {
        prop_assert_eq!(limits.touch_due(seen.plus(gap), seen), gap * 10 >= limits.idle());
    }

    #[test]
    fn the_layers_timeouts_neither_extend_a_deadline_nor_change_chosen_limits(
        limits in limits(),
        rule in expiry(),
        created in time(),
    ) {
        let under = limits.clamped_to(rule, created);
        if limits.is_chosen() {
            prop_assert_eq!(under, limits);
        } else {
            prop_assert!(under.deadline() <= limits.deadline());
            prop_assert!(under.deadline() <= created.plus(rule.absolute_timeout()));
            prop_assert_eq!(under.idle(), rule.idle_timeout());
            prop_assert!(!under.is_chosen());
        }
        prop_assert_eq!(under.clamped_to(rule, created), under);
    }

    #[test]
    fn no_timeout_overflows(idle: Duration, absolute: Duration, now: u64, seen: u64) {
        let expiry = Expiry::idle(idle).absolute(absolute);
        let (now, seen) = (Timestamp::from_millis(now), Timestamp::from_millis(seen));
        for limits in [Limits::begin(expiry, now), Limits::from_parts(idle, seen, true)] {
            let _ = (limits.ttl(now), limits.is_expired(now, seen), limits.touch_due(now, seen));
            let _ = (limits.expires_at(seen), limits.clamped_to(expiry, seen));
        }
    }

    #[test]
    fn a_session_lives_as_long_as_its_uses_and_limits_say(
        idle in millis(1_000..100_000),
        factor in 1..30_u32,
        gaps in vec(gap(), 1..60),
    ) {
        let expiry = Expiry::idle(idle).absolute(idle * factor);
        let runtime = Builder::new_current_thread().build().expect("a runtime without I/O");
        runtime.block_on(async {
            let mut session = StoredSession::begin(expiry).await;
            for gap in gaps {
                session.wait_and_use(idle * gap / 1000).await;
            }
        });
    }
}

/// The time between two uses of a session, in thousandths of its idle timeout: mostly under 0.9.
fn gap() -> impl Strategy<Value = u32> {
    prop_oneof![4 => 0..100_u32, 8 => 0..=900_u32, 1 => 900..1_200_u32]
}

/// A session in a store, and its expected state.
struct StoredSession {
    clock: ManualClock,
    store: MemoryStore,
    id: SessionId,
    /// The limits at creation.
    limits: Limits,
    used: Timestamp,
    expired: bool,
}

impl StoredSession {
    async fn begin(expiry: Expiry) -> Self {
        let clock = ManualClock::default();
        let store = MemoryStore::with_clock(clock.clone());
        let now = clock.now();
        let id = Token::issue(now, &SystemRng).expect("randomness").id();
        let limits = Limits::begin(expiry, now);
        let (revision, digest) = (Revision::from_bits(1), Digest::from_bytes([0; 32]));
        let record = Record::new(revision, now, limits, digest, Entries::new());
        let ttl = limits.ttl(now).expect("it was just created");
        let created = store.create(id, &record, ttl).await;
        assert_eq!(created.expect("memory does not fail"), Created::Created);
        Self {
            clock,
            store,
            id,
            limits,
            used: now,
            expired: false,
        }
    }

    /// Makes a request after `gap`, as the session layer handles it: load, check, and touch when due.
    async fn wait_and_use(&mut self, gap: Duration) {
        self.clock.advance(gap);
        let now = self.clock.now();
        let found = match self
            .store
            .load(self.id)
            .await
            .expect("memory does not fail")
        {
            Loaded::Record(record) if !record.limits().is_expired(now, record.last_seen()) => {
                Some(record)
            }
            _ => None,
        };
        self.check(now, gap, found.as_ref());
        let Some(record) = found else { return };
        if record.limits().touch_due(now, record.last_seen()) {
            let ttl = record.limits().ttl(now).expect("it has not expired");
            let touched = self.store.touch(self.id, record.revision(), now, ttl);
            touched.await.expect("memory does not fail");
        }
        self.used = now;
    }

    fn check(&mut self, now: Timestamp, gap: Duration, found: Option<&Record>) {
        let idle = self.limits.idle();
        let past_deadline = now >= self.limits.deadline();
        if let Some(record) = found {
            assert!(!self.expired, "it is live again");
            assert!(!past_deadline, "it outlived its deadline");
            assert!(now.since(self.used) < idle, "it outlived its idle timeout");
            assert_eq!(record.limits(), self.limits, "a touch moved its limits");
        } else if !self.expired {
            let unused = gap * 10 > idle * 9;
            assert!(
                unused || past_deadline,
                "it ended {gap:?} after its last use"
            );
            self.expired = true;
        }
    }
}

#[test]
fn timeouts_are_bounded() {
    let (shortest, longest) = (Expiry::MIN, Expiry::MAX);
    assert_eq!(longest, Duration::from_secs(400 * 24 * 60 * 60));
    let valid = |idle, absolute| Expiry::idle(idle).absolute(absolute).validate().is_ok();
    assert!(Expiry::default().validate().is_ok());
    assert!(valid(shortest, shortest));
    assert!(valid(shortest, longest));
    assert!(valid(longest, longest));
    assert!(!valid(longest + MILLI, longest));
    assert!(!valid(shortest + MILLI, shortest));
    assert!(!valid(shortest - MILLI, longest));
    assert!(!valid(shortest, shortest - MILLI));
    assert!(!valid(shortest, longest + MILLI));
    assert!(!valid(Duration::ZERO, Duration::ZERO));
    let error = Expiry::idle(Duration::ZERO).validate().unwrap_err();
    assert!(error.to_string().contains("at least 1s"));
    let error = Expiry::idle(Duration::from_secs(90 * 24 * 60 * 60)).validate();
    let error = error.expect_err("it would end on day 30").to_string();
    assert!(error.contains("`Expiry::absolute`"), "{error}");
}

#[test]
fn an_idle_timeout_of_zero_gives_no_ttl() {
    let now = Timestamp::from_millis(1_000);
    let limits = Limits::from_parts(Duration::ZERO, now.plus(Duration::from_secs(9)), true);
    assert_eq!(limits.ttl(now), None);
}

#[test]
fn a_session_expires_at_its_limits_and_not_earlier() {
    let seen = Timestamp::from_millis(1_000);
    let expiry = Expiry::idle(Duration::from_secs(60));
    let is_expired = |limits: Limits, after: Duration| limits.is_expired(seen.plus(after), seen);

    let idle = expiry.idle_timeout() + Limits::CLOCK_TOLERANCE;
    assert!(!is_expired(Limits::begin(expiry, seen), idle - MILLI));
    assert!(is_expired(Limits::begin(expiry, seen), idle));

    let absolute = Duration::from_secs(30);
    let limits = Limits::begin(expiry.absolute(absolute), seen);
    assert!(!is_expired(limits, absolute - MILLI));
    assert!(is_expired(limits, absolute));
    assert_eq!(limits.ttl(seen.plus(absolute - MILLI)), Some(MILLI));
    assert_eq!(limits.ttl(seen.plus(absolute)), None);
}

#[test]
fn the_named_timeouts_are_those_of_the_standard() {
    let hours = |hours: u64| Duration::from_secs(hours * 60 * 60);
    let timeouts = |expiry: Expiry| (expiry.idle_timeout(), expiry.absolute_timeout());
    assert_eq!(timeouts(Expiry::default()), (hours(24), hours(30 * 24)));
    assert_eq!(timeouts(Expiry::aal1()), (hours(30 * 24), hours(30 * 24)));
    assert_eq!(timeouts(Expiry::aal2()), (hours(1), hours(24)));
    let quarter = Duration::from_secs(15 * 60);
    assert_eq!(timeouts(Expiry::aal3()), (quarter, hours(12)));
}

#[test]
fn a_deadline_is_capped_and_nothing_else_changes() {
    let at = Timestamp::from_millis;
    for chosen in [false, true] {
        let limits = |deadline| Limits::from_parts(Duration::from_secs(60), at(deadline), chosen);
        assert_eq!(limits(2_000).capped_at(at(1_999)), limits(1_999));
        assert_eq!(limits(2_000).capped_at(at(2_001)), limits(2_000));
    }
}

#[test]
fn a_last_seen_of_a_clock_within_the_tolerance_is_not_updated() {
    let seen = Timestamp::from_millis(9_000);
    let limits = Limits::begin(Expiry::default(), seen);
    assert!(!limits.touch_due(Timestamp::from_millis(4_000), seen));
    assert!(limits.touch_due(Timestamp::from_millis(3_999), seen));
}

#[test]
fn chosen_limits_say_so_and_are_otherwise_those_of_the_layer() {
    let (now, expiry) = (Timestamp::from_millis(1_000), Expiry::aal2());
    let (chosen, begun) = (Limits::chosen(expiry, now), Limits::begin(expiry, now));
    assert!(chosen.is_chosen() && !begun.is_chosen());
    assert_eq!(
        (chosen.idle(), chosen.deadline()),
        (begun.idle(), begun.deadline())
    );
    let stricter = Expiry::aal3();
    assert_eq!(chosen.clamped_to(stricter, now), chosen);
    assert_eq!(
        begun.clamped_to(stricter, now),
        Limits::begin(stricter, now)
    );
}
