//! Seals the rows that a version without encryption has written, once, before anything else is done with a database.
//!
//! The migration has set them aside as `plain_…`. They are sealed, checked and dropped in one transaction: a start that is interrupted has
//! changed nothing, and servers that start at the same time wait for the first.

use sqlx::{Any, Row as _, Transaction, any::AnyRow};

use super::coverage::{Patient, Terms};
use super::customers::Details;
use super::error::cannot;
use super::orders::Content;
use super::requests::{answer_key, place, record};
use super::{Kind, NewCall, NewVoicemail, Store, StoreError, ToolRun, Turn, small, vault};
use crate::privacy::seal::DataKey;

type Tx = Transaction<'static, Any>;

impl Store {
    /// Does nothing on a database that never had plain rows, or has none any more.
    pub(super) async fn seal_plain_rows(&self) -> Result<(), StoreError> {
        if self.has_table("plain_calls").await? {
            let mut tx = self.begin(WHAT).await?;
            if self.kind == Kind::Postgres {
                // For this transaction: whoever comes second waits, and large tables take their time.
                run(&mut tx, "SET LOCAL statement_timeout = 0").await?;
                run(&mut tx, "LOCK TABLE facts IN SHARE ROW EXCLUSIVE MODE").await?;
            }
            // Another one may have been quicker.
            if self.has_table("plain_calls").await? {
                self.seal_tables(&mut tx).await?;
            }
            tx.commit().await.map_err(cannot(WHAT))?;
        }
        self.forget_plain_pages().await
    }

    async fn seal_tables(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let mut sealed = self.seal_customers(tx).await?;
        sealed += self.seal_orders(tx).await?;
        sealed += self.seal_patients(tx).await?;
        sealed += self.seal_coverage(tx).await?;
        sealed += self.seal_calls(tx).await?;
        sealed += self.seal_voicemails(tx).await?;
        sealed += self.seal_answers(tx).await?;
        self.hide_customers_in_audit(tx).await?;
        for statement in DROP {
            run(tx, statement).await?;
        }
        if sealed > 0 && self.kind == Kind::Sqlite {
            run(
                tx,
                "INSERT INTO facts (name, value) VALUES ('plain_pages', 'left') ON CONFLICT DO NOTHING",
            )
            .await?;
        }
        if sealed > 0 {
            tracing::info!(
                rows = sealed,
                "encrypted {sealed} rows that an earlier version has written"
            );
        }
        Ok(())
    }

    /// Whether the database has a table of that name.
    pub(super) async fn has_table(&self, name: &str) -> Result<bool, StoreError> {
        let question = self.by_kind(
            "SELECT count(*) FROM sqlite_master WHERE name = $1",
            "SELECT count(*) FROM information_schema.tables WHERE table_schema = current_schema() AND CAST(table_name AS TEXT) = $1",
        );
        let tables: i64 = sqlx::query_scalar(question)
            .bind(name)
            .fetch_one(&self.pool)
            .await
            .map_err(cannot(WHAT))?;
        Ok(tables > 0)
    }

    /// SQLite keeps what was deleted in free pages, of a file that was written without `secure_delete`, until it is built anew.
    async fn forget_plain_pages(&self) -> Result<(), StoreError> {
        let left: Option<(String,)> = sqlx::query_as("SELECT value FROM facts WHERE name = 'plain_pages'")
            .fetch_optional(&self.pool)
            .await
            .map_err(cannot(WHAT))?;
        if left.is_none() {
            return Ok(());
        }
        let what = "remove what was plain from the file";
        let mut connection = self.pool.acquire().await.map_err(cannot(what))?;
        // The copy that is made of the file is as large as it, and holds nothing plain.
        for statement in ["PRAGMA temp_store = FILE", "VACUUM", "PRAGMA temp_store = MEMORY"] {
            sqlx::query(statement)
                .execute(&mut *connection)
                .await
                .map_err(cannot(what))?;
        }
        drop(connection);
        self.forget_old_pages(what).await?;
        let mut tx = self.begin(what).await?;
        run(&mut tx, "DELETE FROM facts WHERE name = 'plain_pages'").await?;
        tx.commit().await.map_err(cannot(what))
    }

    async fn seal_customers(&self, tx: &mut Tx) -> Result<usize, StoreError> {
        let rows = all(
            tx,
            "SELECT customer_number, name, phone, email, address, idempotency_key, created_at_ms FROM plain_customers",
        )
        .await?;
        for row in &rows {
            let details = Details {
                customer_number: get(row, 0)?,
                name: get(row, 1)?,
                phone: get(row, 2)?,
                email: get(row, 3)?,
                address: get(row, 4)?,
            };
            let key: Option<String> = get(row, 5)?;
            let key = key.map(|key| self.customer_key_hash(&key));
            self.insert_customer(tx, &details, key.as_deref()).await?;
            let hash = self.customer_hash(&details.customer_number);
            made_at(
                tx,
                "UPDATE customers SET created_at_ms = $2 WHERE number_hash = $1",
                &hash,
                get(row, 6)?,
            )
            .await?;
        }
        Ok(rows.len())
    }

    async fn seal_orders(&self, tx: &mut Tx) -> Result<usize, StoreError> {
        let rows = all(
            tx,
            "SELECT order_number, customer_number, service_type, description, location, urgency, status, call_sid, idempotency_key, \
             created_at_ms FROM plain_task_orders",
        )
        .await?;
        for row in &rows {
            let number: String = get(row, 0)?;
            let content = Content {
                customer_number: get(row, 1)?,
                service_type: get(row, 2)?,
                description: get(row, 3)?,
                location: get(row, 4)?,
                urgency: get(row, 5)?,
                status: get(row, 6)?,
                call_sid: get(row, 7)?,
            };
            let key: String = get(row, 8)?;
            self.insert_order(tx, &number, &content, &self.order_key_hash(&key))
                .await?;
            made_at(
                tx,
                "UPDATE task_orders SET created_at_ms = $2 WHERE order_number = $1",
                &number,
                get(row, 9)?,
            )
            .await?;
        }
        Ok(rows.len())
    }

    async fn seal_patients(&self, tx: &mut Tx) -> Result<usize, StoreError> {
        let rows = all(
            tx,
            "SELECT member_id, name, date_of_birth, plan, status, terminated_on, deductible_total_cents, deductible_remaining_cents, \
             created_at_ms FROM plain_patients",
        )
        .await?;
        for row in &rows {
            let patient = Patient {
                member_id: get(row, 0)?,
                name: get(row, 1)?,
                date_of_birth: get(row, 2)?,
                plan: get(row, 3)?,
                status: get(row, 4)?,
                terminated_on: get(row, 5)?,
                deductible_total_cents: get(row, 6)?,
                deductible_remaining_cents: get(row, 7)?,
            };
            self.put_patient(tx, &patient).await?;
            let hash = self.member_hash(&patient.member_id);
            made_at(
                tx,
                "UPDATE patients SET created_at_ms = $2 WHERE member_hash = $1",
                &hash,
                get(row, 8)?,
            )
            .await?;
        }
        Ok(rows.len())
    }

    async fn seal_coverage(&self, tx: &mut Tx) -> Result<usize, StoreError> {
        let rows = all(
            tx,
            "SELECT member_id, procedure_name, covered, copay_cents, coinsurance_percent, prior_authorization FROM plain_coverage",
        )
        .await?;
        for row in &rows {
            let (member, procedure): (String, String) = (get(row, 0)?, get(row, 1)?);
            let terms = Terms {
                covered: get::<i64>(row, 2)? == 1,
                copay_cents: get(row, 3)?,
                coinsurance_percent: get(row, 4)?,
                prior_authorization: get::<i64>(row, 5)? == 1,
            };
            let id = vault::patient_key(&self.member_hash(&member));
            let (key, _) = self.key_for(tx, id).await?;
            self.put_terms(tx, &key, &member, &procedure, terms).await?;
        }
        Ok(rows.len())
    }

    async fn seal_calls(&self, tx: &mut Tx) -> Result<usize, StoreError> {
        let rows = all(
            tx,
            "SELECT call_sid, from_number, to_number, agent, started_at_ms, ended_at_ms, outcome FROM plain_calls",
        )
        .await?;
        let mut sealed = rows.len();
        for row in &rows {
            let new = NewCall {
                call_sid: get(row, 0)?,
                from: get(row, 1)?,
                to: get(row, 2)?,
                agent: get(row, 3)?,
            };
            self.insert_call(tx, &new).await?;
            sqlx::query("UPDATE calls SET started_at_ms = $2, ended_at_ms = $3, outcome = $4 WHERE call_sid = $1")
                .bind(&new.call_sid)
                .bind(get::<i64>(row, 4)?)
                .bind(get::<Option<i64>>(row, 5)?)
                .bind(get::<Option<String>>(row, 6)?)
                .execute(&mut **tx)
                .await
                .map_err(cannot(WHAT))?;
            sealed += self.seal_turns(tx, &new.call_sid).await?;
            sealed += self.seal_tool_runs(tx, &new.call_sid).await?;
        }
        Ok(sealed)
    }

    async fn seal_turns(&self, tx: &mut Tx, call_sid: &str) -> Result<usize, StoreError> {
        let rows = of_call(tx, TURNS, call_sid).await?;
        for row in &rows {
            let turn = Turn {
                number: small(get(row, 0)?, "turns.number")?,
                said: get(row, 1)?,
                heard: get(row, 2)?,
                outcome: get(row, 3)?,
                ledger: json(&get::<String>(row, 4)?, "turns.ledger")?,
            };
            self.put_turn(tx, call_sid, &turn, get(row, 5)?).await?;
        }
        Ok(rows.len())
    }

    async fn seal_tool_runs(&self, tx: &mut Tx, call_sid: &str) -> Result<usize, StoreError> {
        let rows = of_call(tx, TOOL_RUNS, call_sid).await?;
        for row in &rows {
            let run = ToolRun {
                turn: small(get(row, 0)?, "tool_calls.turn_number")?,
                tool: get(row, 1)?,
                args: json(&get::<String>(row, 2)?, "tool_calls.args")?,
                outcome: get(row, 3)?,
                duration_ms: small(get(row, 4)?, "tool_calls.duration_ms")?,
            };
            self.put_tool_run(tx, call_sid, &run, get(row, 5)?).await?;
        }
        Ok(rows.len())
    }

    async fn seal_voicemails(&self, tx: &mut Tx) -> Result<usize, StoreError> {
        let rows = all(
            tx,
            "SELECT id, call_sid, from_number, to_number, agent, language, duration_ms, sha256, transcribed, transcript, created_at_ms \
             FROM plain_voicemails",
        )
        .await?;
        for row in &rows {
            let new = NewVoicemail {
                id: get(row, 0)?,
                call_sid: get(row, 1)?,
                from: get(row, 2)?,
                to: get(row, 3)?,
                agent: get(row, 4)?,
                language: get(row, 5)?,
                duration_ms: u64::try_from(get::<i64>(row, 6)?).map_err(|_| StoreError::Unreadable {
                    column: "voicemails.duration_ms",
                })?,
                sha256: get(row, 7)?,
            };
            let key = Self::new_voicemail_key(&new.id);
            self.insert_voicemail(tx, &new, &key).await?;
            let transcript: Option<String> = get(row, 9)?;
            let sealed = transcript.map(|said| key.seal(super::voicemails::transcript_place(&new.id), &said));
            sqlx::query(
                "UPDATE voicemails SET transcribed = $2, transcript_sealed = $3, created_at_ms = $4 WHERE id = $1",
            )
            .bind(&new.id)
            .bind(get::<String>(row, 8)?)
            .bind(sealed)
            .bind(get::<i64>(row, 10)?)
            .execute(&mut **tx)
            .await
            .map_err(cannot(WHAT))?;
        }
        Ok(rows.len())
    }

    async fn seal_answers(&self, tx: &mut Tx) -> Result<usize, StoreError> {
        let rows = all(
            tx,
            "SELECT api_key, idempotency_key, request_hash, status, content_type, body, created_at_ms FROM plain_api_requests",
        )
        .await?;
        for row in &rows {
            let (api_key, key): (String, String) = (get(row, 0)?, get(row, 1)?);
            let key = self.request_key_hash(&key);
            let record = record(&api_key, &key);
            let data_key = DataKey::random(answer_key(&record));
            let body: Option<String> = get(row, 5)?;
            let sealed = body.map(|body| vault::seal(&data_key, place(&record), &body));
            if sealed.is_some() {
                self.add_key(tx, &data_key).await?;
            }
            sqlx::query(ANSWER)
                .bind(&api_key)
                .bind(&key)
                .bind(self.request_hash(&get::<String>(row, 2)?))
                .bind(get::<Option<i64>>(row, 3)?)
                .bind(get::<Option<String>>(row, 4)?)
                .bind(sealed)
                .bind(get::<i64>(row, 6)?)
                .execute(&mut **tx)
                .await
                .map_err(cannot(WHAT))?;
        }
        Ok(rows.len())
    }

    /// Events named customers by their numbers. They are not in the chain yet (see `audit::chain`).
    async fn hide_customers_in_audit(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let rows = all(
            tx,
            "SELECT id, subject FROM plain_audit_events WHERE detail = 'customer' AND subject <> ''",
        )
        .await?;
        for row in &rows {
            let number: String = get(row, 1)?;
            sqlx::query("UPDATE plain_audit_events SET subject = $2 WHERE id = $1")
                .bind(get::<i64>(row, 0)?)
                .bind(vault::customer_key(&self.customer_hash(&number.trim().to_uppercase())))
                .execute(&mut **tx)
                .await
                .map_err(cannot(WHAT))?;
        }
        Ok(())
    }
}

async fn run(tx: &mut Tx, statement: &'static str) -> Result<(), StoreError> {
    sqlx::query(statement)
        .execute(&mut **tx)
        .await
        .map(drop)
        .map_err(cannot(WHAT))
}

async fn all(tx: &mut Tx, question: &'static str) -> Result<Vec<AnyRow>, StoreError> {
    sqlx::query(question).fetch_all(&mut **tx).await.map_err(cannot(WHAT))
}

async fn of_call(tx: &mut Tx, question: &'static str, call_sid: &str) -> Result<Vec<AnyRow>, StoreError> {
    sqlx::query(question)
        .bind(call_sid)
        .fetch_all(&mut **tx)
        .await
        .map_err(cannot(WHAT))
}

async fn made_at(tx: &mut Tx, statement: &'static str, id: &str, at_ms: i64) -> Result<(), StoreError> {
    sqlx::query(statement)
        .bind(id)
        .bind(at_ms)
        .execute(&mut **tx)
        .await
        .map(drop)
        .map_err(cannot(WHAT))
}

fn get<'r, T: sqlx::Decode<'r, Any> + sqlx::Type<Any>>(row: &'r AnyRow, column: usize) -> Result<T, StoreError> {
    row.try_get(column).map_err(cannot(WHAT))
}

fn json(text: &str, column: &'static str) -> Result<serde_json::Value, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Unreadable { column })
}

const WHAT: &str = "encrypt what an earlier version has written";

/// Those that refer to others first.
const DROP: &[&str] = &[
    "DROP TABLE plain_api_requests",
    "DROP TABLE plain_voicemails",
    "DROP TABLE plain_tool_calls",
    "DROP TABLE plain_turns",
    "DROP TABLE plain_calls",
    "DROP TABLE plain_coverage",
    "DROP TABLE plain_patients",
    "DROP TABLE plain_task_orders",
    "DROP TABLE plain_customers",
];

const TURNS: &str =
    "SELECT number, said, heard, outcome, ledger, saved_at_ms FROM plain_turns WHERE call_sid = $1 ORDER BY number";
const TOOL_RUNS: &str = "SELECT turn_number, tool, args, outcome, duration_ms, saved_at_ms FROM plain_tool_calls WHERE call_sid = $1 ORDER BY id";
const ANSWER: &str = "INSERT INTO api_requests (api_key, key_hash, request_hash, status, content_type, body_sealed, created_at_ms) \
     VALUES ($1, $2, $3, CAST($4 AS BIGINT), CAST($5 AS TEXT), CAST($6 AS TEXT), $7)";
