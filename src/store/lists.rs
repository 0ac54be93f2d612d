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
    /// From that number. PHI.
    pub caller: Option<String>,
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
            .bind(
                filter
                    .caller
                    .as_deref()
                    .map(|number| self.caller_hash(calls::FROM, number)),
            )
            .fetch_all(&self.pool)
            .await
            .map_err(cannot("list calls"))?;
        page(rows, limit, |row| (row.4, &row.0), |row| self.call_of(row))
    }

    /// A call without its turns.
    pub async fn find_call(&self, call_sid: &str) -> Result<Option<Call>, StoreError> {
        let row: Option<calls::CallRow> = sqlx::query_as(calls::CALL)
            .bind(text::required(call_sid, "call_sid")?)
            .fetch_optional(&self.pool)
            .await
            .map_err(cannot("find a call"))?;
        row.map(|row| self.call_of(row)).transpose()
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
        page(rows, limit, |row| (row.2, &row.0), |row| self.customer(row))
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
            .bind(customer.map(|number| self.customer_hash(&number.to_uppercase())))
            .bind(text::optional(filter.status.as_deref(), "status")?)
            .bind(text::optional(filter.call_sid.as_deref(), "call_sid")?)
            .bind(i64::from(limit) + 1)
            .fetch_all(&self.pool)
            .await
            .map_err(cannot("list task orders"))?;
        page(rows, limit, |row| (row.5, &row.0), |row| self.order(row))
    }

    /// A task order by its number.
    pub async fn task_order(&self, order_number: &str) -> Result<Option<TaskOrder>, StoreError> {
        let row: Option<orders::Row> = sqlx::query_as(orders::BY_NUMBER)
            .bind(text::required(order_number, "order_number")?)
            .fetch_optional(&self.pool)
            .await
            .map_err(cannot("find a task order"))?;
        row.map(|row| self.order(row)).transpose()
    }

    /// Changes what is known of a customer. `None` if there is no such customer.
    pub async fn change_customer(&self, number: &str, change: &CustomerChange) -> Result<Option<Customer>, StoreError> {
        let what = "change a customer";
        let number = text::id(number, "customer_number")?;
        let name = change
            .name
            .as_deref()
            .map(|name| text::required(name, "name"))
            .transpose()?;
        let phone = text::optional_phone(change.phone.as_ref().and_then(Option::as_deref))?;
        let email = text::optional(change.email.as_ref().and_then(Option::as_deref), "email")?;
        let address = text::optional(change.address.as_ref().and_then(Option::as_deref), "address")?;
        let mut transaction = self.begin(what).await?;
        let hash = self.customer_hash(&number);
        let Some(mut details) = self.customer_to_change(&mut transaction, &hash).await? else {
            return Ok(None);
        };
        if let Some(name) = name {
            name.clone_into(&mut details.name);
        }
        if change.phone.is_some() {
            details.phone = phone;
        }
        if change.email.is_some() {
            details.email = email.map(str::to_owned);
        }
        if change.address.is_some() {
            details.address = address.map(str::to_owned);
        }
        self.put_customer(&mut transaction, &details).await?;
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

/// `rows` holds one more than `limit` if there is another page. `key` tells when a row was made, and its id.
fn page<R, T>(
    mut rows: Vec<R>,
    limit: u32,
    key: impl Fn(&R) -> (i64, &String),
    open: impl Fn(R) -> Result<T, StoreError>,
) -> Result<Page<T>, StoreError> {
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let next = rows.last().filter(|_| more).map(|row| {
        let (at_ms, id) = key(row);
        After { at_ms, id: id.clone() }
    });
    let items = readable(rows, |row| key(row).1, open)?;
    Ok(Page { items, next })
}

/// What of the rows can be read: one that was altered hides no other. `tieline data verify` names it, too.
pub(super) fn readable<R, T>(
    rows: Vec<R>,
    id: impl Fn(&R) -> &String,
    open: impl Fn(R) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut items = Vec::with_capacity(rows.len());
    for row in rows {
        let id = id(&row).clone();
        match open(row) {
            Ok(item) => items.push(item),
            Err(error @ StoreError::Database { .. }) => return Err(error),
            Err(error) => tracing::error!(row = id, %error, "the row {id} is left out of a list: {error}"),
        }
    }
    Ok(items)
}

// PostgreSQL must be told the type of a parameter that may be NULL.
const CALLS: &str = "SELECT call_sid, numbers_sealed, contents_sealed, agent, started_at_ms, ended_at_ms, outcome, k.id, k.kek_id, k.wrapped \
     FROM calls LEFT JOIN data_keys k ON k.id = 'call/' || call_sid \
     WHERE (started_at_ms < $1 OR (started_at_ms = $1 AND call_sid > $2)) AND started_at_ms >= $3 AND started_at_ms < $4 \
     AND (CAST($5 AS TEXT) IS NULL OR agent = CAST($5 AS TEXT)) AND (CAST($6 AS TEXT) IS NULL OR outcome = CAST($6 AS TEXT)) \
     AND (CAST($7 AS BIGINT) IS NULL OR CAST($7 AS BIGINT) = CASE WHEN ended_at_ms IS NULL THEN 0 ELSE 1 END) \
     AND (CAST($9 AS TEXT) IS NULL OR from_hash = CAST($9 AS TEXT)) ORDER BY started_at_ms DESC, call_sid LIMIT $8";
const CUSTOMERS: &str = "SELECT number_hash, customer_sealed, c.created_at_ms, kek_id, wrapped FROM customers c \
     JOIN data_keys k ON k.id = 'customer/' || number_hash \
     WHERE (c.created_at_ms < $1 OR (c.created_at_ms = $1 AND number_hash > $2)) AND wrapped IS NOT NULL \
     ORDER BY c.created_at_ms DESC, number_hash LIMIT $3";
const ORDERS: &str = "SELECT order_number, customer_hash, order_sealed, status, call_sid, o.created_at_ms, kek_id, wrapped \
     FROM task_orders o JOIN data_keys k ON k.id = 'order/' || order_number \
     WHERE (o.created_at_ms < $1 OR (o.created_at_ms = $1 AND order_number > $2)) AND wrapped IS NOT NULL \
     AND (CAST($3 AS TEXT) IS NULL OR customer_hash = CAST($3 AS TEXT)) AND (CAST($4 AS TEXT) IS NULL OR status = CAST($4 AS TEXT)) \
     AND (CAST($5 AS TEXT) IS NULL OR call_sid = CAST($5 AS TEXT)) \
     ORDER BY o.created_at_ms DESC, order_number LIMIT $6";
