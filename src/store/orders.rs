//! What is to be done for whom.

use jiff::Timestamp;
use rand::Rng as _;
use serde::{Deserialize, Serialize};
use sqlx::{Any, AnyConnection, Transaction};

use super::customers::ATTEMPTS;
use super::error::cannot;
use super::vault::{self, altered, order_key};
use super::{Store, StoreError, text, timestamp};
use crate::privacy::seal::{DataKey, Place};

/// Work that was ordered. PHI.
#[derive(Clone, PartialEq, Eq)]
pub struct TaskOrder {
    /// Seven digits, to be spoken one by one.
    pub order_number: String,
    /// Whose it is.
    pub customer_number: String,
    /// As the agent file names it.
    pub service_type: String,
    /// In the caller's words.
    pub description: String,
    /// Where to go.
    pub location: String,
    /// As the agent file names it.
    pub urgency: String,
    /// `open` until somebody outside changes it.
    pub status: String,
    /// The call it came from, if any.
    pub call_sid: Option<String>,
    /// When the row was made.
    pub created_at: Timestamp,
}

/// An order to be. No text but `call_sid` may be missing or empty. PHI.
#[derive(Clone, Default)]
pub struct NewTaskOrder {
    /// Must be a customer's.
    pub customer_number: String,
    /// As the agent file names it.
    pub service_type: String,
    /// In the caller's words.
    pub description: String,
    /// Where to go.
    pub location: String,
    /// As the agent file names it.
    pub urgency: String,
    /// The call it comes from, if any.
    pub call_sid: Option<String>,
}

impl Store {
    /// Writes an order down, once for each `key`: the same key again yields the same order, whatever `new` says then.
    /// [`StoreError::UnknownCustomer`] if the customer number is nobody's.
    pub async fn create_task_order(&self, new: &NewTaskOrder, key: &str) -> Result<TaskOrder, StoreError> {
        let what = "create a task order";
        let content = Content {
            customer_number: text::id(&new.customer_number, "customer_number")?,
            service_type: text::required(&new.service_type, "service_type")?.to_owned(),
            description: text::required(&new.description, "description")?.to_owned(),
            location: text::required(&new.location, "location")?.to_owned(),
            urgency: text::required(&new.urgency, "urgency")?.to_owned(),
            status: OPEN.to_owned(),
            call_sid: text::optional(new.call_sid.as_deref(), "call_sid")?.map(str::to_owned),
        };
        let key_hash = self.vault.hash(KEY, text::required(key, "key")?);
        let mut transaction = self.begin(what).await?;
        for _ in 0..ATTEMPTS {
            if let Some(row) = by_key(&mut transaction, &key_hash).await.map_err(cannot(what))? {
                transaction.commit().await.map_err(cannot(what))?;
                return self.order(row);
            }
            let number: u32 = rand::rng().random_range(1_000_000..10_000_000);
            // Either the number or the key may be taken; the next round tells which.
            self.insert_order(&mut transaction, &number.to_string(), &content, &key_hash)
                .await?;
        }
        Err(StoreError::NumbersUsedUp { what: "order number" })
    }

    /// Adds a row with its key; not if the number or the act's key is taken.
    pub(super) async fn insert_order(
        &self,
        transaction: &mut Transaction<'static, Any>,
        number: &str,
        content: &Content,
        key_hash: &str,
    ) -> Result<bool, StoreError> {
        let what = "create a task order";
        let key = DataKey::random(order_key(number));
        let inserted = sqlx::query(INSERT)
            .bind(number)
            .bind(self.customer_hash(&content.customer_number))
            .bind(vault::seal(&key, place("order_sealed", number), content))
            .bind(&content.status)
            .bind(key_hash)
            .bind(content.call_sid.as_deref())
            .execute(&mut **transaction)
            .await;
        let inserted = inserted.map_err(|error| match error.as_database_error() {
            Some(fault) if fault.is_foreign_key_violation() => StoreError::UnknownCustomer,
            _ => cannot(what)(error),
        })?;
        if inserted.rows_affected() == 0 {
            return Ok(false);
        }
        self.add_key(transaction, &key).await?;
        Ok(true)
    }

    /// A customer's orders, the newest first.
    pub async fn task_orders(&self, customer_number: &str) -> Result<Vec<TaskOrder>, StoreError> {
        let customer = text::id(customer_number, "customer_number")?;
        let rows: Vec<Row> = sqlx::query_as(BY_CUSTOMER)
            .bind(self.customer_hash(&customer))
            .fetch_all(&self.pool)
            .await
            .map_err(cannot("list task orders"))?;
        rows.into_iter().map(|row| self.order(row)).collect()
    }

    /// The orders that came of a call, in the order they were written down.
    pub async fn task_orders_of_call(&self, call_sid: &str) -> Result<Vec<TaskOrder>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(BY_CALL)
            .bind(text::required(call_sid, "call_sid")?)
            .fetch_all(&self.pool)
            .await
            .map_err(cannot("list task orders"))?;
        rows.into_iter().map(|row| self.order(row)).collect()
    }

    /// Sets how far an order has come. `None` if there is no such order.
    pub async fn set_task_order_status(
        &self,
        order_number: &str,
        status: &str,
    ) -> Result<Option<TaskOrder>, StoreError> {
        let what = "change a task order";
        let number = text::required(order_number, "order_number")?;
        let status = text::required(status, "status")?;
        let mut transaction = self.begin(what).await?;
        let row: Option<Row> = sqlx::query_as(self.by_kind(BY_NUMBER, FOR_CHANGE_POSTGRES))
            .bind(number)
            .fetch_optional(&mut *transaction)
            .await
            .map_err(cannot(what))?;
        let Some(row) = row else { return Ok(None) };
        let (key, mut content) = self.open_order(&row)?;
        status.clone_into(&mut content.status);
        sqlx::query("UPDATE task_orders SET status = $2, order_sealed = $3 WHERE order_number = $1")
            .bind(number)
            .bind(status)
            .bind(vault::seal(&key, place("order_sealed", number), &content))
            .execute(&mut *transaction)
            .await
            .map_err(cannot(what))?;
        transaction.commit().await.map_err(cannot(what))?;
        self.task_order(number).await
    }

    pub(super) fn order(&self, row: Row) -> Result<TaskOrder, StoreError> {
        let (_, content) = self.open_order(&row)?;
        Ok(TaskOrder {
            order_number: row.0,
            customer_number: content.customer_number,
            service_type: content.service_type,
            description: content.description,
            location: content.location,
            urgency: content.urgency,
            status: content.status,
            call_sid: content.call_sid,
            created_at: timestamp(row.5, "task_orders.created_at_ms")?,
        })
    }

    /// Opens an order's row, whose columns must say what is sealed.
    fn open_order(&self, row: &Row) -> Result<(DataKey, Content), StoreError> {
        let (number, customer, sealed, status, call_sid, _, kek_id, wrapped) = row;
        let key = self.vault.unlock(&order_key(number), kek_id, wrapped)?;
        let content: Content = vault::open(&key, place("order_sealed", number), sealed)?;
        let columns = [
            ("status", content.status == *status),
            ("call_sid", content.call_sid == *call_sid),
            (
                "customer_hash",
                self.customer_hash(&content.customer_number) == *customer,
            ),
        ];
        match columns.iter().find(|(_, same)| !same) {
            None => Ok((key, content)),
            Some((column, _)) => Err(altered(place(column, number))),
        }
    }

    /// What stands for the key of an act.
    pub(super) fn order_key_hash(&self, key: &str) -> String {
        self.vault.hash(KEY, key)
    }
}

/// What is sealed of an order.
#[derive(Serialize, Deserialize)]
pub(super) struct Content {
    pub(super) customer_number: String,
    pub(super) service_type: String,
    pub(super) description: String,
    pub(super) location: String,
    pub(super) urgency: String,
    pub(super) status: String,
    pub(super) call_sid: Option<String>,
}

/// Number, hash of the customer's, sealed content, status, call, when it was made, wrapping key, data key.
pub(super) type Row = (String, String, String, String, Option<String>, i64, String, String);

async fn by_key(connection: &mut AnyConnection, key_hash: &str) -> Result<Option<Row>, sqlx::Error> {
    sqlx::query_as(BY_KEY).bind(key_hash).fetch_optional(connection).await
}

fn place<'a>(column: &'static str, record: &'a str) -> Place<'a> {
    Place {
        table: "task_orders",
        column,
        record,
    }
}

/// What an order is at first.
const OPEN: &str = "open";
/// What the hash of an act's key is made for.
const KEY: &str = "task_orders.key";

const BY_KEY: &str = "SELECT order_number, customer_hash, order_sealed, status, call_sid, task_orders.created_at_ms, kek_id, wrapped \
     FROM task_orders JOIN data_keys k ON k.id = 'order/' || order_number WHERE key_hash = $1 AND wrapped IS NOT NULL";
const BY_CUSTOMER: &str = "SELECT order_number, customer_hash, order_sealed, status, call_sid, task_orders.created_at_ms, kek_id, wrapped \
     FROM task_orders JOIN data_keys k ON k.id = 'order/' || order_number WHERE customer_hash = $1 AND wrapped IS NOT NULL \
     ORDER BY task_orders.created_at_ms DESC, order_number";
const BY_CALL: &str = "SELECT order_number, customer_hash, order_sealed, status, call_sid, task_orders.created_at_ms, kek_id, wrapped \
     FROM task_orders JOIN data_keys k ON k.id = 'order/' || order_number WHERE call_sid = $1 AND wrapped IS NOT NULL \
     ORDER BY task_orders.created_at_ms, order_number";
pub(super) const BY_NUMBER: &str = "SELECT order_number, customer_hash, order_sealed, status, call_sid, task_orders.created_at_ms, kek_id, \
     wrapped FROM task_orders JOIN data_keys k ON k.id = 'order/' || order_number WHERE order_number = $1 AND wrapped IS NOT NULL";
const FOR_CHANGE_POSTGRES: &str = "SELECT order_number, customer_hash, order_sealed, status, call_sid, task_orders.created_at_ms, kek_id, \
     wrapped FROM task_orders JOIN data_keys k ON k.id = 'order/' || order_number WHERE order_number = $1 AND wrapped IS NOT NULL \
     FOR UPDATE OF task_orders";
const INSERT: &str = "INSERT INTO task_orders (order_number, customer_hash, order_sealed, status, key_hash, call_sid) \
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";
