//! CSV files: all rows or none.

use jiff::civil::date;
use tieline::store::import::{ImportError, ImportKind, Imported};
use tieline::store::{CustomerKey, Eligibility, Store};

use crate::TODAY;
use crate::fresh::{Fresh, count, on_both};

on_both! {
    customers_are_added_changed_or_left
    coverage_is_added_changed_or_left
    a_faulty_file_changes_nothing_and_tells_every_fault
    faulty_coverage_tells_every_fault
    a_file_without_rows_is_nothing
    imports_at_the_same_time_do_not_block_each_other
}

async fn import(store: &Store, csv: &str) -> Imported {
    store.import(csv.as_bytes()).await.expect(csv)
}

fn did(kind: ImportKind, added: usize, changed: usize, unchanged: usize) -> Imported {
    Imported {
        kind,
        added,
        changed,
        unchanged,
    }
}

async fn customers_are_added_changed_or_left(fresh: Fresh) {
    let store = fresh.open().await;
    let csv = "\u{feff}Phone,Name,customer_number,ADDRESS\r\n\
        +1 (212) 555-0150,\"Lee, Ann\",c-7,\"1 Main St\"\"\"\r\n\
        ,José,482615,\r\n";
    assert_eq!(import(&store, csv).await, did(ImportKind::Customers, 1, 1, 0));
    assert_eq!(import(&store, csv).await, did(ImportKind::Customers, 0, 0, 2));
    let ann = store
        .find_customer(CustomerKey::Number("C-7"))
        .await
        .expect("answered")
        .expect("found");
    assert!(ann.name == "Lee, Ann" && ann.phone.as_deref() == Some("+12125550150"));
    assert!(ann.address.as_deref() == Some("1 Main St\"") && ann.email.is_none());
    let jose = store
        .find_customer(CustomerKey::Number("482615"))
        .await
        .expect("answered")
        .expect("found");
    assert!(jose.name == "José" && jose.phone.is_none() && jose.address.is_none());
    assert_eq!(count(&fresh.raw().await, "SELECT count(*) FROM customers").await, 4);
}

const HEADER: &str = "member_id,name,date_of_birth,plan,status,terminated_on,deductible_total_cents,\
    deductible_remaining_cents,procedure,covered,copay_cents,coinsurance_percent,prior_authorization\n";

async fn coverage_is_added_changed_or_left(fresh: Fresh) {
    let store = fresh.open().await;
    let csv = format!(
        "{HEADER}zz1,Ann Lee,2000-02-29,Best,active,,10000,0,x_ray,yes,1500,5,no\n\
         ZZ1,Ann Lee,2000-02-29,Best,active,,10000,0,mri,no,0,0,no\n\
         MB345678,Riley Carter,1975-11-30,Bronze PPO,active,,300000,300000,office_visit,yes,4000,0,no\n"
    );
    assert_eq!(import(&store, &csv).await, did(ImportKind::Coverage, 2, 1, 0));
    assert_eq!(import(&store, &csv).await, did(ImportKind::Coverage, 0, 0, 3));
    let born = date(2000, 2, 29);
    let found = store.coverage("ZZ1", born, "x_ray", TODAY).await.expect("answered");
    assert!(
        matches!(found, Eligibility::Eligible(terms) if terms.copay_cents == 1500 && terms.coinsurance_percent == 5)
    );
    let found = store.coverage("ZZ1", born, "mri", TODAY).await.expect("answered");
    assert!(matches!(found, Eligibility::NotCovered { plan } if plan == "Best"));
    // Who leaves is covered to the end of the last day.
    let leaves = format!("{HEADER}ZZ2,Lee,2000-02-29,Best,terminated,2026-12-31,1,0,mri,yes,0,0,no\n");
    assert_eq!(import(&store, &leaves).await, did(ImportKind::Coverage, 1, 0, 0));
    for (today, covered) in [(TODAY, true), (date(2026, 12, 31), true), (date(2027, 1, 1), false)] {
        let found = store.coverage("ZZ2", born, "mri", today).await.expect("answered");
        let ended = Eligibility::Terminated { on: date(2026, 12, 31) };
        assert_eq!(matches!(&found, Eligibility::Eligible(_)), covered, "{today}");
        assert!(covered || found == ended);
    }
    // A procedure of somebody else is known.
    let found = store
        .coverage("MB345678", date(1975, 11, 30), "x_ray", TODAY)
        .await
        .expect("answered");
    assert!(matches!(found, Eligibility::NotCovered { .. }));
}

async fn faults(store: &Store, csv: &str) -> Vec<String> {
    match store.import(csv.as_bytes()).await {
        Err(ImportError::Rows(faults)) => faults.iter().map(ToString::to_string).collect(),
        Err(other) => panic!("{other}"),
        Ok(imported) => panic!("{imported}"),
    }
}

async fn a_faulty_file_changes_nothing_and_tells_every_fault(fresh: Fresh) {
    let store = fresh.open().await;
    let csv = "customer_number,name,phone\n\
        C1,Good Hidden,+12125550150\n\
        C 2,,555-HIDDEN\n\
        \n\
        c1,Hidden,\n\
        C3,Hidden, Jr.,\n\
        C4,a\0Hidden,\n";
    let found = faults(&store, csv).await;
    assert_eq!(
        found,
        [
            "row 3: customer_number: write 1 to 20 letters, digits and dashes",
            "row 3: name: it is empty; fill it in",
            "row 3: phone: write it with + and the country code, such as +12125550101",
            "row 5: customer_number: row 2 has the same; delete one of them",
            "row 6: row: it has 4 fields where the header has 3; quote a field that holds a comma",
            "row 7: name: it is too long or holds a NUL; shorten it",
        ]
    );
    let windows = faults(
        &store,
        "\u{feff}customer_number,name,phone\r\n\r\nC1,\"A\r\nB\",\r\n\r\n\r\nC2,,\r\n",
    )
    .await;
    assert_eq!(windows, ["row 7: name: it is empty; fill it in"]);
    assert_eq!(count(&fresh.raw().await, "SELECT count(*) FROM customers").await, 3);
    let latin1 = store
        .import(b"customer_number,name,phone\nC1,Jos\xe9,\n")
        .await
        .expect_err("latin 1");
    assert!(latin1.to_string().contains("row 2: name: it is not UTF-8"), "{latin1}");
}

async fn faulty_coverage_tells_every_fault(fresh: Fresh) {
    let store = fresh.open().await;
    let csv = format!(
        "{HEADER}A1,Hidden,1999-02-29,Best,ended,,1.50,x,m r i,maybe,-1,101,\n\
         A2,Hidden,1999-02-28,Best,active,1999-01-01,1,2,mri,yes,0,0,no\n\
         A3,Hidden,1999-02-28,Best,terminated,,1,1,mri,yes,0,0,no\n\
         A4,Hidden,1999-02-28,Best,active,,1,1,mri,yes,0,0,no\n\
         A4,Hidden,1999-02-28,Better,active,,1,1,medication,yes,0,0,no\n\
         A4,Hidden,1999-02-28,Best,active,,1,1,MRI,yes,0,0,no\n"
    );
    let found = faults(&store, &csv).await;
    let places: Vec<&str> = found
        .iter()
        .filter_map(|fault| fault.rsplit_once(": "))
        .map(|(place, _)| place)
        .collect();
    assert_eq!(
        places,
        [
            "row 2: date_of_birth",
            "row 2: status",
            "row 2: deductible_total_cents",
            "row 2: deductible_remaining_cents",
            "row 2: procedure",
            "row 2: covered",
            "row 2: prior_authorization",
            "row 2: copay_cents",
            "row 2: coinsurance_percent",
            "row 3: terminated_on",
            "row 3: deductible_remaining_cents",
            "row 4: terminated_on",
            "row 6: row",
            "row 7: procedure",
        ]
    );
    assert!(!found.concat().to_lowercase().contains("hidden"), "{found:?}");
    assert_eq!(count(&fresh.raw().await, "SELECT count(*) FROM patients").await, 3);
}

async fn a_file_without_rows_is_nothing(fresh: Fresh) {
    let store = fresh.open().await;
    assert_eq!(
        import(&store, "customer_number,name,phone").await,
        did(ImportKind::Customers, 0, 0, 0)
    );
    assert!(matches!(store.import(b"").await, Err(ImportError::Header { .. })));
}

async fn imports_at_the_same_time_do_not_block_each_other(fresh: Fresh) {
    let stores = [fresh.open().await, fresh.open().await];
    let rows: Vec<String> = (0..200).map(|n| format!("C{n},Name {n},\n")).collect();
    let upwards = format!("customer_number,name,phone\n{}", rows.concat());
    let downwards = format!(
        "customer_number,name,phone\n{}",
        rows.iter().rev().cloned().collect::<String>()
    );
    let (first, second) = tokio::join!(
        stores[0].import(upwards.as_bytes()),
        stores[1].import(downwards.as_bytes())
    );
    first.expect("imported");
    second.expect("imported");
    assert_eq!(count(&fresh.raw().await, "SELECT count(*) FROM customers").await, 203);
}
