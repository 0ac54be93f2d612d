//! Requests that may be repeated: the first answer to an idempotency key is kept for a day and given again. In the database, so
//! that several servers agree.

use super::error::cannot;
use super::keys::now;
use super::{Store, StoreError, text};

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
        let key = text::required(key, "Idempotency-Key")?;
        let mut transaction = self.begin(what).await?;
        let now = now(self.kind, &mut transaction).await.map_err(cannot(what))?;
        sqlx::query(FORGET)
            .bind(now - KEPT)
            .execute(&mut *transaction)
            .await
            .map_err(cannot(what))?;
        let inserted = sqlx::query(CLAIM)
            .bind(api_key)
            .bind(key)
            .bind(request_hash)
            .execute(&mut *transaction)
            .await
            .map_err(cannot(what))?;
        if inserted.rows_affected() == 1 {
            transaction.commit().await.map_err(cannot(what))?;
            return Ok(Claim::Ours);
        }
        let row: Option<Row> = sqlx::query_as(FIND)
            .bind(api_key)
            .bind(key)
            .fetch_optional(&mut *transaction)
            .await
            .map_err(cannot(what))?;
        transaction.commit().await.map_err(cannot(what))?;
        Ok(match row {
            Some((hash, ..)) if hash != request_hash => Claim::Other,
            Some((_, Some(status), Some(content_type), Some(body))) => Claim::Answered(Answer {
                status: u16::try_from(status).map_err(|_| StoreError::Unreadable {
                    column: "api_requests.status",
                })?,
                content_type,
                body,
            }),
            // Gone again: released in this moment.
            Some(_) | None => Claim::Open,
        })
    }

    /// Keeps the answer to a request that was claimed.
    pub async fn finish_request(&self, api_key: &str, key: &str, answer: &Answer) -> Result<(), StoreError> {
        let what = "keep an answer";
        let mut transaction = self.begin(what).await?;
        sqlx::query(FINISH)
            .bind(api_key)
            .bind(text::required(key, "Idempotency-Key")?)
            .bind(i64::from(answer.status))
            .bind(&answer.content_type)
            .bind(&answer.body)
            .execute(&mut *transaction)
            .await
            .map_err(cannot(what))?;
        transaction.commit().await.map_err(cannot(what))
    }

    /// Gives a claim back: nothing was done, so the request may be made again.
    pub async fn release_request(&self, api_key: &str, key: &str) -> Result<(), StoreError> {
        let what = "release a request";
        let mut transaction = self.begin(what).await?;
        sqlx::query(RELEASE)
            .bind(api_key)
            .bind(text::required(key, "Idempotency-Key")?)
            .execute(&mut *transaction)
            .await
            .map_err(cannot(what))?;
        transaction.commit().await.map_err(cannot(what))
    }
}

type Row = (String, Option<i64>, Option<String>, Option<String>);

/// A day, in milliseconds.
const KEPT: i64 = 86_400_000;

const FORGET: &str = "DELETE FROM api_requests WHERE created_at_ms < $1";
const CLAIM: &str =
    "INSERT INTO api_requests (api_key, idempotency_key, request_hash) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
const FIND: &str =
    "SELECT request_hash, status, content_type, body FROM api_requests WHERE api_key = $1 AND idempotency_key = $2";
const FINISH: &str =
    "UPDATE api_requests SET status = $3, content_type = $4, body = $5 WHERE api_key = $1 AND idempotency_key = $2";
const RELEASE: &str = "DELETE FROM api_requests WHERE api_key = $1 AND idempotency_key = $2 AND status IS NULL";
