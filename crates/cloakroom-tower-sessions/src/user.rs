//! Who is signed in, by the data of a tower-sessions session.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cloakroom::UserId;

use crate::diff::Data;

type FindUser = dyn Fn(&Data) -> Option<UserId> + Send + Sync;

/// How the bridge finds the user in the data; shared by all requests of a layer.
#[derive(Clone, Default)]
pub(crate) struct UserFinder {
    find: Option<Arc<FindUser>>,
    warned: Arc<AtomicBool>,
}

/// What a request has done to the user of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum UserChange {
    Nothing,
    /// Another user, or one where there was none.
    SignedIn(UserId),
    /// The user was removed from the data.
    Removed,
}

impl UserFinder {
    pub(crate) fn new(find: impl Fn(&Data) -> Option<UserId> + Send + Sync + 'static) -> Self {
        Self {
            find: Some(Arc::new(find)),
            warned: Arc::default(),
        }
    }

    /// Compares the user in two states of the data. Nothing has changed if it is not known how to find the user.
    pub(crate) fn change(&self, before: &Data, now: &Data) -> UserChange {
        let Some(find) = &self.find else {
            return UserChange::Nothing;
        };
        match (find(before), find(now)) {
            (before, now) if before == now => UserChange::Nothing,
            (_, Some(user)) => UserChange::SignedIn(user),
            (_, None) => UserChange::Removed,
        }
    }

    /// Logs, once for each layer, that a renewal was discarded which may have been a sign-in.
    pub(crate) fn warn_of_discarded_renewal(&self) {
        if self.find.is_none() && !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "`cycle_id` and edits were discarded, since the session had ended; \
                 if that was a sign-in, configure `BridgeLayer::with_user`; logged once"
            );
        }
    }
}

impl fmt::Debug for UserFinder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserFinder")
            .field("is_configured", &self.find.is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn data(user: Option<&str>) -> Data {
        let user = user.map(|user| ("user".to_owned(), Value::from(user)));
        user.into_iter().collect()
    }

    #[test]
    fn a_change_of_the_user_is_a_sign_in_or_a_removal() {
        let finder = UserFinder::new(|data: &Data| Some(data.get("user")?.as_str()?.into()));
        let change = |before, now| finder.change(&data(before), &data(now));
        assert_eq!(change(None, None), UserChange::Nothing);
        assert_eq!(change(Some("ada"), Some("ada")), UserChange::Nothing);
        let ada = UserChange::SignedIn("ada".into());
        assert_eq!(change(None, Some("ada")), ada);
        assert_eq!(change(Some("bob"), Some("ada")), ada);
        assert_eq!(change(Some("ada"), None), UserChange::Removed);
        let unknown = UserFinder::default();
        assert_eq!(
            unknown.change(&data(None), &data(Some("ada"))),
            UserChange::Nothing
        );
    }
}
