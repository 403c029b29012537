//! Operations on all sessions.

use std::time::Duration;

use cloakroom_core::admin::{ScanCursor, ScanPage, next_revoked_before};
use cloakroom_core::{SessionId, StoreAdmin, StoreError, StoreErrorKind, Timestamp};

use crate::FileStore;
use crate::files::{Files, names};

/// How many ids a page has at most.
const SCAN_PAGE: usize = 1000;

const REVOKED_BEFORE: &str = "revoked-before";

impl StoreAdmin for FileStore {
    async fn scan_ids(&self, from: Option<&ScanCursor>) -> Result<ScanPage, StoreError> {
        let after: Option<SessionId> = from.map(ScanCursor::parse).transpose()?;
        let names = self.read(names).await?;
        // Files with other names are not sessions.
        let ids = names.iter().filter_map(|name| name.parse().ok());
        let mut ids: Vec<_> = ids
            .filter(|id| after.is_none_or(|after| *id > after))
            .collect();
        ids.sort();
        let is_last = ids.len() <= SCAN_PAGE;
        ids.truncate(SCAN_PAGE);
        let next = ids.last().filter(|_| !is_last).map(ScanCursor::new);
        Ok(ScanPage { ids, next })
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
