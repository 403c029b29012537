//! Whether the server rejects the credentials: fred tries to connect for ever, and reports only that there is
//! no connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fred::clients::Client;
use fred::error::ErrorKind;
use fred::interfaces::EventInterface;
use tokio::sync::broadcast::error::RecvError;

use crate::log;

/// Whether the last attempt to connect was rejected for the credentials.
#[derive(Clone, Debug, Default)]
pub(super) struct Rejection(Arc<AtomicBool>);

impl Rejection {
    /// Observes a client's attempts to connect, in a task that ends with the client.
    pub(super) fn observe(client: &Client) -> Self {
        let rejection = Self::default();
        let flag = rejection.clone();
        let (mut errors, mut connections) = (client.error_rx(), client.reconnect_rx());
        tokio::spawn(async move {
            loop {
                let rejected = tokio::select! {
                    error = errors.recv() => match error {
                        Ok((error, server)) if *error.kind() == ErrorKind::Auth => {
                            if !flag.is_rejected() {
                                log::credentials_rejected(server.map(|server| server.to_string()));
                            }
                            true
                        }
                        Ok(_) | Err(RecvError::Lagged(_)) => continue,
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
        rejection
    }

    pub(super) fn is_rejected(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
