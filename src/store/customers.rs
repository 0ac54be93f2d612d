//! Those who call.

use jiff::Timestamp;
use rand::Rng as _;
use serde::{Deserialize, Serialize};
use sqlx::{Any, Transaction};

use super::error::cannot;
use super::vault::{self, altered, customer_key};
use super::{Store, StoreError, text, timestamp};
use crate::privacy::seal::{DataKey, Place};

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
        let (question, column, asked) = match key {
            CustomerKey::Number(number) => (BY_NUMBER, NUMBER, text::id(number, "customer_number")?),
            CustomerKey::Phone(phone) => {
                let field = "phone";
                (
                    BY_PHONE,
                    PHONE,
                    text::phone(phone).ok_or(StoreError::BadText { field })?,
                )
            }
        };
        let mut rows: Vec<Row> = sqlx::query_as(question)
            .bind(self.vault.hash(column, &asked))
            .fetch_all(&self.pool)
            .await
            .map_err(cannot(what))?;
        match rows.pop() {
            Some(row) if rows.is_empty() => {
                let hash = row.0.clone();
                let found = self.customer(row)?;
                // The hash beside the sealed part may have been exchanged.
                if matches!(key, CustomerKey::Phone(_)) && found.phone != Some(asked) {
                    return Err(altered(place("phone_hash", &hash)));
                }
                Ok(Some(found))
            }
            _ => Ok(None),
        }
    }

    /// Adds a customer under a number of its own, six digits. The same `key` again yields the same customer, whatever `new` says then.
    pub async fn create_customer(&self, new: &NewCustomer, key: &str) -> Result<Customer, StoreError> {
        let what = "create a customer";
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let mut details = Details {
            customer_number: String::new(),
            name: text::required(&new.name, "name")?.to_owned(),
            phone: text::optional_phone(new.phone.as_deref())?,
            email: owned(text::optional(new.email.as_deref(), "email")?),
            address: owned(text::optional(new.address.as_deref(), "address")?),
        };
        let key_hash = self.vault.hash(KEY, text::required(key, "key")?);
        let mut transaction = self.begin(what).await?;
        for _ in 0..ATTEMPTS {
            let made: Option<Row> = sqlx::query_as(BY_KEY)
                .bind(&key_hash)
                .fetch_optional(&mut *transaction)
                .await
                .map_err(cannot(what))?;
            if let Some(row) = made {
                transaction.commit().await.map_err(cannot(what))?;
                return self.customer(row);
            }
            // Not in sequence: a number misheard is then hardly ever somebody else's.
            let number: u32 = rand::rng().random_range(100_000..1_000_000);
            details.customer_number = number.to_string();
            // Either the number or the key may be taken; the next round tells which.
            self.insert_customer(&mut transaction, &details, Some(&key_hash))
                .await?;
        }
        Err(StoreError::NumbersUsedUp {
            what: "customer number",
        })
    }

    /// Adds a row with its key; not if the number or the act's key is taken.
    pub(super) async fn insert_customer(
        &self,
        transaction: &mut Transaction<'static, Any>,
        details: &Details,
        key_hash: Option<&str>,
    ) -> Result<bool, StoreError> {
        let hash = self.customer_hash(&details.customer_number);
        let key = DataKey::random(customer_key(&hash));
        let inserted = sqlx::query(INSERT)
            .bind(&hash)
            .bind(self.phone_hash(details))
            .bind(details.seal(&key, &hash))
            .bind(key_hash)
            .execute(&mut **transaction)
            .await
            .map_err(cannot("create a customer"))?;
        if inserted.rows_affected() == 0 {
            return Ok(false);
        }
        self.add_key(transaction, &key).await?;
        Ok(true)
    }

    /// Replaces what is known of a customer, or adds one; gives what was known before.
    pub(super) async fn put_customer(
        &self,
        transaction: &mut Transaction<'static, Any>,
        details: &Details,
    ) -> Result<Option<Details>, StoreError> {
        let what = "write a customer";
        let hash = self.customer_hash(&details.customer_number);
        let (key, made) = self.key_for(transaction, customer_key(&hash)).await?;
        let before = if made {
            None
        } else {
            self.customer_to_change(transaction, &hash).await?
        };
        sqlx::query(UPSERT)
            .bind(&hash)
            .bind(self.phone_hash(details))
            .bind(details.seal(&key, &hash))
            .execute(&mut **transaction)
            .await
            .map_err(cannot(what))?;
        Ok(before)
    }

    /// What is known of a customer, whom nobody else changes until the transaction ends.
    pub(super) async fn customer_to_change(
        &self,
        transaction: &mut Transaction<'static, Any>,
        hash: &str,
    ) -> Result<Option<Details>, StoreError> {
        let row: Option<Row> = sqlx::query_as(self.by_kind(BY_NUMBER, FOR_CHANGE_POSTGRES))
            .bind(hash)
            .fetch_optional(&mut **transaction)
            .await
            .map_err(cannot("read a customer"))?;
        row.map(|row| self.details(&row)).transpose()
    }

    pub(super) fn customer(&self, row: Row) -> Result<Customer, StoreError> {
        let created_at = timestamp(row.2, "customers.created_at_ms")?;
        let details = self.details(&row)?;
        Ok(Customer {
            customer_number: details.customer_number,
            name: details.name,
            phone: details.phone,
            email: details.email,
            address: details.address,
            created_at,
        })
    }

    pub(super) fn details(&self, (hash, sealed, _, kek_id, wrapped): &Row) -> Result<Details, StoreError> {
        let key = self.vault.unlock(&customer_key(hash), kek_id, wrapped)?;
        vault::open(&key, place("customer_sealed", hash), sealed)
    }

    /// What stands for a customer number.
    pub(super) fn customer_hash(&self, number: &str) -> String {
        self.vault.hash(NUMBER, number)
    }

    pub(super) fn phone_hash(&self, details: &Details) -> Option<String> {
        details.phone.as_deref().map(|phone| self.number_hash(phone))
    }

    /// What stands for a telephone number, E.164.
    pub(super) fn number_hash(&self, phone: &str) -> String {
        self.vault.hash(PHONE, phone)
    }

    /// What stands for the key of an act.
    pub(super) fn customer_key_hash(&self, key: &str) -> String {
        self.vault.hash(KEY, key)
    }
}

/// What is sealed of a customer.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Details {
    pub(super) customer_number: String,
    pub(super) name: String,
    pub(super) phone: Option<String>,
    pub(super) email: Option<String>,
    pub(super) address: Option<String>,
}

impl Details {
    fn seal(&self, key: &DataKey, hash: &str) -> String {
        vault::seal(key, place("customer_sealed", hash), self)
    }
}

/// Hash, sealed details, when it was made, wrapping key, data key.
pub(super) type Row = (String, String, i64, String, String);

fn place<'a>(column: &'static str, record: &'a str) -> Place<'a> {
    Place {
        table: "customers",
        column,
        record,
    }
}

/// What the hashes are made for.
const NUMBER: &str = "customers.number";
const PHONE: &str = "customers.phone";
const KEY: &str = "customers.key";

/// With half of all numbers taken, one creation in thirty million fails.
pub(super) const ATTEMPTS: usize = 25;

pub(super) const BY_NUMBER: &str = "SELECT number_hash, customer_sealed, customers.created_at_ms, kek_id, wrapped FROM customers \
     JOIN data_keys k ON k.id = 'customer/' || number_hash WHERE number_hash = $1 AND wrapped IS NOT NULL";
const FOR_CHANGE_POSTGRES: &str = "SELECT number_hash, customer_sealed, customers.created_at_ms, kek_id, wrapped FROM customers \
     JOIN data_keys k ON k.id = 'customer/' || number_hash WHERE number_hash = $1 AND wrapped IS NOT NULL FOR UPDATE OF customers";
/// Two are enough to know that it is not the only one.
const BY_PHONE: &str = "SELECT number_hash, customer_sealed, customers.created_at_ms, kek_id, wrapped FROM customers \
     JOIN data_keys k ON k.id = 'customer/' || number_hash WHERE phone_hash = $1 AND wrapped IS NOT NULL LIMIT 2";
const BY_KEY: &str = "SELECT number_hash, customer_sealed, customers.created_at_ms, kek_id, wrapped FROM customers \
     JOIN data_keys k ON k.id = 'customer/' || number_hash WHERE key_hash = $1 AND wrapped IS NOT NULL";
const INSERT: &str = "INSERT INTO customers (number_hash, phone_hash, customer_sealed, key_hash) VALUES ($1, $2, $3, $4) \
     ON CONFLICT DO NOTHING";
const UPSERT: &str = "INSERT INTO customers (number_hash, phone_hash, customer_sealed) VALUES ($1, $2, $3) \
     ON CONFLICT (number_hash) DO UPDATE SET phone_hash = excluded.phone_hash, customer_sealed = excluded.customer_sealed";
