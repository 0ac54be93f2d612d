//! Requests that may be repeated: the first answer to an idempotency key is kept for a day and given again. In the database, so
//! that several servers agree.

use super::error::cannot;
use super::keys::now;
use super::{Store, StoreError, text, vault};
use crate::privacy::seal::{DataKey, Place};

/// What was answered to a request. May hold PHI.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Of the body.
    pub content_type: String,
    /// As it was sent.
    pub body: String,
}

/// What is to be done with a request.
pub enum Claim {
    /// It is new and now ours: answer it, then [`Store::finish_request`].
    Ours,
    /// It was answered.
    Answered(Answer),
    /// Somebody is answering it, or died doing so.
    Open,
    /// The key belongs to another request.
    Other,
}

impl Store {
    /// Claims a request for the one who asks first. What is older than a day is forgotten.
    pub async fn claim_request(&self, api_key: &str, key: &str, request_hash: &str) -> Result<Claim, StoreError> {
        let what = "claim a request";
        let key = self.request_key_hash(text::required(key, "Idempotency-Key")?);
        let request_hash = self.request_hash(request_hash);
        let mut transaction = self.begin(what).await?;
        let now = now(self.kind, &mut transaction).await.map_err(cannot(what))?;
        for statement in [FORGET_KEYS, FORGET] {
            sqlx::query(statement)
                .bind(now - KEPT)
                .execute(&mut *transaction)
                .await
                .map_err(cannot(what))?;
        }
        let inserted = sqlx::query(CLAIM)
            .bind(api_key)
            .bind(&key)
            .bind(&request_hash)
            .execute(&mut *transaction)
            .await
            .map_err(cannot(what))?;
        if inserted.rows_affected() == 1 {
            transaction.commit().await.map_err(cannot(what))?;
            return Ok(Claim::Ours);
        }
        let row: Option<Row> = sqlx::query_as(FIND)
            .bind(api_key)
            .bind(&key)
            .fetch_optional(&mut *transaction)
            .await
            .map_err(cannot(what))?;
        transaction.commit().await.map_err(cannot(what))?;
        let Some((hash, status, content_type, body, kek_id, wrapped)) = row else {
            // Gone again: released in this moment.
            return Ok(Claim::Open);
        };
        if hash != request_hash {
            return Ok(Claim::Other);
        }
        let ((Some(status), Some(content_type), Some(body)), (Some(kek_id), Some(wrapped))) =
            ((status, content_type, body), (kek_id, wrapped))
        else {
            return Ok(Claim::Open);
        };
        let record = record(api_key, &key);
        let data_key = self.vault.unlock(&answer_key(&record), &kek_id, &wrapped)?;
        Ok(Claim::Answered(Answer {
            status: u16::try_from(status).map_err(|_| StoreError::Unreadable {
                column: "api_requests.status",
            })?,
            content_type,
            body: vault::open(&data_key, place(&record), &body)?,
        }))
    }

    /// Keeps the answer to a request that was claimed. The first one counts: this may be said again if it is not clear whether it was heard.
    pub async fn finish_request(&self, api_key: &str, key: &str, answer: &Answer) -> Result<(), StoreError> {
        let what = "keep an answer";
        let key = self.request_key_hash(text::required(key, "Idempotency-Key")?);
        let record = record(api_key, &key);
        let data_key = DataKey::random(answer_key(&record));
        let mut transaction = self.begin(what).await?;
        let finished = sqlx::query(FINISH)
            .bind(api_key)
            .bind(&key)
            .bind(i64::from(answer.status))
            .bind(&answer.content_type)
            .bind(vault::seal(&data_key, place(&record), &answer.body))
            .execute(&mut *transaction)
            .await
            .map_err(cannot(what))?;
        if finished.rows_affected() == 0 {
            return Ok(());
        }
        self.add_key(&mut transaction, &data_key).await?;
        transaction.commit().await.map_err(cannot(what))
    }

    /// Gives a claim back: nothing was done, so the request may be made again.
    pub async fn release_request(&self, api_key: &str, key: &str) -> Result<(), StoreError> {
        let what = "release a request";
        let mut transaction = self.begin(what).await?;
        sqlx::query(RELEASE)
            .bind(api_key)
            .bind(self.request_key_hash(text::required(key, "Idempotency-Key")?))
            .execute(&mut *transaction)
            .await
            .map_err(cannot(what))?;
        transaction.commit().await.map_err(cannot(what))
    }

    /// What stands for an idempotency key: clients choose them, and may have chosen something private.
    pub(super) fn request_key_hash(&self, key: &str) -> String {
        self.vault.hash("api_requests.key", key)
    }

    /// What stands for a request: its plain hash could be found by trying names and numbers.
    pub(super) fn request_hash(&self, hash: &str) -> String {
        self.vault.hash("api_requests.request", hash)
    }
}

/// What names a kept answer.
pub(super) fn record(api_key: &str, key_hash: &str) -> String {
    format!("{api_key}/{key_hash}")
}

pub(super) fn answer_key(record: &str) -> String {
    format!("answer/{record}")
}

pub(super) fn place(record: &str) -> Place<'_> {
    Place {
        table: "api_requests",
        column: "body_sealed",
        record,
    }
}

/// Hash of the request, status, content type, sealed body, wrapping key, data key.
type Row = (
    String,
    Option<i64>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
);

/// A day, in milliseconds.
pub(super) const KEPT: i64 = 86_400_000;

pub(super) const FORGET_KEYS: &str = "DELETE FROM data_keys WHERE id IN \
     (SELECT 'answer/' || api_key || '/' || key_hash FROM api_requests WHERE created_at_ms < $1)";
pub(super) const FORGET: &str = "DELETE FROM api_requests WHERE created_at_ms < $1";
const CLAIM: &str =
    "INSERT INTO api_requests (api_key, key_hash, request_hash) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
const FIND: &str = "SELECT request_hash, status, content_type, body_sealed, kek_id, wrapped FROM api_requests \
     LEFT JOIN data_keys k ON k.id = 'answer/' || api_key || '/' || key_hash WHERE api_key = $1 AND key_hash = $2";
const FINISH: &str = "UPDATE api_requests SET status = $3, content_type = $4, body_sealed = $5 \
     WHERE api_key = $1 AND key_hash = $2 AND status IS NULL";
const RELEASE: &str = "DELETE FROM api_requests WHERE api_key = $1 AND key_hash = $2 AND status IS NULL";
