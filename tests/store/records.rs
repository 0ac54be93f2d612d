//! Customers, task orders and coverage.

use std::collections::HashSet;

use futures_util::future::join_all;
use jiff::civil::date;
use tieline::store::{CustomerKey, Eligibility, NewCustomer, NewTaskOrder, PROCEDURES, Store, StoreError, TaskOrder};

use crate::TODAY;
use crate::fresh::{Fresh, count, on_both};

on_both! {
    customers_are_found_by_number_and_by_a_telephone_of_their_own
    a_repeated_creation_is_one_customer
    a_repeated_order_is_one_order
    orders_at_the_same_time_are_all_kept
    an_order_needs_a_customer
    every_patient_with_every_procedure
    texts_come_back_as_they_went_in
    what_cannot_be_stored_is_refused
    errors_tell_no_values
}

fn someone(name: &str, phone: Option<&str>) -> NewCustomer {
    NewCustomer {
        name: name.to_owned(),
        phone: phone.map(str::to_owned),
        ..NewCustomer::default()
    }
}

fn order(customer: &str) -> NewTaskOrder {
    NewTaskOrder {
        customer_number: customer.to_owned(),
        service_type: "plumbing".to_owned(),
        description: "the sink leaks".to_owned(),
        location: "kitchen".to_owned(),
        urgency: "high".to_owned(),
        call_sid: Some("CA1".to_owned()),
    }
}

async fn customers_are_found_by_number_and_by_a_telephone_of_their_own(fresh: Fresh) {
    let store = fresh.open().await;
    for key in [CustomerKey::Number(" 482615 "), CustomerKey::Phone("+1 (212) 555-0101")] {
        let found = store.find_customer(key).await.expect("answered").expect("found");
        assert!(found.name == "Dana Whitfield" && found.customer_number == "482615");
    }
    for key in [CustomerKey::Number("999"), CustomerKey::Phone("+12125550199")] {
        assert!(store.find_customer(key).await.expect("answered").is_none());
    }
    let shared = someone("Dana's brother", Some("+12125550101"));
    store.create_customer(&shared, "k").await.expect("created");
    let found = store
        .find_customer(CustomerKey::Phone("+12125550101"))
        .await
        .expect("answered");
    assert!(found.is_none(), "which of the two would be a guess");
}

async fn a_repeated_creation_is_one_customer(fresh: Fresh) {
    let stores = [fresh.open().await, fresh.open().await];
    let new = someone("Ann Lee", None);
    let created = join_all((0..20).map(|n| stores[n % 2].create_customer(&new, "one act"))).await;
    let numbers: HashSet<String> = created
        .into_iter()
        .map(|customer| customer.expect("created").customer_number)
        .collect();
    let number = numbers.iter().next().expect("a number");
    assert!(
        numbers.len() == 1 && number.len() == 6 && number.parse::<u32>().is_ok(),
        "{numbers:?}"
    );
    let raw = fresh.raw().await;
    assert_eq!(count(&raw, "SELECT count(*) FROM customers").await, 4);
}

async fn a_repeated_order_is_one_order(fresh: Fresh) {
    let stores = [fresh.open().await, fresh.open().await];
    // Tasks, so that they run at the same time.
    let repeats = (0..20).map(|n| {
        let store: Store = stores[n % 2].clone();
        tokio::spawn(async move { store.create_task_order(&order("482615"), "one act").await })
    });
    let mut numbers = HashSet::new();
    for repeat in repeats.collect::<Vec<_>>() {
        let order: TaskOrder = repeat.await.expect("no panic").expect("created");
        assert!(order.order_number.len() == 7 && order.status == "open");
        numbers.insert(order.order_number);
    }
    assert_eq!(numbers.len(), 1);
    assert_eq!(count(&fresh.raw().await, "SELECT count(*) FROM task_orders").await, 1);
    let mut other = order("573904");
    other.description = "something else".to_owned();
    let again = stores[0].create_task_order(&other, "one act").await.expect("the first");
    assert!(again.description == "the sink leaks" && again.customer_number == "482615");
}

async fn orders_at_the_same_time_are_all_kept(fresh: Fresh) {
    let stores = [fresh.open().await, fresh.open().await, fresh.open().await];
    let orders = (0..45).map(|n| {
        let store = stores[n % 3].clone();
        tokio::spawn(async move { store.create_task_order(&order("573904"), &format!("act {n}")).await })
    });
    for order in orders.collect::<Vec<_>>() {
        order.await.expect("no panic").expect("created");
    }
    let kept = stores[0].task_orders("573904").await.expect("listed");
    let numbers: HashSet<_> = kept.iter().map(|order| &order.order_number).collect();
    assert_eq!(numbers.len(), 45);
    assert!(kept.windows(2).all(|pair| pair[0].created_at >= pair[1].created_at));
    assert!(kept.iter().all(|order| order.call_sid.as_deref() == Some("CA1")));
}

async fn an_order_needs_a_customer(fresh: Fresh) {
    let store = fresh.open().await;
    let refused = store.create_task_order(&order("424242"), "act").await;
    assert!(matches!(refused, Err(StoreError::UnknownCustomer)));
    assert_eq!(count(&fresh.raw().await, "SELECT count(*) FROM task_orders").await, 0);
}

async fn every_patient_with_every_procedure(fresh: Fresh) {
    let store = fresh.open().await;
    let answer = async |member: &str, born, procedure: &str| {
        let found = store.coverage(member, born, procedure, TODAY).await.expect("answered");
        match found {
            Eligibility::Eligible(terms) => format!(
                "{} copay {} {}% {}/{} {}",
                terms.plan,
                terms.copay_cents,
                terms.coinsurance_percent,
                terms.deductible_remaining_cents,
                terms.deductible_total_cents,
                if terms.prior_authorization {
                    "ask first"
                } else {
                    "go ahead"
                },
            ),
            Eligibility::NotCovered { plan } => format!("{plan} no"),
            Eligibility::Terminated { on } => format!("ended {on}"),
            Eligibility::UnknownMember => "unknown member".to_owned(),
            Eligibility::WrongDateOfBirth => "wrong date".to_owned(),
            Eligibility::UnknownProcedure => "unknown procedure".to_owned(),
        }
    };
    let patients = [
        (
            "MB123456",
            date(1985, 3, 15),
            [
                "Gold PPO copay 5000 20% 105000/150000 ask first",
                "Gold PPO copay 2500 0% 105000/150000 go ahead",
                "Gold PPO copay 1000 0% 105000/150000 go ahead",
            ],
        ),
        (
            "MB789012",
            date(1990, 7, 22),
            [
                "Silver HMO copay 7500 10% 0/200000 go ahead",
                "Silver HMO copay 2000 0% 0/200000 go ahead",
                "Silver HMO no",
            ],
        ),
        ("MB345678", date(1975, 11, 30), ["ended 2024-12-31"; 3]),
    ];
    for (member, born, expected) in patients {
        for (procedure, expected) in PROCEDURES.iter().zip(expected) {
            assert_eq!(answer(member, born, procedure).await, expected, "{member} {procedure}");
            assert_eq!(answer(member, date(1985, 3, 16), procedure).await, "wrong date");
        }
    }
    let born = date(1985, 3, 15);
    assert_eq!(
        answer(" mb123456", born, "MRI").await,
        "Gold PPO copay 5000 20% 105000/150000 ask first"
    );
    assert_eq!(answer("MB123457", born, "mri").await, "unknown member");
    assert_eq!(answer("MB123456", born, "haircut").await, "unknown procedure");
}

async fn texts_come_back_as_they_went_in(fresh: Fresh) {
    let store = fresh.open().await;
    for (n, text) in [
        "O'Brien \"Bob\"; DROP TABLE customers --",
        "$1 %s \\n",
        "José 李 🚑\u{301}",
        "a\nb",
    ]
    .iter()
    .enumerate()
    {
        let mut new = someone(text, None);
        new.address = Some((*text).to_owned());
        let customer = store
            .create_customer(&new, &format!("key {n} {text}"))
            .await
            .expect("created");
        let found = store
            .find_customer(CustomerKey::Number(&customer.customer_number))
            .await;
        let found = found.expect("answered").expect("found");
        assert!(found.name == *text && found.address.as_deref() == Some(*text));
    }
}

async fn what_cannot_be_stored_is_refused(fresh: Fresh) {
    let store = fresh.open().await;
    let long = "x".repeat(70_000);
    for name in ["a\0b", "", "  ", long.as_str()] {
        let refused = store.create_customer(&someone(name, None), "key").await;
        assert!(matches!(refused, Err(StoreError::BadText { field: "name" })));
    }
    for phone in ["5550101", "+1555\0", "call me"] {
        let refused = store.create_customer(&someone("Ann", Some(phone)), "key").await;
        assert!(matches!(refused, Err(StoreError::BadText { field: "phone" })));
    }
    let mut new = order("482615");
    new.location = "here\0".to_owned();
    let refused = store.create_task_order(&new, "key").await;
    assert!(matches!(refused, Err(StoreError::BadText { field: "location" })));
    let raw = fresh.raw().await;
    assert_eq!(count(&raw, "SELECT count(*) FROM customers").await, 3);
    // A refusal inside a transaction leaves no lock behind.
    store.create_task_order(&order("482615"), "key").await.expect("created");
}

async fn errors_tell_no_values(fresh: Fresh) {
    let store = fresh.open().await;
    let raw = fresh.raw().await;
    sqlx::query("UPDATE patients SET patient_sealed = 'Hidden'")
        .execute(&raw)
        .await
        .expect("written");
    let unreadable = store
        .coverage("MB123456", date(1985, 3, 15), "mri", TODAY)
        .await
        .err()
        .expect("unreadable");
    sqlx::query("DROP TABLE task_orders")
        .execute(&raw)
        .await
        .expect("dropped");
    sqlx::query("ALTER TABLE customers RENAME TO people")
        .execute(&raw)
        .await
        .expect("renamed");
    let gone = store
        .create_customer(&someone("Hidden", None), "Hidden")
        .await
        .err()
        .expect("no table");
    let lost = store
        .find_customer(CustomerKey::Number("Hidden"))
        .await
        .err()
        .expect("no table");
    for error in [unreadable, gone, lost] {
        let all = format!("{error} {error:?}");
        assert!(!all.to_lowercase().contains("hidden"), "{all}");
    }
}
