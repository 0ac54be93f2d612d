//! Whatever is said or written: it comes back as it was, or is refused.

use proptest::prelude::*;
use tieline::store::import::ImportError;
use tieline::store::{CustomerKey, NewCustomer, StoreError};
use tokio::runtime::Runtime;

use crate::fresh::{Fresh, count};

fn round_trip(fresh: &Fresh, runtime: &Runtime) {
    let store = runtime.block_on(fresh.open());
    let texts = (any::<String>(), proptest::option::of(any::<String>()), any::<u64>());
    proptest!(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() },
        |((name, address, key) in texts)| {
        let new = NewCustomer { name: name.clone(), address: address.clone(), ..NewCustomer::default() };
        let created = runtime.block_on(store.create_customer(&new, &key.to_string()));
        let all = format!("{name}{}", address.clone().unwrap_or_default());
        match created {
            Ok(created) => {
                let found = runtime.block_on(store.find_customer(CustomerKey::Number(&created.customer_number)));
                let found = found.expect("answered").expect("found");
                prop_assert_eq!(found.name, name.trim());
                let address = address.unwrap_or_default();
                prop_assert_eq!(found.address.unwrap_or_default(), address.trim());
            }
            Err(StoreError::BadText { .. }) => prop_assert!(all.contains('\0') || name.trim().is_empty()),
            Err(other) => prop_assert!(false, "{}", other),
        }
    });
}

#[test]
fn customers_come_back_from_sqlite() {
    round_trip(&Fresh::sqlite(), &Runtime::new().expect("a runtime"));
}

#[test]
fn customers_come_back_from_postgres() {
    let runtime = Runtime::new().expect("a runtime");
    round_trip(&runtime.block_on(Fresh::postgres()), &runtime);
}

/// Cells that are often right, often not.
fn cell() -> impl Strategy<Value = String> {
    prop_oneof![
        "[A-Z0-9]{1,8}",
        Just("+12125550150".to_owned()),
        Just(String::new()),
        "[ -~]{0,12}",
        any::<String>()
    ]
}

#[test]
fn a_file_goes_in_as_a_whole_or_not_at_all() {
    let runtime = Runtime::new().expect("a runtime");
    let fresh = Fresh::sqlite();
    let store = runtime.block_on(fresh.open());
    let raw = runtime.block_on(fresh.raw());
    let customers = || runtime.block_on(count(&raw, "SELECT count(*) FROM customers"));
    let rows = proptest::collection::vec(proptest::collection::vec(cell(), 3), 0..6);
    proptest!(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() }, |(rows in rows)| {
        let mut csv = csv::Writer::from_writer(b"customer_number,name,phone\n".to_vec());
        for row in &rows {
            csv.write_record(row).expect("three cells");
        }
        let csv = csv.into_inner().expect("in memory");
        let before = customers();
        match runtime.block_on(store.import(&csv)) {
            Ok(imported) => {
                prop_assert_eq!(imported.added + imported.changed + imported.unchanged, rows.len());
                prop_assert_eq!(customers(), before + imported.added as i64);
            }
            Err(ImportError::Rows(faults)) => {
                prop_assert!(!faults.is_empty());
                prop_assert_eq!(customers(), before);
            }
            Err(other) => prop_assert!(false, "{}", other),
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn telephone_numbers_are_e164_or_nothing(text in any::<String>(), digits in "[1-9][0-9]{6,14}") {
        if let Some(phone) = tieline::store::phone(&text) {
            prop_assert!(phone.starts_with('+') && phone[1..].bytes().all(|b| b.is_ascii_digit()));
        }
        let phone = format!("+{digits}");
        prop_assert_eq!(tieline::store::phone(&phone), Some(phone));
    }
}
