//! Code of the app that panics: it must not leave a lease behind, for which all servers would wait.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;

/// Calls a function of the app that encodes or decodes. A panic is an error.
pub(crate) fn convert<T>(call: impl FnOnce() -> serde_json::Result<T>) -> serde_json::Result<T> {
    catch_unwind(AssertUnwindSafe(call))
        .unwrap_or_else(|_| Err(serde::ser::Error::custom("the conversion has panicked")))
}

/// Calls an asynchronous function of the app, and waits for it; `None` if either panics.
pub(crate) async fn run<T, F>(call: impl FnOnce() -> Pin<Box<F>>) -> Option<T>
where
    F: Future<Output = T> + ?Sized,
{
    let mut future = catch_unwind(AssertUnwindSafe(call)).ok()?;
    // After a panic, it is not polled again.
    poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context)));
        polled.map_or(std::task::Poll::Ready(None), |polled| polled.map(Some))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversion_that_panics_is_an_error() {
        assert_eq!(convert(|| Ok(1)).unwrap(), 1);
        convert::<u64>(|| panic!("a panic for the test")).unwrap_err();
    }

    #[tokio::test]
    async fn a_panic_when_called_or_polled_is_caught() {
        assert_eq!(run(|| Box::pin(async { 1 })).await, Some(1));
        type Never = std::future::Ready<u64>;
        let called = run(|| -> Pin<Box<Never>> { panic!("a panic for the test") });
        assert_eq!(called.await, None);
        let polled = run(|| {
            Box::pin(async {
                tokio::task::yield_now().await;
                assert!(std::hint::black_box(false), "a panic for the test");
            })
        });
        assert_eq!(polled.await, None);
    }
}
