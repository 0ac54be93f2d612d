//! Lists for people, page by page, the newest first.

use jiff::Timestamp;

use super::calls::{self, Call};
use super::customers::{self, Customer};
use super::error::cannot;
use super::orders::{self, TaskOrder};
use super::{Store, StoreError, text};

/// Where a page begins: after this row.
#[derive(Clone, PartialEq, Eq)]
pub struct After {
    /// When the row was made, in milliseconds since 1970.
    pub at_ms: i64,
    /// Its id.
    pub id: String,
}

/// A part of a list.
pub struct Page<T> {
    /// The newest first.
    pub items: Vec<T>,
    /// Where the next page begins, if there is one.
    pub next: Option<After>,
}

/// Which calls; what is `None` does not matter.
#[derive(Clone, Default)]
pub struct CallFilter {
    /// Begun then or later.
    pub from: Option<Timestamp>,
    /// Begun before.
    pub to: Option<Timestamp>,
    /// Answered by that agent.
    pub agent: Option<String>,
    /// Ended that way.
    pub outcome: Option<String>,
    /// Ended, or not.
    pub ended: Option<bool>,
}

/// Which task orders; what is `None` does not matter.
#[derive(Clone, Default)]
pub struct OrderFilter {
    /// Of that customer.
    pub customer_number: Option<String>,
    /// In that state.
    pub status: Option<String>,
    /// Of that call.
    pub call_sid: Option<String>,
}

/// What is to become of a customer; `None` stays as it is, `Some(None)` is removed. PHI.
#[derive(Clone, Default)]
pub struct CustomerChange {
    /// Must not be empty.
    pub name: Option<String>,
    /// E.164.
    pub phone: Option<Option<String>>,
    /// Not checked beyond its being text.
    pub email: Option<Option<String>>,
    /// In one line.
    pub address: Option<Option<String>>,
}

impl Store {
    /// Calls, without their turns.
    pub async fn list_calls(
        &self,
        filter: &CallFilter,
        after: Option<&After>,
        limit: u32,
    ) -> Result<Page<Call>, StoreError> {
        let from = filter.from.map_or(i64::MIN, Timestamp::as_millisecond);
        let to = filter.to.map_or(i64::MAX, Timestamp::as_millisecond);
        let (at_ms, id) = bounds(after)?;
        let rows: Vec<calls::CallRow> = sqlx::query_as(CALLS)
            .bind(at_ms)
            .bind(id)
            .bind(from)
            .bind(to)
            .bind(text::optional(filter.agent.as_deref(), "agent")?)
            .bind(text::optional(filter.outcome.as_deref(), "outcome")?)
            .bind(filter.ended.map(i64::from))
            .bind(i64::from(limit) + 1)
            .fetch_all(&self.pool)
            .await
            .map_err(cannot("list calls"))?;
        let items = rows.into_iter().map(calls::call).collect::<Result<_, _>>()?;
        Ok(page(items, limit, |call: &Call| {
            (call.started_at, call.call_sid.as_str())
        }))
    }

    /// A call without its turns.
    pub async fn find_call(&self, call_sid: &str) -> Result<Option<Call>, StoreError> {
        let row: Option<calls::CallRow> = sqlx::query_as(ONE_CALL)
            .bind(text::required(call_sid, "call_sid")?)
            .fetch_optional(&self.pool)
            .await
            .map_err(cannot("find a call"))?;
        row.map(calls::call).transpose()
    }

    /// All customers.
    pub async fn list_customers(&self, after: Option<&After>, limit: u32) -> Result<Page<Customer>, StoreError> {
        let (at_ms, id) = bounds(after)?;
        let rows: Vec<customers::Row> = sqlx::query_as(CUSTOMERS)
            .bind(at_ms)
            .bind(id)
            .bind(i64::from(limit) + 1)
            .fetch_all(&self.pool)
            .await
            .map_err(cannot("list customers"))?;
        let items = rows.into_iter().map(customers::customer).collect::<Result<_, _>>()?;
        Ok(page(items, limit, |customer: &Customer| {
            (customer.created_at, customer.customer_number.as_str())
        }))
    }

    /// Task orders of all customers.
    pub async fn list_task_orders(
        &self,
        filter: &OrderFilter,
        after: Option<&After>,
        limit: u32,
    ) -> Result<Page<TaskOrder>, StoreError> {
        let (at_ms, id) = bounds(after)?;
        let customer = text::optional(filter.customer_number.as_deref(), "customer_number")?;
        let rows: Vec<orders::Row> = sqlx::query_as(ORDERS)
            .bind(at_ms)
            .bind(id)
            .bind(customer.map(str::to_uppercase))
            .bind(text::optional(filter.status.as_deref(), "status")?)
            .bind(text::optional(filter.call_sid.as_deref(), "call_sid")?)
            .bind(i64::from(limit) + 1)
            .fetch_all(&self.pool)
            .await
            .map_err(cannot("list task orders"))?;
        let items = rows.into_iter().map(orders::order).collect::<Result<_, _>>()?;
        Ok(page(items, limit, |order: &TaskOrder| {
            (order.created_at, order.order_number.as_str())
        }))
    }

    /// A task order by its number.
    pub async fn task_order(&self, order_number: &str) -> Result<Option<TaskOrder>, StoreError> {
        let row: Option<orders::Row> = sqlx::query_as(ORDER)
            .bind(text::required(order_number, "order_number")?)
            .fetch_optional(&self.pool)
            .await
            .map_err(cannot("find a task order"))?;
        row.map(orders::order).transpose()
    }

    /// Sets how far an order has come. `None` if there is no such order.
    pub async fn set_task_order_status(
        &self,
        order_number: &str,
        status: &str,
    ) -> Result<Option<TaskOrder>, StoreError> {
        let what = "change a task order";
        let mut transaction = self.begin(what).await?;
        sqlx::query(SET_STATUS)
            .bind(text::required(order_number, "order_number")?)
            .bind(text::required(status, "status")?)
            .execute(&mut *transaction)
            .await
            .map_err(cannot(what))?;
        transaction.commit().await.map_err(cannot(what))?;
        self.task_order(order_number).await
    }

    /// Changes what is known of a customer. `None` if there is no such customer.
    pub async fn change_customer(&self, number: &str, change: &CustomerChange) -> Result<Option<Customer>, StoreError> {
        let what = "change a customer";
        let number = text::id(number, "customer_number")?;
        let given = |field: &Option<Option<String>>| i64::from(field.is_some());
        let name = change
            .name
            .as_deref()
            .map(|name| text::required(name, "name"))
            .transpose()?;
        let phone = text::optional_phone(change.phone.as_ref().and_then(Option::as_deref))?;
        let mut transaction = self.begin(what).await?;
        sqlx::query(CHANGE_CUSTOMER)
            .bind(&number)
            .bind(name)
            .bind(given(&change.phone))
            .bind(phone)
            .bind(given(&change.email))
            .bind(text::optional(
                change.email.as_ref().and_then(Option::as_deref),
                "email",
            )?)
            .bind(given(&change.address))
            .bind(text::optional(
                change.address.as_ref().and_then(Option::as_deref),
                "address",
            )?)
            .execute(&mut *transaction)
            .await
            .map_err(cannot(what))?;
        transaction.commit().await.map_err(cannot(what))?;
        self.find_customer(super::CustomerKey::Number(&number)).await
    }
}

/// What the first page is after.
fn bounds(after: Option<&After>) -> Result<(i64, &str), StoreError> {
    after.map_or(Ok((i64::MAX, "")), |after| {
        Ok((after.at_ms, text::any(&after.id, "cursor")?))
    })
}

/// `items` holds one more than `limit` if there is another page.
fn page<T>(mut items: Vec<T>, limit: u32, key: impl Fn(&T) -> (Timestamp, &str)) -> Page<T> {
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let next = items.last().filter(|_| more).map(|item| {
        let (at, id) = key(item);
        After {
            at_ms: at.as_millisecond(),
            id: id.to_owned(),
        }
    });
    Page { items, next }
}

// PostgreSQL must be told the type of a parameter that may be NULL.
const CALLS: &str = "SELECT call_sid, from_number, to_number, agent, started_at_ms, ended_at_ms, outcome FROM calls \
     WHERE (started_at_ms < $1 OR (started_at_ms = $1 AND call_sid > $2)) AND started_at_ms >= $3 AND started_at_ms < $4 \
     AND (CAST($5 AS TEXT) IS NULL OR agent = CAST($5 AS TEXT)) AND (CAST($6 AS TEXT) IS NULL OR outcome = CAST($6 AS TEXT)) \
     AND (CAST($7 AS BIGINT) IS NULL OR CAST($7 AS BIGINT) = CASE WHEN ended_at_ms IS NULL THEN 0 ELSE 1 END) \
     ORDER BY started_at_ms DESC, call_sid LIMIT $8";
const ONE_CALL: &str = "SELECT call_sid, from_number, to_number, agent, started_at_ms, ended_at_ms, outcome FROM calls \
     WHERE call_sid = $1";
const CUSTOMERS: &str = "SELECT customer_number, name, phone, email, address, created_at_ms FROM customers \
     WHERE created_at_ms < $1 OR (created_at_ms = $1 AND customer_number > $2) \
     ORDER BY created_at_ms DESC, customer_number LIMIT $3";
const ORDERS: &str = "SELECT order_number, customer_number, service_type, description, location, urgency, status, call_sid, \
     created_at_ms FROM task_orders WHERE (created_at_ms < $1 OR (created_at_ms = $1 AND order_number > $2)) \
     AND (CAST($3 AS TEXT) IS NULL OR customer_number = CAST($3 AS TEXT)) AND (CAST($4 AS TEXT) IS NULL OR status = CAST($4 AS TEXT)) \
     AND (CAST($5 AS TEXT) IS NULL OR call_sid = CAST($5 AS TEXT)) \
     ORDER BY created_at_ms DESC, order_number LIMIT $6";
const ORDER: &str = "SELECT order_number, customer_number, service_type, description, location, urgency, status, call_sid, \
     created_at_ms FROM task_orders WHERE order_number = $1";
const SET_STATUS: &str = "UPDATE task_orders SET status = $2 WHERE order_number = $1";
const CHANGE_CUSTOMER: &str = "UPDATE customers SET name = coalesce(CAST($2 AS TEXT), name), \
     phone = CASE WHEN $3 = 1 THEN CAST($4 AS TEXT) ELSE phone END, email = CASE WHEN $5 = 1 THEN CAST($6 AS TEXT) ELSE email END, \
     address = CASE WHEN $7 = 1 THEN CAST($8 AS TEXT) ELSE address END WHERE customer_number = $1";
