//! Recordings that the carrier may still have. The ids say nothing of what was recorded.

use std::time::Duration;

use super::error::cannot;
use super::{Kind, Store, StoreError, text};

impl Store {
    /// Writes down that a recording is to be deleted at the carrier.
    pub async fn keep_undeleted(&self, recording: &str) -> Result<(), StoreError> {
        self.about_recording(KEEP, recording, "keep a recording's id").await
    }

    /// The recording is deleted.
    pub async fn forget_undeleted(&self, recording: &str) -> Result<(), StoreError> {
        self.about_recording(FORGET, recording, "forget a recording's id").await
    }

    /// Those that were written down so long ago, by whichever server.
    pub async fn undeleted(&self, age: Duration) -> Result<Vec<String>, StoreError> {
        let what = "list recordings that are to be deleted";
        let statement = match self.kind {
            Kind::Sqlite => OLD_SQLITE,
            Kind::Postgres => OLD_POSTGRES,
        };
        let rows: Vec<(String,)> = sqlx::query_as(statement)
            .bind(i64::try_from(age.as_millis()).unwrap_or(i64::MAX))
            .fetch_all(&self.pool)
            .await
            .map_err(cannot(what))?;
        Ok(rows.into_iter().map(|(recording,)| recording).collect())
    }

    async fn about_recording(
        &self,
        statement: &'static str,
        recording: &str,
        what: &'static str,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin(what).await?;
        sqlx::query(statement)
            .bind(text::required(recording, "recording_sid")?)
            .execute(&mut *transaction)
            .await
            .map_err(cannot(what))?;
        transaction.commit().await.map_err(cannot(what))
    }
}

const KEEP: &str =
    "INSERT INTO undeleted_recordings (recording_sid) VALUES ($1) ON CONFLICT (recording_sid) DO NOTHING";
const FORGET: &str = "DELETE FROM undeleted_recordings WHERE recording_sid = $1";
const OLD_SQLITE: &str = "SELECT recording_sid FROM undeleted_recordings \
     WHERE since_ms <= CAST(unixepoch('subsec') * 1000 AS INTEGER) - $1 ORDER BY since_ms LIMIT 1000";
const OLD_POSTGRES: &str = "SELECT recording_sid FROM undeleted_recordings \
     WHERE since_ms <= CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT) - $1 ORDER BY since_ms LIMIT 1000";
