//! customers.csv.

use std::collections::BTreeMap;

use super::table::{Row, Table};
use super::{ImportError, ImportKind, Imported};
use crate::store::customers::Details;
use crate::store::error::cannot;
use crate::store::{Store, StoreError, phone};

pub(super) const COLUMNS: &[&str] = &["customer_number", "name", "phone", "email", "address"];
/// Columns that a file may leave out; their fields may be empty. So may `phone`'s.
pub(super) const OPTIONAL: &[&str] = &["email", "address"];

/// By customer number, so that two imports at once lock rows in the same order.
pub(super) type Rows = BTreeMap<String, Details>;

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
        let (name, phone, email, address, number) = (name?, phone?, email?, address?, number?);
        let details = Details {
            customer_number: number.clone(),
            name,
            phone,
            email,
            address,
        };
        Some((number, details))
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
        for details in rows.values() {
            let before = self.put_customer(&mut transaction, details).await?;
            imported.count(before.as_ref(), details);
        }
        transaction.commit().await.map_err(cannot(what))?;
        Ok(imported)
    }
}
