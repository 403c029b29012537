//! Operations on all sessions.

use std::time::Duration;

use cloakroom_core::admin::next_revoked_before;
use cloakroom_core::{SessionId, StoreAdmin, StoreError, StoreErrorKind, Timestamp};

use crate::FileStore;
use crate::files::{Files, names};

const REVOKED_BEFORE: &str = "revoked-before";

impl StoreAdmin for FileStore {
    async fn scan_ids(&self) -> Result<Vec<SessionId>, StoreError> {
        let names = self.read(names).await?;
        // Files with other names are not sessions.
        let ids = names.iter().filter_map(|name| name.parse().ok());
        Ok(ids.collect())
    }

    async fn revoked_before(&self) -> Result<Timestamp, StoreError> {
        self.read(revoked_before).await
    }

    async fn set_revoked_before(
        &self,
        delay: Duration,
        keep: Duration,
    ) -> Result<Timestamp, StoreError> {
        self.write(move |files| {
            let previous = revoked_before(files)?;
            let at = next_revoked_before(files.now, delay, Some(previous))?;
            if at != previous {
                let expires = files.now.plus(keep);
                files.write(REVOKED_BEFORE, &at.as_millis().to_string(), expires)?;
            }
            Ok(at)
        })
        .await
    }
}

fn revoked_before(files: &Files<'_>) -> Result<Timestamp, StoreError> {
    let Some(text) = files.read(REVOKED_BEFORE)? else {
        return Ok(Timestamp::from_millis(0));
    };
    let millis = text.parse();
    // An unreadable time must not count as "never": the sessions would be valid again.
    let millis =
        millis.map_err(|error| StoreError::with_source(StoreErrorKind::Unreadable, error))?;
    Ok(Timestamp::from_millis(millis))
}
