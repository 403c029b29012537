//! What a layer was configured with, shared by all its requests.

use std::sync::Arc;
use std::time::Duration;

use cloakroom_core::arrival::Arrival;
use cloakroom_core::index::OLD;
use cloakroom_core::rotation::Rotation;
use cloakroom_core::{
    Authentication, Clock, Entries, Entropy, Expiry, Realm, SessionId, Store, SystemClock,
    SystemEntropy, UserId, UserKey, codec,
};

use crate::cookie::{CookieConfig, TokenHeader};
use crate::device::Devices;
use crate::end_notifier::Hub;
use crate::key_lock::Turns;
use crate::migration::Arrivals;
use crate::revocation::Epoch;
use crate::session_limit::SessionLimit;
use crate::store::AnyStore;
use crate::telemetry::log::Once;

/// How long a tombstone stays: longer than any request that was under way can take.
pub(crate) const TOMBSTONE_TTL: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) store: Arc<dyn AnyStore>,
    pub(crate) cookie: CookieConfig,
    pub(crate) realm: Realm,
    pub(crate) token_header: Option<TokenHeader>,
    pub(crate) expiry: Expiry,
    /// The rule for sessions that nobody has signed in to, if it is another.
    pub(crate) anonymous_expiry: Option<Expiry>,
    /// The longest absolute timeout that a session may choose for itself.
    pub(crate) longest: Duration,
    pub(crate) rotation: Option<Rotation>,
    /// Sessions of another system that move in.
    pub(crate) arrivals: Option<Arc<Arrivals>>,
    pub(crate) session_limit: Option<SessionLimit>,
    pub(crate) devices: Option<Arc<Devices>>,
    pub(crate) tells: bool,
    pub(crate) budget: Duration,
    pub(crate) max_record_size: usize,
    pub(crate) error_policy: ErrorPolicy,
    pub(crate) conflict_policy: ConflictPolicy,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) turns: Arc<Turns>,
    pub(crate) once: Arc<Once>,
    pub(crate) epoch: Arc<Epoch>,
    pub(crate) hub: Arc<Hub>,
}

/// What happens to a session's unsaved edits when the response is an error: a 5xx, or a 408.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorPolicy {
    /// They are discarded, as a database transaction is rolled back; the default. What the handler
    /// awaited (a sign-in, an explicit save, the end of the session) stands.
    #[default]
    Discard,
    /// They are saved, as for any other response.
    Commit,
}

/// What happens when an edit would replace a value that another request changed in the meantime,
/// without having seen it. ([`Session::update`](crate::Session::update) sees it, and merges.)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConflictPolicy {
    /// The later edit wins, and an event names the entry; the default.
    #[default]
    LastWriteWins,
    /// Nothing is saved, and the response is a 409.
    Reject,
}

impl Context {
    /// 64 KiB: every request that uses its session moves the whole record, so a larger one costs
    /// more than the query that it spares.
    const MAX_RECORD_SIZE: usize = 64 * 1024;

    pub(crate) fn new(store: impl Store) -> Self {
        Self {
            store: Arc::new(store),
            cookie: CookieConfig::default(),
            realm: Realm::new(CookieConfig::DEFAULT_NAME),
            token_header: None,
            expiry: Expiry::default(),
            anonymous_expiry: None,
            rotation: None,
            arrivals: None,
            session_limit: None,
            devices: None,
            tells: true,
            longest: Expiry::LONGEST,
            budget: Duration::from_secs(1),
            max_record_size: Self::MAX_RECORD_SIZE.min(codec::LONGEST),
            error_policy: ErrorPolicy::default(),
            conflict_policy: ConflictPolicy::default(),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            turns: Arc::new(Turns::new()),
            once: Arc::default(),
            epoch: Arc::default(),
            hub: Arc::default(),
        }
    }

    /// How long a session with these entries lives, by the layer's rule.
    pub(crate) fn rule(&self, entries: &Entries) -> Expiry {
        match self.anonymous_expiry {
            Some(anonymous) if !entries.contains(Authentication::KEY) => anonymous,
            _ => self.expiry,
        }
    }

    /// How the token of a session with these entries rotates. One that has moved in keeps the secret
    /// that follows from its old id, to which old cookies lead, until it is renewed.
    pub(crate) fn rotation(&self, entries: &Entries) -> Option<Rotation> {
        self.rotation.filter(|_| !entries.contains(Arrival::KEY))
    }

    /// Whether no session can begin under an id any more, since it was issued too long ago. Ids of
    /// sessions that move in are as old as the move.
    pub(crate) fn is_old(&self, id: SessionId) -> bool {
        let may_begin = |arrivals: &Arc<Arrivals>| arrivals.may_begin(id);
        self.clock.now().since(id.created_at()) >= OLD
            && !self.arrivals.as_ref().is_some_and(may_begin)
    }

    /// Whether requests are looked through for cookies.
    pub(crate) fn reads_cookies(&self) -> bool {
        !self
            .token_header
            .as_ref()
            .is_some_and(TokenHeader::is_alone)
    }

    /// Under what the store finds a user's sessions.
    pub(crate) fn user_key(&self, user: &UserId) -> UserKey {
        UserKey::new(&self.realm, user)
    }

    /// How long a session can live under one id.
    pub(crate) fn longest_life(&self) -> Duration {
        let anonymous = self.anonymous_expiry.unwrap_or(self.expiry);
        self.longest
            .max(self.expiry.absolute_timeout())
            .max(anonymous.absolute_timeout())
    }
}
