//! What is to be done for whom.

use jiff::Timestamp;
use rand::Rng as _;
use sqlx::AnyConnection;

use super::customers::ATTEMPTS;
use super::error::cannot;
use super::{Store, StoreError, text, timestamp};

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
        let customer = text::id(&new.customer_number, "customer_number")?;
        let service_type = text::required(&new.service_type, "service_type")?;
        let description = text::required(&new.description, "description")?;
        let location = text::required(&new.location, "location")?;
        let urgency = text::required(&new.urgency, "urgency")?;
        let call_sid = text::optional(new.call_sid.as_deref(), "call_sid")?;
        let key = text::required(key, "key")?;
        let mut transaction = self.begin(what).await?;
        for _ in 0..ATTEMPTS {
            if let Some(row) = by_key(&mut transaction, key).await.map_err(cannot(what))? {
                transaction.commit().await.map_err(cannot(what))?;
                return order(row);
            }
            let number: u32 = rand::rng().random_range(1_000_000..10_000_000);
            // Either the number or the key may be taken; the next round tells which.
            let inserted = sqlx::query(INSERT)
                .bind(number.to_string())
                .bind(customer.as_str())
                .bind(service_type)
                .bind(description)
                .bind(location)
                .bind(urgency)
                .bind(key)
                .bind(call_sid)
                .execute(&mut *transaction)
                .await;
            inserted.map_err(|error| match error.as_database_error() {
                Some(fault) if fault.is_foreign_key_violation() => StoreError::UnknownCustomer,
                _ => cannot(what)(error),
            })?;
        }
        Err(StoreError::NumbersUsedUp { what: "order number" })
    }

    /// A customer's orders, the newest first.
    pub async fn task_orders(&self, customer_number: &str) -> Result<Vec<TaskOrder>, StoreError> {
        let customer = text::id(customer_number, "customer_number")?;
        let rows: Vec<Row> = sqlx::query_as(BY_CUSTOMER)
            .bind(customer)
            .fetch_all(&self.pool)
            .await
            .map_err(cannot("list task orders"))?;
        rows.into_iter().map(order).collect()
    }

    /// The orders that came of a call, in the order they were written down.
    pub async fn task_orders_of_call(&self, call_sid: &str) -> Result<Vec<TaskOrder>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(BY_CALL)
            .bind(text::required(call_sid, "call_sid")?)
            .fetch_all(&self.pool)
            .await
            .map_err(cannot("list task orders"))?;
        rows.into_iter().map(order).collect()
    }
}

pub(super) type Row = (
    String,
    String,
    String,
    String,
    String,
    String,
    String,
    Option<String>,
    i64,
);

async fn by_key(connection: &mut AnyConnection, key: &str) -> Result<Option<Row>, sqlx::Error> {
    sqlx::query_as(BY_KEY).bind(key).fetch_optional(connection).await
}

pub(super) fn order(row: Row) -> Result<TaskOrder, StoreError> {
    let (order_number, customer_number, service_type, description, location, urgency, status, call_sid, created_at) =
        row;
    Ok(TaskOrder {
        order_number,
        customer_number,
        service_type,
        description,
        location,
        urgency,
        status,
        call_sid,
        created_at: timestamp(created_at, "task_orders.created_at_ms")?,
    })
}

const BY_KEY: &str = "SELECT order_number, customer_number, service_type, description, location, urgency, status, call_sid, \
     created_at_ms FROM task_orders WHERE idempotency_key = $1";
const BY_CUSTOMER: &str = "SELECT order_number, customer_number, service_type, description, location, urgency, status, call_sid, \
     created_at_ms FROM task_orders WHERE customer_number = $1 ORDER BY created_at_ms DESC, order_number";
const BY_CALL: &str = "SELECT order_number, customer_number, service_type, description, location, urgency, status, call_sid, \
     created_at_ms FROM task_orders WHERE call_sid = $1 ORDER BY created_at_ms, order_number";
const INSERT: &str = "INSERT INTO task_orders (order_number, customer_number, service_type, description, location, urgency, \
     idempotency_key, call_sid) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING";
