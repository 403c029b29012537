//! Commands on a connection that is lost: a read is sent once more.

use cloakroom_core::{StoreError, StoreErrorKind};

use super::{Connection, recovery};
use crate::watchdog::Recovery;

impl Connection {
    /// Makes sure that the connection is driven and probed by the tasks of a runtime that runs. One that
    /// was opened in a runtime that has ended since is opened anew in the current one, for which this waits
    /// up to the time of a command.
    pub(crate) async fn attach(&self) {
        if self.0.is_detached() {
            Box::pin(self.reattach()).await;
        }
    }

    async fn reattach(&self) {
        if self.0.is_of_app() {
            return self.0.start_probe();
        }
        let before = self.0.recoveries();
        recovery::start(&self.0, Recovery::Revive);
        // Another task may have been faster.
        if self.0.is_detached() {
            self.0.recovered_since(before).await;
        }
    }

    /// Reads, and reads once more if there was no reply because the connection was lost: on a new
    /// connection, or on the old one if it works again. So a read takes up to three times as long as a
    /// command: for the reply, for the connection, and for the reply.
    ///
    /// # Errors
    ///
    /// Those of the read.
    pub(crate) async fn read<T, F>(&self, read: impl Fn() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        self.attach().await;
        let (losses, recoveries) = (self.0.watchdog.losses(), self.0.recoveries());
        let result = read().await;
        match &result {
            Err(error)
                if error.kind() == StoreErrorKind::Unavailable
                    && self.0.watchdog.losses() != losses
                    && Box::pin(self.0.recovered_since(recoveries)).await =>
            {
                // Boxed, so that the future of a read is not twice as large.
                Box::pin(read()).await
            }
            _ => result,
        }
    }
}
