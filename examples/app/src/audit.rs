//! The audit log: the events of all servers, in SQLite.

use cloakroom::{SessionClient, SessionError, SessionEvent, SessionId, Sessions, UserId};
use tokio::sync::mpsc;

use crate::app::App;
use crate::database::{AuditRow, Database};

/// How many rows wait for the database. What is more is dropped, and leaves a row that says so.
const MAX_WAITING: usize = 10_000;

impl App {
    /// Starts the tasks that write the events of all servers. Every server may run them: each event leaves one row.
    ///
    /// # Errors
    ///
    /// If the store has no events.
    pub fn start_audit_log(&self, sessions: &Sessions) -> Result<(), SessionError> {
        let events = sessions.events()?;
        let (sender, receiver) = mpsc::channel(MAX_WAITING);
        tokio::spawn(collect(events, sender));
        tokio::spawn(write(self.database.clone(), receiver));
        Ok(())
    }
}

/// Reads the events. It does not wait for the database: a subscription that does not keep up loses events.
async fn collect(mut events: cloakroom::Subscription, rows: mpsc::Sender<AuditRow>) {
    let mut has_gap = false;
    while let Some(event) = events.next().await {
        let Some(row) = row_of(event) else { continue };
        if has_gap && let Some(gap) = row_of(SessionEvent::Missed) {
            has_gap = rows.try_send(gap).is_err();
        }
        has_gap |= rows.try_send(row).is_err();
    }
}

async fn write(database: Database, mut rows: mpsc::Receiver<AuditRow>) {
    while let Some(row) = rows.recv().await {
        // A real app logs the error, and tries again.
        drop(database.add_audit_row(&row).await);
    }
}

fn row_of(event: SessionEvent) -> Option<AuditRow> {
    Some(match event {
        SessionEvent::SignedIn {
            id,
            user,
            from,
            client,
            ..
        } => continued(row("signed in", id, Some(user), client), from),
        SessionEvent::Renewed {
            id,
            from,
            user,
            client,
            ..
        } => continued(row("renewed", id, user, client), Some(from)),
        SessionEvent::ImpersonationStarted {
            id,
            from,
            impersonator,
            user,
            client,
            ..
        } => {
            let row = row("impersonation started", id, Some(user), client);
            acting(continued(row, Some(from)), &impersonator)
        }
        SessionEvent::ImpersonationStopped {
            id,
            from,
            impersonator,
            user,
            client,
            ..
        } => {
            let row = row("impersonation stopped", id, Some(user), client);
            acting(continued(row, Some(from)), &impersonator)
        }
        SessionEvent::Ended {
            id,
            user,
            reason,
            client,
            ..
        } => AuditRow {
            reason: Some(reason.as_str().to_owned()),
            ..row("ended", id, user, client)
        },
        SessionEvent::Missed => AuditRow {
            what: "events may be missing before this".to_owned(),
            ..AuditRow::default()
        },
        // Anonymous sessions, and kinds that a later release adds.
        _ => return None,
    })
}

fn row(
    what: &str,
    session: SessionId,
    user: Option<UserId>,
    client: Option<SessionClient>,
) -> AuditRow {
    let client = client.unwrap_or_default();
    AuditRow {
        what: what.to_owned(),
        session: Some(session.to_string()),
        user: user.map(|user| user.to_string()),
        user_agent: client.user_agent().map(str::to_owned),
        address: client.address().map(|address| address.to_string()),
        ..AuditRow::default()
    }
}

fn continued(row: AuditRow, from: Option<SessionId>) -> AuditRow {
    AuditRow {
        origin: from.map(|from| from.to_string()),
        ..row
    }
}

fn acting(row: AuditRow, impersonator: &UserId) -> AuditRow {
    AuditRow {
        impersonator: Some(impersonator.to_string()),
        ..row
    }
}
