//! Whom a call is about: keyed hashes beside it, by which all calls of a person are found without opening every one.
//!
//! They are made of what forms were told and tools were asked: a member id, a customer number, a telephone number. What was only said, and is
//! in no form, is not found this way.

use std::collections::BTreeSet;

use serde_json::Value;
use sqlx::{Any, Transaction};

use super::calls::{PartRow, TOOL_RUNS};
use super::error::cannot;
use super::verify::Verified;
use super::{Store, StoreError, text};

impl Store {
    /// Writes down whom a call is about, by what a form was told. [`StoreError::Shredded`] if it was deleted for good.
    pub async fn link_call(&self, call_sid: &str, known: &Value) -> Result<(), StoreError> {
        if self.subjects(known).is_empty() {
            return Ok(());
        }
        let mut transaction = self.begin("write down whom a call is about").await?;
        self.call_to_change(&mut transaction, call_sid).await?;
        self.link(&mut transaction, call_sid, known).await?;
        transaction
            .commit()
            .await
            .map_err(cannot("write down whom a call is about"))
    }

    /// Writes down whom a tool was asked about.
    pub(super) async fn link(
        &self,
        transaction: &mut Transaction<'static, Any>,
        call_sid: &str,
        args: &Value,
    ) -> Result<(), StoreError> {
        for (kind, hash) in self.subjects(args) {
            sqlx::query("INSERT INTO call_subjects (call_sid, kind, hash) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
                .bind(call_sid)
                .bind(kind)
                .bind(hash)
                .execute(&mut **transaction)
                .await
                .map_err(cannot("write down whom a call is about"))?;
        }
        Ok(())
    }

    /// Does the same for the calls of an earlier version, once for the whole life of a database; how many it looked at. What was interrupted
    /// goes on, and calls that cannot be read are left out: `tieline data verify` names them.
    pub async fn link_old_calls(&self) -> Result<u64, StoreError> {
        let mut looked_at = 0;
        loop {
            let mut transaction = self.begin(WHAT).await?;
            let reached: Option<(String,)> = sqlx::query_as("SELECT value FROM facts WHERE name = 'call_subjects'")
                .fetch_optional(&mut *transaction)
                .await
                .map_err(cannot(WHAT))?;
            // A sid follows "after ".
            let after = match reached.as_ref().map(|(value,)| value.as_str()) {
                Some(DONE) => return Ok(looked_at),
                Some(reached) => reached.strip_prefix(AFTER).unwrap_or_default(),
                None => "",
            };
            let sids: Vec<(String,)> = sqlx::query_as(BATCH)
                .bind(after)
                .fetch_all(&mut *transaction)
                .await
                .map_err(cannot(WHAT))?;
            for (sid,) in &sids {
                self.link_old_call(&mut transaction, sid).await?;
                looked_at += 1;
            }
            let reached = sids
                .last()
                .map_or_else(|| DONE.to_owned(), |(last,)| format!("{AFTER}{last}"));
            sqlx::query(REACHED)
                .bind(reached)
                .execute(&mut *transaction)
                .await
                .map_err(cannot(WHAT))?;
            transaction.commit().await.map_err(cannot(WHAT))?;
        }
    }

    async fn link_old_call(
        &self,
        transaction: &mut Transaction<'static, Any>,
        call_sid: &str,
    ) -> Result<(), StoreError> {
        let open = match self.call_to_change(transaction, call_sid).await {
            Ok(open) => open,
            Err(error @ (StoreError::Database { .. } | StoreError::NoKek { .. })) => return Err(error),
            Err(_) => return Ok(()),
        };
        let runs: Vec<PartRow> = sqlx::query_as(TOOL_RUNS)
            .bind(call_sid)
            .fetch_all(&mut **transaction)
            .await
            .map_err(cannot(WHAT))?;
        for row in runs {
            if let Ok(run) = open.tool_run(call_sid, row) {
                self.link(transaction, call_sid, &run.args).await?;
            }
        }
        Ok(())
    }

    /// Whether a call is found by all whom its tools were asked about. Calls of an earlier version may not be yet.
    pub(super) async fn verify_links(
        &self,
        call_sid: &str,
        args: &[Value],
        found: &mut Verified,
    ) -> Result<(), StoreError> {
        let links: Vec<(String, String)> = sqlx::query_as("SELECT kind, hash FROM call_subjects WHERE call_sid = $1")
            .bind(call_sid)
            .fetch_all(&self.pool)
            .await
            .map_err(cannot("look through the calls' links"))?;
        let done: i64 =
            sqlx::query_scalar("SELECT count(*) FROM facts WHERE name = 'call_subjects' AND value = 'done'")
                .fetch_one(&self.pool)
                .await
                .map_err(cannot("look through the calls' links"))?;
        let links = BTreeSet::from_iter(links);
        let subjects = args.iter().flat_map(|args| self.subjects(args));
        // More may be there: a run was saved since.
        let all = subjects
            .into_iter()
            .all(|(kind, hash)| links.contains(&(kind.to_owned(), hash)));
        found.same(all || done == 0, || format!("call_subjects: a row of {call_sid}"));
        Ok(())
    }

    /// What stands for those whom a tool's arguments name.
    fn subjects(&self, args: &Value) -> Vec<(&'static str, String)> {
        let told = |name: &str| match args.get(name) {
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => None,
        };
        let id = |name: &str| told(name).and_then(|told| text::id(&told, "id").ok());
        let member = id("member_id").map(|id| (PATIENT, self.member_hash(&id)));
        let customer = id("customer_number").map(|id| (CUSTOMER, self.customer_hash(&id)));
        let phone = told("phone").and_then(|told| text::phone(&told));
        let phone = phone.map(|phone| (PHONE, self.number_hash(&phone)));
        [member, customer, phone].into_iter().flatten().collect()
    }
}

pub(super) const PATIENT: &str = "patient";
pub(super) const CUSTOMER: &str = "customer";
pub(super) const PHONE: &str = "phone";

const WHAT: &str = "write down whom old calls are about";
const DONE: &str = "done";
const AFTER: &str = "after ";
const BATCH: &str = "SELECT call_sid FROM calls WHERE call_sid > $1 ORDER BY call_sid LIMIT 50";
const REACHED: &str = "INSERT INTO facts (name, value) VALUES ('call_subjects', $1) \
     ON CONFLICT (name) DO UPDATE SET value = excluded.value";
