//! A virtual clock, which starts anew with each schedule.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::ops::{Add, AddAssign, Sub};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
pub use std::time::Duration;

thread_local! {
    static CLOCK: RefCell<Clock> = const { RefCell::new(Clock::new()) };
}

struct Clock {
    now: Duration,
    next: u64,
    /// The futures that end at a time.
    waiting: Vec<(u64, Duration, Waker)>,
}

impl Clock {
    const fn new() -> Self {
        Self {
            now: Duration::ZERO,
            next: 0,
            waiting: Vec::new(),
        }
    }
}

/// Starts a schedule.
pub(crate) fn reset() {
    let old = CLOCK.replace(Clock::new());
    drop(old);
}

/// Lets time pass until a time.
fn advance_to(now: Duration) {
    let due = CLOCK.with_borrow_mut(|clock| {
        clock.now = clock.now.max(now);
        let now = clock.now;
        let due = clock.waiting.extract_if(.., |(_, at, _)| *at <= now);
        due.collect::<Vec<_>>()
    });
    for (_, _, waker) in due {
        waker.wake();
    }
}

/// Lets time pass.
pub fn advance(time: Duration) {
    advance_to(CLOCK.with_borrow(|clock| clock.now) + time);
}

/// A moment of the virtual clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(Duration);

impl Instant {
    /// Returns the current moment.
    #[must_use]
    pub fn now() -> Self {
        Self(CLOCK.with_borrow(|clock| clock.now))
    }

    /// Returns the time since this moment.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        Self::now().saturating_duration_since(*self)
    }

    /// Returns the time since an earlier moment, or zero.
    #[must_use]
    pub fn saturating_duration_since(&self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// Returns the time since an earlier moment, or zero.
    #[must_use]
    pub fn duration_since(&self, earlier: Self) -> Duration {
        self.saturating_duration_since(earlier)
    }

    /// Returns the time since a moment, unless that is later.
    #[must_use]
    pub fn checked_duration_since(&self, earlier: Self) -> Option<Duration> {
        self.0.checked_sub(earlier.0)
    }

    /// Returns a later moment, if there is one.
    #[must_use]
    pub fn checked_add(&self, time: Duration) -> Option<Self> {
        self.0.checked_add(time).map(Self)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, time: Duration) -> Self {
        Self(self.0 + time)
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, time: Duration) {
        self.0 += time;
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    fn sub(self, time: Duration) -> Self {
        Self(self.0.saturating_sub(time))
    }
}

/// Waits until another task moves the clock.
struct Deadline {
    at: Duration,
    id: Option<u64>,
}

impl Future for Deadline {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let (at, id) = (self.at, self.id);
        CLOCK.with_borrow_mut(|clock| {
            if clock.now >= at {
                return Poll::Ready(());
            }
            clock.waiting.retain(|(one, _, _)| Some(*one) != id);
            clock.next += 1;
            self.id = Some(clock.next);
            clock.waiting.push((clock.next, at, cx.waker().clone()));
            Poll::Pending
        })
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            // Where the thread ends, there is no clock any more.
            let _ = CLOCK.try_with(|clock| {
                let mut clock = clock.borrow_mut();
                clock.waiting.retain(|(one, _, _)| *one != id);
            });
        }
    }
}

/// A sleep that is shorter than this is a pause. A longer one is a time limit or an interval.
const PAUSE: Duration = Duration::from_millis(100);

/// Sleeps. A pause ends at any later step, and moves the clock; anything longer ends when another task has moved the
/// clock so far.
pub async fn sleep(time: Duration) {
    sleep_until(Instant::now() + time).await;
}

/// Sleeps, as [`sleep`] does.
pub async fn sleep_until(at: Instant) {
    if at.saturating_duration_since(Instant::now()) < PAUSE {
        crate::task::yield_now().await;
        advance_to(at.0);
    } else {
        Deadline { at: at.0, id: None }.await;
    }
}

/// The time has passed.
#[derive(Debug, PartialEq, Eq)]
pub struct Elapsed(());

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time has passed")
    }
}

impl std::error::Error for Elapsed {}

/// Waits for a future, until another task has moved the clock for so long.
///
/// # Errors
///
/// Fails if the time has passed.
pub async fn timeout<F: Future>(time: Duration, future: F) -> Result<F::Output, Elapsed> {
    timeout_at(Instant::now() + time, future).await
}

/// Waits for a future, until another task has moved the clock.
///
/// # Errors
///
/// Fails if the time has passed.
pub async fn timeout_at<F: Future>(at: Instant, future: F) -> Result<F::Output, Elapsed> {
    let mut future = pin!(future);
    let mut deadline = pin!(Deadline { at: at.0, id: None });
    std::future::poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        deadline.as_mut().poll(cx).map(|()| Err(Elapsed(())))
    })
    .await
}
