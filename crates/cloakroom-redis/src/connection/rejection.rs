//! Whether the server rejects the credentials, or a command that opens a connection: fred tries to connect for ever, and
//! reports only that there is no connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fred::clients::Client;
use fred::interfaces::EventInterface;
use tokio::sync::broadcast::error::RecvError;

use crate::error::rejection;
use crate::log;

/// Whether the last attempt to connect was rejected for a reason that does not pass by itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Rejection(Arc<AtomicBool>);

impl Rejection {
    /// Observes a client's attempts to connect, in a task that ends with the client.
    pub(super) fn observe(client: &Client) -> Self {
        let observed = Self::default();
        let flag = observed.clone();
        let (mut errors, mut connections) = (client.error_rx(), client.reconnect_rx());
        tokio::spawn(async move {
            loop {
                let rejected = tokio::select! {
                    error = errors.recv() => match error {
                        Ok((error, server)) => {
                            let Some(why) = rejection(&error) else {
                                continue;
                            };
                            if !flag.is_rejected() {
                                let server = server.map(|server| server.to_string());
                                log::connection_rejected(server, &why);
                            }
                            true
                        }
                        Err(RecvError::Lagged(_)) => continue,
                        Err(RecvError::Closed) => return,
                    },
                    connected = connections.recv() => match connected {
                        Ok(_) | Err(RecvError::Lagged(_)) => false,
                        Err(RecvError::Closed) => return,
                    },
                };
                flag.0.store(rejected, Ordering::Relaxed);
            }
        });
        observed
    }

    pub(super) fn is_rejected(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
