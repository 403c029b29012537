//! Events: with one process, the bus in memory is enough.

use cloakroom_core::{EventBus, SessionEvent, StoreError, Subscription};

use crate::FileStore;

impl EventBus for FileStore {
    async fn publish(&self, event: &SessionEvent) -> Result<(), StoreError> {
        self.bus.send(event.clone());
        Ok(())
    }

    fn subscribe(&self) -> Subscription {
        self.bus.subscribe()
    }
}
