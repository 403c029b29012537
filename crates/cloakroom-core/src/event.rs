//! What happens to sessions, told to whoever listens, on all servers.
//!
//! It is best effort: a message can be lost, and no promise of this project rests on one. But it is
//! never lost in silence: who may have missed something is told so.

use std::borrow::Cow;
use std::future::Future;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::sync::broadcast;

use crate::id::SessionId;
use crate::record::EndReason;
use crate::store::StoreError;
use crate::user::UserId;

/// Something that happened to a session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionEvent {
    /// A session was begun, by nobody in particular.
    Created {
        /// Its id.
        id: SessionId,
    },
    /// Somebody signed in.
    SignedIn {
        /// The new session's id.
        id: SessionId,
        /// Who.
        user: UserId,
        /// The session that it took the place of, which has ended.
        from: Option<SessionId>,
    },
    /// A session has a new id.
    Renewed {
        /// The new id.
        id: SessionId,
        /// The id that it took the place of, which has ended.
        from: SessionId,
        /// Who is signed in.
        user: Option<UserId>,
    },
    /// A session ended.
    Ended {
        /// Its id.
        id: SessionId,
        /// Who was signed in.
        user: Option<UserId>,
        /// Why.
        reason: EndReason,
    },
    /// Events may have been missed here: the connection was lost, or they came too fast. Look at
    /// what matters again.
    Missed,
}

impl SessionEvent {
    /// The session that the event says has ended, and why.
    #[must_use]
    pub fn ended(&self) -> Option<(SessionId, EndReason)> {
        match self {
            Self::Ended { id, reason, .. } => Some((*id, *reason)),
            Self::SignedIn { from, .. } => from.map(|id| (id, EndReason::Renewed)),
            Self::Renewed { from, .. } => Some((*from, EndReason::Renewed)),
            Self::Created { .. } | Self::Missed => None,
        }
    }

    /// Writes it as JSON, for a bus between servers.
    #[must_use]
    #[allow(clippy::missing_panics_doc, reason = "text is always JSON")]
    pub fn encode(&self) -> String {
        let wire = match self {
            Self::Created { id } => Wire::new("created", Some(*id)),
            Self::SignedIn { id, user, from } => Wire {
                from: from.map(Id),
                user: Some(Cow::Borrowed(user)),
                ..Wire::new("signed_in", Some(*id))
            },
            Self::Renewed { id, from, user } => Wire {
                from: Some(Id(*from)),
                user: user.as_ref().map(Cow::Borrowed),
                ..Wire::new("renewed", Some(*id))
            },
            Self::Ended { id, user, reason } => Wire {
                user: user.as_ref().map(Cow::Borrowed),
                reason: Some(reason.as_str().into()),
                ..Wire::new("ended", Some(*id))
            },
            Self::Missed => Wire::new("missed", None),
        };
        serde_json::to_string(&wire).expect("text is always JSON")
    }

    /// Reads what [`encode`](Self::encode) wrote; `None` for anything else, such as what only a
    /// newer release knows.
    #[must_use]
    pub fn decode(json: &str) -> Option<Self> {
        let wire: Wire<'_> = serde_json::from_str(json).ok()?;
        let user = wire.user.map(Cow::into_owned);
        let from = wire.from.map(|Id(id)| id);
        if wire.event == "missed" {
            return Some(Self::Missed);
        }
        let Id(id) = wire.id?;
        Some(match &*wire.event {
            "created" => Self::Created { id },
            "signed_in" => Self::SignedIn {
                id,
                user: user?,
                from,
            },
            "renewed" => Self::Renewed {
                id,
                from: from?,
                user,
            },
            "ended" => Self::Ended {
                id,
                user,
                reason: EndReason::parse(&wire.reason?),
            },
            _ => return None,
        })
    }
}

/// An event between servers.
#[derive(Serialize, Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    event: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<Id>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<Id>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<Cow<'a, UserId>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<Cow<'a, str>>,
}

impl<'a> Wire<'a> {
    fn new(event: &'a str, id: Option<SessionId>) -> Self {
        Self {
            event: event.into(),
            id: id.map(Id),
            from: None,
            user: None,
            reason: None,
        }
    }
}

/// An id as text.
struct Id(SessionId);

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map(Self).map_err(D::Error::custom)
    }
}

/// Carries events to all servers of an app.
pub trait EventBus: Send + Sync {
    /// Hands an event to everybody who listens by now. That nobody does is no error.
    fn publish(&self, event: &SessionEvent) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Begins to listen. The subscription may take a moment to hold on other servers' events; once
    /// it does, and each time it does again, it tells [`Missed`](SessionEvent::Missed).
    fn subscribe(&self) -> Subscription;
}

impl<B: EventBus> EventBus for &B {
    fn publish(&self, event: &SessionEvent) -> impl Future<Output = Result<(), StoreError>> + Send {
        (**self).publish(event)
    }

    fn subscribe(&self) -> Subscription {
        (**self).subscribe()
    }
}

/// The events from when it was made.
#[derive(Debug)]
pub struct Subscription(broadcast::Receiver<SessionEvent>);

impl Subscription {
    /// The next event; `None` once the store is gone.
    pub async fn next(&mut self) -> Option<SessionEvent> {
        match self.0.recv().await {
            Ok(event) => Some(event),
            Err(broadcast::error::RecvError::Lagged(_)) => Some(SessionEvent::Missed),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

/// Hands events to the subscriptions of one process. Stores build their bus on it.
#[derive(Clone, Debug)]
pub struct LocalBus(broadcast::Sender<SessionEvent>);

impl LocalBus {
    /// So many events wait for a subscription; then it has missed some.
    pub const WAITING: usize = 1024;

    /// A bus that nobody listens to.
    #[must_use]
    pub fn new() -> Self {
        Self(broadcast::Sender::new(Self::WAITING))
    }

    /// Hands an event to all subscriptions.
    pub fn send(&self, event: SessionEvent) {
        // An error says that nobody listens.
        drop(self.0.send(event));
    }

    /// Begins to listen.
    #[must_use]
    pub fn subscribe(&self) -> Subscription {
        Subscription(self.0.subscribe())
    }

    /// Whether somebody listens.
    #[must_use]
    pub fn has_listeners(&self) -> bool {
        self.0.receiver_count() > 0
    }
}

impl Default for LocalBus {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> SessionId {
        "0191e0c4-8f2a-7c3e-9b1d-2f6a7e5c4d3b".parse().unwrap()
    }

    #[test]
    fn events_come_back_as_they_were_sent() {
        let user = || UserId::from(&[0xff_u8, 0][..]);
        for event in [
            SessionEvent::Created { id: id() },
            SessionEvent::SignedIn {
                id: id(),
                user: user(),
                from: None,
            },
            SessionEvent::SignedIn {
                id: id(),
                user: "ada".into(),
                from: Some(id()),
            },
            SessionEvent::Renewed {
                id: id(),
                from: id(),
                user: Some(user()),
            },
            SessionEvent::Ended {
                id: id(),
                user: None,
                reason: EndReason::Stolen,
            },
            SessionEvent::Missed,
        ] {
            assert_eq!(SessionEvent::decode(&event.encode()), Some(event));
        }
    }

    #[test]
    fn what_a_newer_release_sends_is_none_and_a_newer_reason_another() {
        for json in ["", "{}", r#"{"event":"borrowed","id":"x"}"#, "[]"] {
            assert_eq!(SessionEvent::decode(json), None, "{json}");
        }
        let json = format!(
            r#"{{"event":"ended","id":"{}","reason":"eaten","more":1}}"#,
            id()
        );
        let event = SessionEvent::decode(&json).unwrap();
        assert_eq!(event.ended(), Some((id(), EndReason::Other)));
    }

    #[tokio::test]
    async fn who_is_too_slow_is_told_so() {
        let bus = LocalBus::new();
        bus.send(SessionEvent::Created { id: id() });
        let mut listener = bus.subscribe();
        for _ in 0..=LocalBus::WAITING {
            bus.send(SessionEvent::Created { id: id() });
        }
        assert_eq!(listener.next().await, Some(SessionEvent::Missed));
        assert_eq!(
            listener.next().await,
            Some(SessionEvent::Created { id: id() })
        );
        drop(bus);
        while listener.next().await.is_some() {}
    }
}
