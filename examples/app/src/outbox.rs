//! Mail, which this example keeps instead of sending it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// How many letters are kept: the newest ones.
const MAX_LETTERS: usize = 100;

/// The letters that were sent. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Outbox(Arc<Mutex<VecDeque<Letter>>>);

/// A letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// The address.
    pub to: String,
    /// The code that it contains.
    pub code: String,
}

impl Outbox {
    pub(crate) fn send(&self, to: &str, code: &str) {
        let mut letters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        letters.truncate(MAX_LETTERS - 1);
        letters.push_front(Letter {
            to: to.to_owned(),
            code: code.to_owned(),
        });
    }

    /// Returns the newest letter to an address.
    #[must_use]
    pub fn newest(&self, to: &str) -> Option<Letter> {
        let letters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        letters.iter().find(|letter| letter.to == to).cloned()
    }
}
