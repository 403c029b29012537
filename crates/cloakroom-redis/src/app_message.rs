//! Messages of other crates to all servers of an app, on the channel of the store's events.

use std::sync::Arc;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

/// How such a message begins. An event of a session is a JSON object, so releases that do not know these
/// messages ignore them.
const START: &str = "app ";

/// A message without its start; `None` after a gap.
pub(crate) type Received = Option<Arc<str>>;

/// What is received from the servers of an app.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AppMessage {
    /// A message about the topic.
    Text(String),
    /// Messages may have been missed: the subscription has just begun, was interrupted, or did not keep up.
    Missed,
}

/// The messages about one topic, from [`AppScripts::subscribe`](crate::AppScripts::subscribe).
///
/// Up to 1,024 messages of all topics wait for it. If there are more, the oldest are lost, and it yields
/// [`AppMessage::Missed`].
#[derive(Debug)]
pub struct AppMessages {
    receiver: Receiver<Received>,
    topic: String,
}

impl AppMessages {
    pub(crate) fn new(receiver: Receiver<Received>, topic: &str) -> Self {
        Self {
            receiver,
            topic: topic.to_owned(),
        }
    }

    /// Waits for the next message; `None` once the store is dropped. It is cancel safe.
    pub async fn next(&mut self) -> Option<AppMessage> {
        loop {
            match self.receiver.recv().await {
                Ok(Some(message)) => {
                    if let Some((topic, text)) = message.split_once(' ')
                        && topic == self.topic
                    {
                        return Some(AppMessage::Text(text.to_owned()));
                    }
                }
                Ok(None) | Err(RecvError::Lagged(_)) => return Some(AppMessage::Missed),
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

/// Returns the topic and the text of such a message; `None` for an event of a session.
pub(crate) fn text_of(message: &str) -> Option<&str> {
    message.strip_prefix(START)
}

/// Encodes a message.
pub(crate) fn encode(topic: &str, text: &str) -> String {
    format!("{START}{topic} {text}")
}

#[cfg(test)]
mod tests {
    use cloakroom_core::SessionId;
    use cloakroom_core::event::SessionEvent;
    use tokio::sync::broadcast;

    use super::*;

    #[tokio::test]
    async fn a_subscription_gets_the_messages_of_its_topic_and_learns_of_gaps() {
        let sender = broadcast::Sender::new(2);
        let mut messages = AppMessages::new(sender.subscribe(), "users");
        let send = |topic: &str, text: &str| {
            let message = encode(topic, text);
            sender.send(text_of(&message).map(Arc::from)).unwrap();
        };
        send("roles", "1");
        send("users", "2 3");
        let text = |text: &str| Some(AppMessage::Text(text.to_owned()));
        assert_eq!(messages.next().await, text("2 3"));
        sender.send(None).unwrap();
        assert_eq!(messages.next().await, Some(AppMessage::Missed));
        for number in 0..3 {
            send("users", &number.to_string());
        }
        assert_eq!(messages.next().await, Some(AppMessage::Missed));
        assert_eq!(messages.next().await, text("1"));
        drop(sender);
        assert_eq!(messages.next().await, text("2"));
        assert_eq!(messages.next().await, None);
    }

    #[test]
    fn a_message_is_not_an_event_and_an_event_is_not_a_message() {
        assert_eq!(SessionEvent::decode(&encode("users", "7")), None);
        let id: SessionId = "0191e0c4-8f2a-7c3e-9b1d-2f6a7e5c4d3b".parse().unwrap();
        assert_eq!(text_of(&SessionEvent::Created { id }.encode()), None);
    }
}
