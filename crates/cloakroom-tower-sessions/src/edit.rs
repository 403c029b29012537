//! Reads and edits Cloakroom's sessions with the data of tower-sessions.

use cloakroom::{DetachedSession, Session, SessionError};
use serde_json::Value;

use crate::diff::{Data, Difference};

type Result<T> = std::result::Result<T, SessionError>;

/// Returns the data of a session.
pub(crate) fn data_of(session: &Session) -> Result<Data> {
    let mut data = Data::new();
    for key in session.keys() {
        if let Some(value) = session.get(&*key)? {
            data.insert(key, value);
        }
    }
    Ok(data)
}

/// Applies changes to a session.
pub(crate) fn put_into(session: &mut impl Edit, difference: &Difference) -> Result<()> {
    if difference.clears {
        session.clear()?;
    }
    for key in &difference.removed {
        session.remove(key)?;
    }
    for (key, value) in &difference.set {
        session.insert(key, value)?;
    }
    Ok(())
}

/// A session that can be edited: a request's, or a detached one.
pub(crate) trait Edit {
    fn clear(&mut self) -> Result<()>;
    fn remove(&mut self, key: &str) -> Result<()>;
    fn insert(&mut self, key: &str, value: &Value) -> Result<()>;
}

impl Edit for &Session {
    fn clear(&mut self) -> Result<()> {
        Session::clear(self)
    }

    fn remove(&mut self, key: &str) -> Result<()> {
        Session::remove(self, key)
    }

    fn insert(&mut self, key: &str, value: &Value) -> Result<()> {
        Session::insert(self, key, value)
    }
}

impl Edit for DetachedSession {
    fn clear(&mut self) -> Result<()> {
        Self::clear(self)
    }

    fn remove(&mut self, key: &str) -> Result<()> {
        Self::remove(self, key)
    }

    fn insert(&mut self, key: &str, value: &Value) -> Result<()> {
        Self::insert(self, key, value)
    }
}
