//! Looks through all records: whether everything sealed opens in its place, and whether anything is missing.
//!
//! Faults name table, column and record, never what was there.

use sqlx::FromRow;
use sqlx::any::AnyRow;

use super::calls::{CallRow, FROM, PartRow, TOOL_RUNS, TURNS};
use super::coverage::{PatientRow, open_terms};
use super::error::cannot;
use super::requests::{answer_key, place, record};
use super::vault::Found;
use super::{Record, Store, StoreError, customers, orders, vault, voicemails};

/// What was found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Records that were looked at, turns and tool runs among them.
    pub records: u64,
    /// Records whose key was deleted, so that nobody can read them.
    pub shredded: u64,
    /// What was altered or is missing.
    pub faults: Vec<String>,
}

impl Verified {
    pub(super) fn note<T>(&mut self, found: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
        self.records += 1;
        match found {
            Ok(found) => Ok(Some(found)),
            Err(error @ StoreError::Database { .. }) => Err(error),
            Err(error) => {
                self.faults.push(error.to_string());
                Ok(None)
            }
        }
    }

    pub(super) fn same(&mut self, same: bool, what: impl FnOnce() -> String) {
        if !same {
            self.faults.push(StoreError::Altered { what: what() }.to_string());
        }
    }
}

impl Store {
    /// Looks through the whole database. Calls may go on meanwhile.
    pub async fn verify(&self) -> Result<Verified, StoreError> {
        let mut found = Verified::default();
        self.verify_keys(&mut found).await?;
        self.verify_calls(&mut found).await?;
        self.verify_customers(&mut found).await?;
        self.verify_orders(&mut found).await?;
        self.verify_patients(&mut found).await?;
        self.verify_voicemails(&mut found).await?;
        self.verify_answers(&mut found).await?;
        self.verify_glasses(&mut found).await?;
        self.verify_holds(&mut found).await?;
        Ok(found)
    }

    /// Each key must open, and have a record; each record must have a key.
    async fn verify_keys(&self, found: &mut Verified) -> Result<(), StoreError> {
        let mut after = String::new();
        loop {
            let rows: Vec<(String, Option<String>, Option<String>)> = self.page(KEYS, &after).await?;
            let Some((last, ..)) = rows.last() else { break };
            after.clone_from(last);
            for (id, kek_id, wrapped) in rows {
                match kek_id.zip(wrapped) {
                    Some((kek_id, wrapped)) => drop(found.note(self.vault.unlock(&id, &kek_id, &wrapped))?),
                    None => found.shredded += 1,
                }
            }
        }
        for (table, question) in ORPHANS {
            let ids: Vec<(String,)> = self.page(question, "").await?;
            for (id,) in ids {
                let what = format!("{table}: the row of {id}");
                found.faults.push(StoreError::Missing { what }.to_string());
            }
        }
        for question in KEYLESS {
            let ids: Vec<(String,)> = self.page(question, "").await?;
            for (id,) in ids {
                let what = format!("data_keys: the row {id}");
                found.faults.push(StoreError::Missing { what }.to_string());
            }
        }
        Ok(())
    }

    async fn verify_calls(&self, found: &mut Verified) -> Result<(), StoreError> {
        let mut after = String::new();
        loop {
            let rows: Vec<CallRow> = self.page(CALLS, &after).await?;
            let Some(row) = rows.last() else { return Ok(()) };
            after.clone_from(&row.0);
            for row in rows {
                let (sid, faults) = (row.0.clone(), found.faults.len());
                self.verify_call(row, found).await?;
                // What is missing of a call that was deleted between the questions is no fault.
                if found.faults.len() > faults && self.deleted_at(Record::Call(&sid)).await?.is_some() {
                    found.faults.truncate(faults);
                }
            }
        }
    }

    async fn verify_call(&self, row: CallRow, found: &mut Verified) -> Result<(), StoreError> {
        let Some((call, Some(open))) = found.note(self.open_row(row))? else {
            return Ok(());
        };
        let sid = call.call_sid.as_str();
        let hash: Option<(Option<String>,)> = sqlx::query_as("SELECT from_hash FROM calls WHERE call_sid = $1")
            .bind(sid)
            .fetch_optional(&self.pool)
            .await
            .map_err(cannot(WHAT))?;
        let Some((hash,)) = hash else {
            // Deleted meanwhile.
            return Ok(());
        };
        let expected = call.from.as_deref().map(|from| self.caller_hash(FROM, from));
        found.same(hash == expected, || format!("calls.from_hash of {sid}"));
        let turns: Vec<PartRow> = self.page(TURNS, sid).await?;
        let runs: Vec<PartRow> = self.page(TOOL_RUNS, sid).await?;
        for what in open.missing(sid, &turns, &runs) {
            found.faults.push(StoreError::Missing { what }.to_string());
        }
        self.verify_recordings(sid, &open, found).await?;
        for row in turns {
            found.note(open.turn(sid, row))?;
        }
        let mut args = Vec::new();
        for row in runs {
            args.extend(found.note(open.tool_run(sid, row))?.map(|run| run.args));
        }
        self.verify_links(sid, &args, found).await
    }

    async fn verify_customers(&self, found: &mut Verified) -> Result<(), StoreError> {
        let mut after = String::new();
        loop {
            let rows: Vec<(String, String, i64, String, String, Option<String>)> = self.page(CUSTOMERS, &after).await?;
            let Some((last, ..)) = rows.last() else { return Ok(()) };
            after.clone_from(last);
            for (hash, sealed, at, kek_id, wrapped, phone) in rows {
                let row: customers::Row = (hash.clone(), sealed, at, kek_id, wrapped);
                let Some(details) = found.note(self.details(&row))? else {
                    continue;
                };
                found.same(self.customer_hash(&details.customer_number) == hash, || {
                    format!("customers.number_hash of {hash}")
                });
                found.same(self.phone_hash(&details) == phone, || {
                    format!("customers.phone_hash of {hash}")
                });
            }
        }
    }

    async fn verify_orders(&self, found: &mut Verified) -> Result<(), StoreError> {
        let mut after = String::new();
        loop {
            let rows: Vec<orders::Row> = self.page(ORDERS, &after).await?;
            let Some(row) = rows.last() else { return Ok(()) };
            after.clone_from(&row.0);
            for row in rows {
                found.note(self.order(row))?;
            }
        }
    }

    async fn verify_patients(&self, found: &mut Verified) -> Result<(), StoreError> {
        let mut after = String::new();
        loop {
            let rows: Vec<PatientRow> = self.page(PATIENTS, &after).await?;
            let Some(row) = rows.last() else { return Ok(()) };
            after.clone_from(&row.0);
            for row in rows {
                let Some((key, patient)) = found.note(self.open_patient(&row))? else {
                    continue;
                };
                let hash = &row.0;
                found.same(self.member_hash(&patient.member_id) == *hash, || {
                    format!("patients.member_hash of {hash}")
                });
                let terms: Vec<(String, String)> = self.page(TERMS, hash).await?;
                for (procedure, sealed) in terms {
                    found.note(open_terms(&key, hash, &procedure, &sealed))?;
                }
            }
        }
    }

    async fn verify_voicemails(&self, found: &mut Verified) -> Result<(), StoreError> {
        let mut after = String::new();
        loop {
            let rows: Vec<(String, Option<String>)> = self.page(VOICEMAILS, &after).await?;
            let Some((last, _)) = rows.last() else { return Ok(()) };
            after.clone_from(last);
            for (id, hash) in rows {
                let Some(Some(voicemail)) = found.note(self.voicemail(&id).await)? else {
                    continue;
                };
                let expected = voicemail.new.from.as_deref();
                let expected = expected.map(|from| self.caller_hash(voicemails::FROM, from));
                found.same(hash == expected, || format!("voicemails.from_hash of {id}"));
            }
        }
    }

    async fn verify_answers(&self, found: &mut Verified) -> Result<(), StoreError> {
        let rows: Vec<(String, String, String)> = self.page(ANSWERS, "").await?;
        for (api_key, hash, sealed) in rows {
            let record = record(&api_key, &hash);
            let mut connection = self.pool.acquire().await.map_err(cannot(WHAT))?;
            let key = self.find_key(&mut connection, &answer_key(&record)).await;
            if let Some(Found::Key(key)) = found.note(key)? {
                found.note(vault::open::<String>(&key, place(&record), &sealed))?;
            }
        }
        Ok(())
    }

    async fn verify_glasses(&self, found: &mut Verified) -> Result<(), StoreError> {
        let mut after = String::new();
        loop {
            let rows: Vec<(String,)> = self.page(GLASSES, &after).await?;
            let Some((last,)) = rows.last() else { return Ok(()) };
            after.clone_from(last);
            for (id,) in rows {
                found.note(self.find_glass(&id).await)?;
            }
        }
    }

    async fn page<T>(&self, question: &'static str, after: &str) -> Result<Vec<T>, StoreError>
    where
        T: for<'r> FromRow<'r, AnyRow> + Send + Unpin,
    {
        sqlx::query_as(question)
            .bind(after)
            .fetch_all(&self.pool)
            .await
            .map_err(cannot(WHAT))
    }
}

const WHAT: &str = "look through the records";

const KEYS: &str = "SELECT id, kek_id, wrapped FROM data_keys WHERE id > $1 ORDER BY id LIMIT 500";
const CALLS: &str = "SELECT call_sid, numbers_sealed, contents_sealed, agent, started_at_ms, ended_at_ms, outcome, k.id, k.kek_id, k.wrapped \
     FROM calls JOIN data_keys k ON k.id = 'call/' || call_sid WHERE call_sid > $1 ORDER BY call_sid LIMIT 200";
const CUSTOMERS: &str = "SELECT number_hash, customer_sealed, c.created_at_ms, kek_id, wrapped, phone_hash FROM customers c \
     JOIN data_keys k ON k.id = 'customer/' || number_hash WHERE number_hash > $1 AND wrapped IS NOT NULL ORDER BY number_hash LIMIT 500";
const ORDERS: &str = "SELECT order_number, customer_hash, order_sealed, status, call_sid, o.created_at_ms, kek_id, wrapped \
     FROM task_orders o JOIN data_keys k ON k.id = 'order/' || order_number WHERE order_number > $1 AND wrapped IS NOT NULL \
     ORDER BY order_number LIMIT 500";
const PATIENTS: &str = "SELECT member_hash, patient_sealed, kek_id, wrapped FROM patients \
     JOIN data_keys k ON k.id = 'patient/' || member_hash WHERE member_hash > $1 AND wrapped IS NOT NULL ORDER BY member_hash LIMIT 200";
pub(super) const TERMS: &str =
    "SELECT procedure_name, terms_sealed FROM coverage WHERE member_hash = $1 ORDER BY procedure_name";
const VOICEMAILS: &str = "SELECT id, from_hash FROM voicemails WHERE id > $1 ORDER BY id LIMIT 500";
const GLASSES: &str = "SELECT b.id FROM break_glass b JOIN data_keys k ON k.id = 'break-glass/' || b.id WHERE b.id > $1 ORDER BY b.id LIMIT 500";
const ANSWERS: &str =
    "SELECT api_key, key_hash, body_sealed FROM api_requests WHERE body_sealed IS NOT NULL AND key_hash > $1";

/// Keys whose record is gone, by the record's table. `$1` is not needed, and PostgreSQL must be told its type.
const ORPHANS: &[(&str, &str)] = &[
    (
        "calls",
        "SELECT id FROM data_keys WHERE id LIKE 'call/%' AND wrapped IS NOT NULL AND id > $1 \
        AND NOT EXISTS (SELECT 1 FROM calls WHERE 'call/' || call_sid = id) ORDER BY id",
    ),
    (
        "customers",
        "SELECT id FROM data_keys WHERE id LIKE 'customer/%' AND wrapped IS NOT NULL AND id > $1 \
        AND NOT EXISTS (SELECT 1 FROM customers WHERE 'customer/' || number_hash = id) ORDER BY id",
    ),
    (
        "patients",
        "SELECT id FROM data_keys WHERE id LIKE 'patient/%' AND wrapped IS NOT NULL AND id > $1 \
        AND NOT EXISTS (SELECT 1 FROM patients WHERE 'patient/' || member_hash = id) ORDER BY id",
    ),
    (
        "task_orders",
        "SELECT id FROM data_keys WHERE id LIKE 'order/%' AND wrapped IS NOT NULL AND id > $1 \
        AND NOT EXISTS (SELECT 1 FROM task_orders WHERE 'order/' || order_number = id) ORDER BY id",
    ),
    (
        "voicemails",
        "SELECT id FROM data_keys WHERE id LIKE 'voicemail/%' AND wrapped IS NOT NULL AND id > $1 \
        AND NOT EXISTS (SELECT 1 FROM voicemails v WHERE 'voicemail/' || v.id = data_keys.id) ORDER BY id",
    ),
    (
        "break_glass",
        "SELECT id FROM data_keys WHERE id LIKE 'break-glass/%' AND wrapped IS NOT NULL AND id > $1 \
        AND NOT EXISTS (SELECT 1 FROM break_glass b WHERE 'break-glass/' || b.id = data_keys.id) ORDER BY id",
    ),
    (
        "holds",
        "SELECT id FROM data_keys WHERE id LIKE 'hold/%' AND wrapped IS NOT NULL AND id > $1 \
        AND NOT EXISTS (SELECT 1 FROM holds h WHERE 'hold/' || h.id = data_keys.id) ORDER BY id",
    ),
];
/// Records whose key is gone.
const KEYLESS: &[&str] = &[
    "SELECT 'call/' || call_sid FROM calls WHERE call_sid > $1 \
        AND NOT EXISTS (SELECT 1 FROM data_keys WHERE id = 'call/' || call_sid) ORDER BY call_sid",
    "SELECT 'customer/' || number_hash FROM customers WHERE number_hash > $1 \
        AND NOT EXISTS (SELECT 1 FROM data_keys WHERE id = 'customer/' || number_hash) ORDER BY number_hash",
    "SELECT 'patient/' || member_hash FROM patients WHERE member_hash > $1 \
        AND NOT EXISTS (SELECT 1 FROM data_keys WHERE id = 'patient/' || member_hash) ORDER BY member_hash",
    "SELECT 'order/' || order_number FROM task_orders WHERE order_number > $1 \
        AND NOT EXISTS (SELECT 1 FROM data_keys WHERE id = 'order/' || order_number) ORDER BY order_number",
    "SELECT 'voicemail/' || v.id FROM voicemails v WHERE v.id > $1 \
        AND NOT EXISTS (SELECT 1 FROM data_keys WHERE data_keys.id = 'voicemail/' || v.id) ORDER BY v.id",
    "SELECT 'break-glass/' || b.id FROM break_glass b WHERE b.id > $1 \
        AND NOT EXISTS (SELECT 1 FROM data_keys WHERE data_keys.id = 'break-glass/' || b.id) ORDER BY b.id",
    // Nothing of ours deletes a hold's key.
    "SELECT 'hold/' || h.id FROM holds h WHERE h.id > $1 \
        AND NOT EXISTS (SELECT 1 FROM data_keys WHERE data_keys.id = 'hold/' || h.id AND wrapped IS NOT NULL) ORDER BY h.id",
    "SELECT 'answer/' || api_key || '/' || key_hash FROM api_requests WHERE body_sealed IS NOT NULL AND key_hash > $1 \
        AND NOT EXISTS (SELECT 1 FROM data_keys WHERE id = 'answer/' || api_key || '/' || key_hash) ORDER BY key_hash",
];
