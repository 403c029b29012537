//! Captures the log of the code under test.

use std::cell::RefCell;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, Once, PoisonError};

use tracing_subscriber::Layer;
use tracing_subscriber::filter::dynamic_filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

thread_local! {
    /// Where this thread's log is written, if a test captures it.
    static CAPTURED: RefCell<Option<Text>> = const { RefCell::new(None) };
}

/// The log of this thread at every level, until it is dropped. For tests on one thread, such as those of
/// `#[tokio::test]`.
#[derive(Debug)]
#[must_use]
pub struct Log {
    text: Text,
}

type Text = Arc<Mutex<Vec<u8>>>;

/// Installs one subscriber for all threads. With a subscriber per test, the interest of an event could be
/// cached as "never" by a thread without one, and the event would be disabled for all.
///
/// Threads that capture nothing are filtered out, so that formatting does not slow down the other tests of
/// the binary.
pub(crate) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let is_captured = dynamic_filter_fn(|_, _| CAPTURED.with_borrow(Option::is_some));
        let layer = tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .with_writer(ThisThread)
            .with_filter(is_captured);
        tracing_subscriber::registry().with(layer).init();
    });
}

impl Log {
    /// Starts capturing.
    pub fn capture() -> Self {
        install();
        let text = Text::default();
        CAPTURED.set(Some(Arc::clone(&text)));
        Self { text }
    }

    /// The log so far.
    #[must_use]
    pub fn text(&self) -> String {
        let bytes = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// How many times it contains a text.
    #[must_use]
    pub fn count(&self, what: &str) -> usize {
        self.text().matches(what).count()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        CAPTURED.set(None);
    }
}

struct ThisThread;

impl Write for ThisThread {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        CAPTURED.with_borrow(|captured| {
            if let Some(text) = captured {
                let mut text = text.lock().unwrap_or_else(PoisonError::into_inner);
                text.extend_from_slice(bytes);
            }
        });
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for ThisThread {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        Self
    }
}
