//! The rows of the audit log.

use super::Database;

/// A row of the log. `session` ties the rows of one session together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AuditRow {
    pub(crate) what: String,
    pub(crate) session: Option<String>,
    /// The session that this one continues.
    pub(crate) origin: Option<String>,
    pub(crate) user: Option<String>,
    /// Who acts as the user.
    pub(crate) impersonator: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) user_agent: Option<String>,
    pub(crate) address: Option<String>,
}

type Columns = (
    String,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
);

impl From<Columns> for AuditRow {
    fn from(columns: Columns) -> Self {
        let (what, session, origin, user, impersonator, reason, user_agent, address) = columns;
        Self {
            what,
            session,
            origin,
            user,
            impersonator,
            reason,
            user_agent,
            address,
        }
    }
}

impl Database {
    /// Adds a row, unless another server has.
    pub(crate) async fn add_audit_row(&self, row: &AuditRow) -> Result<(), sqlx::Error> {
        let insert = "INSERT INTO audit (what, session, origin, user, impersonator, reason, user_agent, address) \
                      VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";
        let insert = sqlx::query(insert)
            .bind(&row.what)
            .bind(&row.session)
            .bind(&row.origin)
            .bind(&row.user)
            .bind(&row.impersonator)
            .bind(&row.reason)
            .bind(&row.user_agent)
            .bind(&row.address);
        insert.execute(&self.pool).await?;
        Ok(())
    }

    /// Returns the newest fifty rows.
    pub(crate) async fn audit_log(&self) -> Result<Vec<AuditRow>, sqlx::Error> {
        let query = "SELECT what, session, origin, user, impersonator, reason, user_agent, address \
                     FROM audit ORDER BY id DESC LIMIT 50";
        let rows: Vec<Columns> = sqlx::query_as(query).fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(AuditRow::from).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed_in(origin: Option<&str>) -> AuditRow {
        AuditRow {
            what: "signed in".to_owned(),
            session: Some("new".to_owned()),
            origin: origin.map(str::to_owned),
            ..AuditRow::default()
        }
    }

    #[tokio::test]
    async fn each_event_has_one_row_also_of_sign_ins_that_continue_in_one_session() {
        let database = Database::open(None).await.unwrap();
        for origin in [None, Some("one"), Some("other")] {
            // Of each of two servers.
            for _ in 0..2 {
                database.add_audit_row(&signed_in(origin)).await.unwrap();
            }
        }
        let mut rows = database.audit_log().await.unwrap();
        rows.reverse();
        assert_eq!(rows, [None, Some("one"), Some("other")].map(signed_in));
    }
}
