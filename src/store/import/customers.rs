//! customers.csv.

use std::collections::BTreeMap;

use super::table::{Row, Table};
use super::{ImportError, ImportKind, Imported};
use crate::store::error::cannot;
use crate::store::{Store, StoreError, phone};

pub(super) const COLUMNS: &[&str] = &["customer_number", "name", "phone", "email", "address"];
/// Columns that a file may leave out; their fields may be empty. So may `phone`'s.
pub(super) const OPTIONAL: &[&str] = &["email", "address"];

/// By customer number, so that two imports at once lock rows in the same order.
pub(super) type Rows = BTreeMap<String, Customer>;

#[derive(PartialEq)]
pub(super) struct Customer {
    name: String,
    phone: Option<String>,
    email: Option<String>,
    address: Option<String>,
}

pub(super) fn read(table: Table) -> Result<Rows, ImportError> {
    let mut seen = BTreeMap::new();
    let rows = table.read(|row| {
        let number = row.id("customer_number");
        if let Some(number) = &number
            && let Some(first) = seen.insert(number.clone(), row.number())
        {
            row.fault::<()>(
                "customer_number",
                format!("row {first} has the same; delete one of them"),
            );
        }
        // Each is read before any is missed, so that every fault is told.
        let (name, phone) = (row.required("name"), telephone(row));
        let (email, address) = (row.optional("email"), row.optional("address"));
        let customer = Customer {
            name: name?,
            phone: phone?,
            email: email?,
            address: address?,
        };
        Some((number?, customer))
    })?;
    Ok(rows.into_iter().collect())
}

fn telephone(row: &mut Row<'_>) -> Option<Option<String>> {
    let Some(cell) = row.optional("phone")? else {
        return Some(None);
    };
    match phone(&cell) {
        Some(phone) => Some(Some(phone)),
        None => row.fault("phone", "write it with + and the country code, such as +12125550101"),
    }
}

impl Store {
    pub(super) async fn write_customers(&self, rows: Rows) -> Result<Imported, StoreError> {
        let what = "import customers";
        let mut imported = Imported::nothing(ImportKind::Customers);
        let mut transaction = self.begin(what).await?;
        for (number, customer) in &rows {
            let before: Option<Before> = sqlx::query_as(BEFORE)
                .bind(number.as_str())
                .fetch_optional(&mut *transaction)
                .await
                .map_err(cannot(what))?;
            let before = before.map(|(name, phone, email, address)| Customer {
                name,
                phone,
                email,
                address,
            });
            sqlx::query(UPSERT)
                .bind(number.as_str())
                .bind(customer.name.as_str())
                .bind(customer.phone.as_deref())
                .bind(customer.email.as_deref())
                .bind(customer.address.as_deref())
                .execute(&mut *transaction)
                .await
                .map_err(cannot(what))?;
            imported.count(before.as_ref(), customer);
        }
        transaction.commit().await.map_err(cannot(what))?;
        Ok(imported)
    }
}

/// Name, telephone, e-mail, address.
type Before = (String, Option<String>, Option<String>, Option<String>);

const BEFORE: &str = "SELECT name, phone, email, address FROM customers WHERE customer_number = $1";
const UPSERT: &str = "INSERT INTO customers (customer_number, name, phone, email, address) VALUES ($1, $2, $3, $4, $5) \
     ON CONFLICT (customer_number) DO UPDATE SET name = excluded.name, phone = excluded.phone, email = excluded.email, \
     address = excluded.address";
