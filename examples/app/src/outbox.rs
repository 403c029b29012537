//! Mail, which this example prints and keeps instead of sending it.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// How many letters are kept: the newest ones.
const MAX_LETTERS: usize = 100;

/// The letters that were sent. Clones share them.
#[derive(Clone, Debug)]
pub struct Outbox {
    letters: Arc<Mutex<VecDeque<Letter>>>,
    is_printed: bool,
}

/// A letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// The address.
    pub to: String,
    /// The code that it contains.
    pub code: String,
}

impl Outbox {
    pub(crate) fn new(is_printed: bool) -> Self {
        Self {
            letters: Arc::default(),
            is_printed,
        }
    }

    pub(crate) fn send(&self, to: &str, code: &str) {
        if self.is_printed {
            // Nobody may read the output.
            drop(writeln!(io::stdout(), "Mail to {to}: the code is {code}."));
        }
        let mut letters = self.letters.lock().unwrap_or_else(PoisonError::into_inner);
        letters.truncate(MAX_LETTERS - 1);
        letters.push_front(Letter {
            to: to.to_owned(),
            code: code.to_owned(),
        });
    }

    /// Returns the newest letter to an address.
    #[must_use]
    pub fn newest(&self, to: &str) -> Option<Letter> {
        let letters = self.letters.lock().unwrap_or_else(PoisonError::into_inner);
        letters.iter().find(|letter| letter.to == to).cloned()
    }
}
