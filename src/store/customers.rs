//! Those who call.

use jiff::Timestamp;
use rand::Rng as _;
use sqlx::AnyConnection;

use super::error::cannot;
use super::{Store, StoreError, text, timestamp};

/// A customer. PHI.
#[derive(Clone, PartialEq, Eq)]
pub struct Customer {
    /// Digits where this program allotted it; capitals, digits and dashes where it was imported.
    pub customer_number: String,
    /// As the caller gave it.
    pub name: String,
    /// E.164.
    pub phone: Option<String>,
    /// Not checked beyond its being text.
    pub email: Option<String>,
    /// In one line.
    pub address: Option<String>,
    /// When the row was made.
    pub created_at: Timestamp,
}

/// A customer to be. PHI.
#[derive(Clone, Default)]
pub struct NewCustomer {
    /// Must not be empty.
    pub name: String,
    /// E.164.
    pub phone: Option<String>,
    /// If known.
    pub email: Option<String>,
    /// If known.
    pub address: Option<String>,
}

/// What a customer is looked up by.
#[derive(Clone, Copy)]
pub enum CustomerKey<'a> {
    /// The customer number; capitals do not matter.
    Number(&'a str),
    /// The telephone number, E.164.
    Phone(&'a str),
}

impl Store {
    /// The customer of that number, or the only one with that telephone number: `None` when several share it, as any of them
    /// would be a guess.
    pub async fn find_customer(&self, key: CustomerKey<'_>) -> Result<Option<Customer>, StoreError> {
        let what = "find a customer";
        let query = match key {
            CustomerKey::Number(number) => sqlx::query_as(BY_NUMBER).bind(text::id(number, "customer_number")?),
            CustomerKey::Phone(phone) => {
                let field = "phone";
                sqlx::query_as(BY_PHONE).bind(text::phone(phone).ok_or(StoreError::BadText { field })?)
            }
        };
        let mut rows: Vec<Row> = query.fetch_all(&self.pool).await.map_err(cannot(what))?;
        match rows.pop() {
            Some(row) if rows.is_empty() => customer(row).map(Some),
            _ => Ok(None),
        }
    }

    /// Adds a customer under a number of its own, six digits. The same `key` again yields the same customer, whatever `new` says then.
    pub async fn create_customer(&self, new: &NewCustomer, key: &str) -> Result<Customer, StoreError> {
        let what = "create a customer";
        let name = text::required(&new.name, "name")?;
        let phone = text::optional_phone(new.phone.as_deref())?;
        let email = text::optional(new.email.as_deref(), "email")?;
        let address = text::optional(new.address.as_deref(), "address")?;
        let key = text::required(key, "key")?;
        let mut transaction = self.begin(what).await?;
        for _ in 0..ATTEMPTS {
            if let Some(row) = by_key(&mut transaction, key).await.map_err(cannot(what))? {
                transaction.commit().await.map_err(cannot(what))?;
                return customer(row);
            }
            // Not in sequence: a number misheard is then hardly ever somebody else's.
            let number: u32 = rand::rng().random_range(100_000..1_000_000);
            // Either the number or the key may be taken; the next round tells which.
            sqlx::query(INSERT)
                .bind(number.to_string())
                .bind(name)
                .bind(phone.as_deref())
                .bind(email)
                .bind(address)
                .bind(key)
                .execute(&mut *transaction)
                .await
                .map_err(cannot(what))?;
        }
        Err(StoreError::NumbersUsedUp {
            what: "customer number",
        })
    }
}

pub(super) type Row = (String, String, Option<String>, Option<String>, Option<String>, i64);

async fn by_key(connection: &mut AnyConnection, key: &str) -> Result<Option<Row>, sqlx::Error> {
    sqlx::query_as(BY_KEY).bind(key).fetch_optional(connection).await
}

pub(super) fn customer(
    (customer_number, name, phone, email, address, created_at): Row,
) -> Result<Customer, StoreError> {
    Ok(Customer {
        customer_number,
        name,
        phone,
        email,
        address,
        created_at: timestamp(created_at, "customers.created_at_ms")?,
    })
}

/// With half of all numbers taken, one creation in thirty million fails.
pub(super) const ATTEMPTS: usize = 25;

const BY_NUMBER: &str =
    "SELECT customer_number, name, phone, email, address, created_at_ms FROM customers WHERE customer_number = $1";
/// Two are enough to know that it is not the only one.
const BY_PHONE: &str =
    "SELECT customer_number, name, phone, email, address, created_at_ms FROM customers WHERE phone = $1 LIMIT 2";
const BY_KEY: &str =
    "SELECT customer_number, name, phone, email, address, created_at_ms FROM customers WHERE idempotency_key = $1";
const INSERT: &str = "INSERT INTO customers (customer_number, name, phone, email, address, idempotency_key) \
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";
