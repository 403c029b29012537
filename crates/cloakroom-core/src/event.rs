//! What happens to sessions, published to all servers.
//!
//! Delivery is best effort: an event can be lost, and nothing depends on events for correctness. A
//! subscriber that may have missed events receives [`SessionEvent::Missed`].

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::client::SessionClient;
use crate::id::SessionId;
use crate::record::EndReason;
use crate::user::UserId;

/// Something that happened to a session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionEvent {
    /// An anonymous session was created.
    Created {
        /// The session's id.
        id: SessionId,
    },
    /// A user signed in.
    SignedIn {
        /// The new session's id.
        id: SessionId,
        /// The user.
        user: UserId,
        /// The session that it replaced, which has ended.
        from: Option<SessionId>,
        /// The client of the session, if devices are tracked and the session was read.
        client: Option<SessionClient>,
    },
    /// A session was renewed: it has a new id.
    Renewed {
        /// The new id.
        id: SessionId,
        /// The previous id, which has ended.
        from: SessionId,
        /// The user who is signed in.
        user: Option<UserId>,
        /// The client of the session, if devices are tracked and the session was read.
        client: Option<SessionClient>,
    },
    /// The user of a session began to act as another user: the session has a new id.
    ImpersonationStarted {
        /// The new id.
        id: SessionId,
        /// The previous id, which has ended.
        from: SessionId,
        /// The user who is signed in.
        impersonator: UserId,
        /// The user who is impersonated.
        user: UserId,
        /// The client of the session, if devices are tracked and the session was read.
        client: Option<SessionClient>,
    },
    /// The user of a session stopped acting as another user: the session has a new id. Nothing is published if
    /// the session itself ends.
    ImpersonationStopped {
        /// The new id.
        id: SessionId,
        /// The previous id, which has ended.
        from: SessionId,
        /// The user who is signed in.
        impersonator: UserId,
        /// The user who was impersonated.
        user: UserId,
        /// The client of the session, if devices are tracked and the session was read.
        client: Option<SessionClient>,
    },
    /// A session ended.
    Ended {
        /// The session's id.
        id: SessionId,
        /// The user who was signed in.
        user: Option<UserId>,
        /// Why it ended.
        reason: EndReason,
        /// The client of the session, if devices are tracked and the session was read.
        client: Option<SessionClient>,
    },
    /// Events may have been lost before this one: the connection was down, or the subscriber was too slow.
    /// Read again what matters.
    Missed,
}

impl SessionEvent {
    /// Returns the session that has ended according to this event, and why.
    #[must_use]
    pub fn ended(&self) -> Option<(SessionId, EndReason)> {
        match self {
            Self::Ended { id, reason, .. } => Some((*id, *reason)),
            Self::SignedIn { from, .. } => from.map(|id| (id, EndReason::Renewed)),
            Self::Renewed { from, .. }
            | Self::ImpersonationStarted { from, .. }
            | Self::ImpersonationStopped { from, .. } => Some((*from, EndReason::Renewed)),
            Self::Created { .. } | Self::Missed => None,
        }
    }

    /// Encodes the event as JSON, for a bus between servers.
    #[must_use]
    #[allow(clippy::missing_panics_doc, reason = "text is always JSON")]
    pub fn encode(&self) -> String {
        let wire = match self {
            Self::Created { id } => Wire::new("created", Some(*id)),
            Self::SignedIn {
                id,
                user,
                from,
                client,
            } => Wire {
                from: *from,
                client: client.clone(),
                user: Some(Cow::Borrowed(user)),
                ..Wire::new("signed_in", Some(*id))
            },
            Self::Renewed {
                id,
                from,
                user,
                client,
            } => Wire {
                from: Some(*from),
                client: client.clone(),
                user: user.as_ref().map(Cow::Borrowed),
                ..Wire::new("renewed", Some(*id))
            },
            // For releases that do not know impersonation, it is a renewal.
            Self::ImpersonationStarted {
                id,
                from,
                impersonator,
                user,
                client,
            } => Wire {
                started: Some(Cow::Borrowed(user)),
                client: client.clone(),
                ..Wire::renewed(*id, *from, impersonator)
            },
            Self::ImpersonationStopped {
                id,
                from,
                impersonator,
                user,
                client,
            } => Wire {
                stopped: Some(Cow::Borrowed(user)),
                client: client.clone(),
                ..Wire::renewed(*id, *from, impersonator)
            },
            Self::Ended {
                id,
                user,
                reason,
                client,
            } => Wire {
                client: client.clone(),
                user: user.as_ref().map(Cow::Borrowed),
                reason: Some(reason.as_str().into()),
                ..Wire::new("ended", Some(*id))
            },
            Self::Missed => Wire::new("missed", None),
        };
        serde_json::to_string(&wire).expect("text is always JSON")
    }

    /// Decodes an event that [`encode`](Self::encode) wrote; `None` for anything else, such as an event that
    /// only a newer release knows.
    #[must_use]
    pub fn decode(json: &str) -> Option<Self> {
        let wire: Wire<'_> = serde_json::from_str(json).ok()?;
        let user = wire.user.map(Cow::into_owned);
        let (from, client) = (wire.from, wire.client);
        if wire.event == "missed" {
            return Some(Self::Missed);
        }
        let id = wire.id?;
        Some(match &*wire.event {
            "created" => Self::Created { id },
            "signed_in" => Self::SignedIn {
                id,
                user: user?,
                from,
                client,
            },
            "renewed" => match (wire.started, wire.stopped, user) {
                (Some(started), _, Some(impersonator)) => Self::ImpersonationStarted {
                    id,
                    from: from?,
                    impersonator,
                    user: started.into_owned(),
                    client,
                },
                (_, Some(stopped), Some(impersonator)) => Self::ImpersonationStopped {
                    id,
                    from: from?,
                    impersonator,
                    user: stopped.into_owned(),
                    client,
                },
                (_, _, user) => Self::Renewed {
                    id,
                    from: from?,
                    user,
                    client,
                },
            },
            "ended" => Self::Ended {
                id,
                user,
                reason: EndReason::from_stored(&wire.reason?),
                client,
            },
            _ => return None,
        })
    }
}

/// The JSON form of an event.
#[derive(Serialize, Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    event: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<SessionId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<SessionId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<Cow<'a, UserId>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<Cow<'a, str>>,
    /// The user whose impersonation has started with a renewal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    started: Option<Cow<'a, UserId>>,
    /// The user whose impersonation has stopped with a renewal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stopped: Option<Cow<'a, UserId>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client: Option<SessionClient>,
}

impl<'a> Wire<'a> {
    fn new(event: &'a str, id: Option<SessionId>) -> Self {
        Self {
            event: event.into(),
            id,
            from: None,
            user: None,
            reason: None,
            started: None,
            stopped: None,
            client: None,
        }
    }

    fn renewed(id: SessionId, from: SessionId, user: &'a UserId) -> Self {
        Self {
            from: Some(from),
            user: Some(Cow::Borrowed(user)),
            ..Self::new("renewed", Some(id))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> SessionId {
        "0191e0c4-8f2a-7c3e-9b1d-2f6a7e5c4d3b".parse().unwrap()
    }

    fn client() -> Option<SessionClient> {
        let address = [192, 0, 2, 7].into();
        Some(SessionClient::new(Some("a \"browser\"\n"), Some(address)))
    }

    #[test]
    fn events_round_trip() {
        let user = || UserId::from(&[0xff_u8, 0][..]);
        for event in [
            SessionEvent::Created { id: id() },
            SessionEvent::SignedIn {
                id: id(),
                user: user(),
                from: None,
                client: None,
            },
            SessionEvent::SignedIn {
                id: id(),
                user: "ada".into(),
                from: Some(id()),
                client: client(),
            },
            SessionEvent::Renewed {
                id: id(),
                from: id(),
                user: Some(user()),
                client: client(),
            },
            SessionEvent::ImpersonationStarted {
                id: id(),
                from: id(),
                impersonator: "ada".into(),
                user: user(),
                client: client(),
            },
            SessionEvent::ImpersonationStopped {
                id: id(),
                from: id(),
                impersonator: user(),
                user: "bob".into(),
                client: client(),
            },
            SessionEvent::Ended {
                id: id(),
                user: None,
                reason: EndReason::TokenReused,
                client: client(),
            },
            SessionEvent::Missed,
        ] {
            assert_eq!(SessionEvent::decode(&event.encode()), Some(event));
        }
    }

    /// As releases without clients wrote it, and as they read it: they ignore fields that they do not know.
    #[test]
    fn the_client_is_an_additional_field() {
        let json = format!(r#"{{"event":"signed_in","id":"{}","user":"ada"}}"#, id());
        let without = SessionEvent::SignedIn {
            id: id(),
            user: "ada".into(),
            from: None,
            client: None,
        };
        assert_eq!(SessionEvent::decode(&json), Some(without.clone()));
        assert_eq!(without.encode(), json);
        let with = SessionEvent::SignedIn {
            id: id(),
            user: "ada".into(),
            from: None,
            client: client(),
        };
        let unknown = with.encode().replace("\"client\"", "\"unknown\"");
        assert_ne!(unknown, with.encode());
        assert_eq!(SessionEvent::decode(&unknown), Some(without));
        assert!(!with.encode().contains('\n'), "a line of a message");
    }

    #[test]
    fn an_unknown_event_is_none_and_an_unknown_reason_is_other() {
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

    /// A server of such a release has to notice that the previous session has ended.
    #[test]
    fn for_a_release_without_impersonation_it_is_a_renewal() {
        let started = SessionEvent::ImpersonationStarted {
            id: id(),
            from: id(),
            impersonator: "ada".into(),
            user: "bob".into(),
            client: None,
        };
        let json = started.encode().replace("\"started\"", "\"unknown\"");
        let renewed = SessionEvent::Renewed {
            id: id(),
            from: id(),
            user: Some("ada".into()),
            client: None,
        };
        assert_eq!(SessionEvent::decode(&json), Some(renewed));
        assert_eq!(started.ended(), Some((id(), EndReason::Renewed)));
    }

    #[test]
    fn every_end_reason_survives_the_bus() {
        for &reason in EndReason::ALL {
            let event = SessionEvent::Ended {
                id: id(),
                user: None,
                reason,
                client: None,
            };
            assert_eq!(SessionEvent::decode(&event.encode()), Some(event));
        }
    }
}
