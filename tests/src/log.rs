//! What the code under test tells the log, kept for the test to read.

use std::cell::RefCell;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, Once, PoisonError};

use tracing_subscriber::fmt::MakeWriter;

thread_local! {
    /// Where this thread's log is kept, if a test reads it.
    static KEPT: RefCell<Option<Text>> = const { RefCell::new(None) };
}

/// The log of this thread, at every level, as long as it is kept. For tests on one thread, such as
/// those of `#[tokio::test]`.
#[derive(Debug)]
#[must_use]
pub struct Log {
    text: Text,
}

type Text = Arc<Mutex<Vec<u8>>>;

/// One subscriber for all threads: were each test to bring its own, an event that another thread
/// meets first could be switched off for all.
pub(crate) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(ThisThread)
            .init();
    });
}

impl Log {
    /// Begins to keep the log.
    pub fn keep() -> Self {
        install();
        let text = Text::default();
        KEPT.set(Some(Arc::clone(&text)));
        Self { text }
    }

    /// All that was told so far.
    #[must_use]
    pub fn text(&self) -> String {
        let bytes = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// How many times it tells this.
    #[must_use]
    pub fn count(&self, what: &str) -> usize {
        self.text().matches(what).count()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        KEPT.set(None);
    }
}

struct ThisThread;

impl Write for ThisThread {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        KEPT.with_borrow(|kept| {
            if let Some(text) = kept {
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
