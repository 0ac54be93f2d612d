//! How far calls are, as the carrier reports it.

use super::error::cannot;
use super::{Kind, Store, StoreError, text};
use crate::twilio::status::{AnsweredBy, CallStatus, FINAL, Price, Report};

/// What is known of where a call stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallState {
    /// How far the carrier says it is.
    pub status: Option<CallStatus>,
    /// Seconds from the answer to the end.
    pub duration_s: Option<u32>,
    /// What the carrier charges.
    pub price: Option<Price>,
    /// Who took it, if it was an outbound call and the carrier told.
    pub answered_by: Option<AnsweredBy>,
    /// Whether it has had a stream, here or on another server.
    pub begun: bool,
    /// How its stream ended, in a word (see [`Store::end_call`]).
    pub outcome: Option<String>,
}

impl Store {
    /// Writes a report of the carrier down. States only move forward, and the first end stays: a report that is late or repeated
    /// changes nothing. An end closes the call's own row too, if there is one that is still open.
    pub async fn save_status(&self, call_sid: &str, report: &Report) -> Result<(), StoreError> {
        let what = "save a call's status";
        let sid = text::required(call_sid, "call_sid")?;
        let mut transaction = self.begin(what).await?;
        sqlx::query(self.by_kind(SAVE_SQLITE, SAVE_POSTGRES))
            .bind(sid)
            .bind(report.status.name())
            .bind(i64::from(report.status.rank()))
            .bind(report.duration_s.map(i64::from))
            .bind(report.price.map(|price| price.micros))
            .bind(report.price.map(|price| price.currency().to_owned()))
            .execute(&mut *transaction)
            .await
            .map_err(cannot(what))?;
        if report.status.is_final() {
            // How the stream ended is for the stream's own end to say.
            sqlx::query(self.by_kind(CLOSE_SQLITE, CLOSE_POSTGRES))
                .bind(sid)
                .execute(&mut *transaction)
                .await
                .map_err(cannot(what))?;
        }
        transaction.commit().await.map_err(cannot(what))
    }

    /// Writes down who took an outbound call. The first answer stays.
    pub async fn save_answered_by(&self, call_sid: &str, by: AnsweredBy) -> Result<(), StoreError> {
        let what = "save who answered";
        let mut transaction = self.begin(what).await?;
        sqlx::query(ANSWERED)
            .bind(text::required(call_sid, "call_sid")?)
            .bind(by.name())
            .execute(&mut *transaction)
            .await
            .map_err(cannot(what))?;
        transaction.commit().await.map_err(cannot(what))
    }

    /// Where a call stands; `None` if nothing is known of it.
    pub async fn call_state(&self, call_sid: &str) -> Result<Option<CallState>, StoreError> {
        let what = "read a call's status";
        let sid = text::required(call_sid, "call_sid")?;
        let reported: Option<StatusRow> = sqlx::query_as(STATUS)
            .bind(sid)
            .fetch_optional(&self.pool)
            .await
            .map_err(cannot(what))?;
        let streamed: Option<(Option<String>,)> = sqlx::query_as(OUTCOME)
            .bind(sid)
            .fetch_optional(&self.pool)
            .await
            .map_err(cannot(what))?;
        if reported.is_none() && streamed.is_none() {
            return Ok(None);
        }
        let mut state = reported.map(state).transpose()?.unwrap_or_default();
        state.begun = streamed.is_some();
        state.outcome = streamed.and_then(|(outcome,)| outcome);
        Ok(Some(state))
    }

    pub(super) fn by_kind(&self, sqlite: &'static str, postgres: &'static str) -> &'static str {
        match self.kind {
            Kind::Sqlite => sqlite,
            Kind::Postgres => postgres,
        }
    }
}

type StatusRow = (Option<String>, Option<i64>, Option<i64>, Option<String>, Option<String>);

fn state((status, duration, micros, currency, answered_by): StatusRow) -> Result<CallState, StoreError> {
    let unreadable = |column| StoreError::Unreadable { column };
    let status = status.map(|text| CallStatus::parse(&text).ok_or_else(|| unreadable("call_status.status")));
    let by = answered_by.map(|text| AnsweredBy::parse(&text).ok_or_else(|| unreadable("call_status.answered_by")));
    let seconds = duration.map(|seconds| u32::try_from(seconds).map_err(|_| unreadable("call_status.duration_s")));
    let price = micros.zip(currency).map(|(micros, currency)| {
        Price::from_micros(micros, &currency).ok_or_else(|| unreadable("call_status.currency"))
    });
    Ok(CallState {
        status: status.transpose()?,
        duration_s: seconds.transpose()?,
        price: price.transpose()?,
        answered_by: by.transpose()?,
        ..CallState::default()
    })
}

// What a report adds counts if it is further than what is known, or says the same again with more. PostgreSQL must be told the type of
// a parameter that is NULL and stands in an expression, and SQLite of none.
macro_rules! save {
    ($now:literal) => {
        concat!(
            "INSERT INTO call_status (call_sid, status, status_rank, duration_s, price_micros, currency) \
             VALUES ($1, $2, $3, CAST($4 AS BIGINT), CAST($5 AS BIGINT), CAST($6 AS TEXT)) \
             ON CONFLICT (call_sid) DO UPDATE SET status = excluded.status, status_rank = excluded.status_rank, \
             duration_s = coalesce(call_status.duration_s, excluded.duration_s), \
             price_micros = coalesce(excluded.price_micros, call_status.price_micros), \
             currency = coalesce(excluded.currency, call_status.currency), updated_at_ms = ",
            $now,
            " WHERE excluded.status_rank > call_status.status_rank OR excluded.status = call_status.status"
        )
    };
}
macro_rules! close {
    ($now:literal) => {
        concat!(
            "UPDATE calls SET ended_at_ms = ",
            $now,
            " WHERE call_sid = $1 AND ended_at_ms IS NULL"
        )
    };
}
const SAVE_SQLITE: &str = save!("CAST(unixepoch('subsec') * 1000 AS INTEGER)");
const SAVE_POSTGRES: &str = save!("CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)");
const CLOSE_SQLITE: &str = close!("CAST(unixepoch('subsec') * 1000 AS INTEGER)");
const CLOSE_POSTGRES: &str = close!("CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)");
const ANSWERED: &str = "INSERT INTO call_status (call_sid, answered_by) VALUES ($1, $2) \
     ON CONFLICT (call_sid) DO UPDATE SET answered_by = coalesce(call_status.answered_by, excluded.answered_by)";
const STATUS: &str =
    "SELECT status, duration_s, price_micros, currency, answered_by FROM call_status WHERE call_sid = $1";
const OUTCOME: &str = "SELECT outcome FROM calls WHERE call_sid = $1";

/// The schema's comment and the ranks go together.
const _: () = assert!(FINAL == 4);
