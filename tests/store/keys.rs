//! API keys, repeated requests and lists.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use tieline::store::{
    After, Answer, CallFilter, Claim, CustomerChange, CustomerKey, Denied, NewApiKey, NewCall, NewCustomer,
    NewTaskOrder, OrderFilter, Scope, StoreError,
};

use crate::fresh::{Fresh, count, on_both};

on_both! {
    a_key_is_good_until_it_ends
    a_request_is_claimed_once
    pages_hold_everything_once
    one_bad_row_hides_no_other
    customers_change_in_the_fields_that_are_given
}

fn new(name: &str, lifetime: Option<Duration>) -> NewApiKey {
    NewApiKey {
        name: name.to_owned(),
        scopes: [Scope::Phi, Scope::Read].into(),
        lifetime,
    }
}

async fn a_key_is_good_until_it_ends(fresh: Fresh) {
    let stores = [fresh.open().await, fresh.open().await];
    let (made, secret) = stores[0].create_api_key(&new("crm", None)).await.expect("made");
    let found = stores[1]
        .authenticate(secret.expose(), "192.0.2.1")
        .await
        .expect("answered")
        .expect("good");
    assert_eq!((&found.id, found.name.as_str()), (&made.id, "crm"));
    assert_eq!(found.scopes, BTreeSet::from([Scope::Read, Scope::Phi]));
    let listed = stores[0].api_keys().await.expect("listed");
    assert!(listed[0].last_used_at.is_some() && made.last_used_at.is_none());
    // The secret is nowhere.
    let kept: String = sqlx::query_scalar("SELECT id || name || secret_hash || scopes FROM api_keys")
        .fetch_one(&fresh.raw().await)
        .await
        .expect("a row");
    assert!(
        !kept.contains(
            secret
                .expose()
                .rsplit_once(&made.id)
                .expect("an id")
                .1
                .trim_start_matches('_')
        )
    );

    let (_, over) = stores[0]
        .create_api_key(&new("over", Some(Duration::ZERO)))
        .await
        .expect("made");
    assert_eq!(
        stores[0]
            .authenticate(over.expose(), "192.0.2.1")
            .await
            .expect("answered"),
        Err(Denied::Expired)
    );
    let (_, far) = stores[0]
        .create_api_key(&new("far", Some(Duration::MAX)))
        .await
        .expect("made");
    assert!(
        stores[0]
            .authenticate(far.expose(), "192.0.2.1")
            .await
            .expect("answered")
            .is_ok()
    );
    for unknown in [
        "",
        "tl_",
        &format!("{}x", secret.expose()),
        &secret.expose().replace(&made.id, "000000000000"),
    ] {
        assert_eq!(
            stores[0].authenticate(unknown, "192.0.2.1").await.expect("answered"),
            Err(Denied::Unknown)
        );
    }
    assert!(stores[0].is_key_good(&made.id).await.expect("answered"));
    let revoked = stores[0]
        .revoke_api_key(&made.id)
        .await
        .expect("answered")
        .expect("a key");
    let again = stores[1]
        .revoke_api_key(&made.id)
        .await
        .expect("answered")
        .expect("a key");
    assert_eq!(revoked.revoked_at, again.revoked_at, "the first time counts");
    assert_eq!(
        stores[1]
            .authenticate(secret.expose(), "192.0.2.1")
            .await
            .expect("answered"),
        Err(Denied::Revoked)
    );
    assert!(!stores[1].is_key_good(&made.id).await.expect("answered"));
    assert!(stores[0].revoke_api_key("nobody").await.expect("answered").is_none());
    let nameless = stores[0].create_api_key(&new(" ", None)).await;
    assert!(matches!(nameless, Err(StoreError::BadText { field: "name" })));
}

async fn a_request_is_claimed_once(fresh: Fresh) {
    let stores = [fresh.open().await, fresh.open().await];
    let (key, _) = stores[0].create_api_key(&new("crm", None)).await.expect("made");
    let claims = (0..10).map(|n| {
        let (store, id) = (stores[n % 2].clone(), key.id.clone());
        tokio::spawn(async move { store.claim_request(&id, "k", "hash").await })
    });
    let claims = join_all(claims.collect::<Vec<_>>()).await;
    let ours = claims
        .into_iter()
        .filter(|claim| matches!(claim, Ok(Ok(Claim::Ours))))
        .count();
    assert_eq!(ours, 1);
    assert!(matches!(
        stores[1].claim_request(&key.id, "k", "hash").await,
        Ok(Claim::Open)
    ));
    assert!(matches!(
        stores[1].claim_request(&key.id, "k", "other").await,
        Ok(Claim::Other)
    ));
    let answer = Answer {
        status: 201,
        content_type: "application/json".to_owned(),
        body: "{\"name\":\"José\"}".to_owned(),
    };
    // The second time as after a commit whose answer was lost.
    for store in &stores {
        store.finish_request(&key.id, "k", &answer).await.expect("kept");
    }
    let Ok(Claim::Answered(again)) = stores[1].claim_request(&key.id, "k", "hash").await else {
        panic!("it was answered");
    };
    assert!(again == answer);
    // Only what is open is released.
    stores[0].release_request(&key.id, "k").await.expect("released");
    assert!(matches!(
        stores[1].claim_request(&key.id, "k", "hash").await,
        Ok(Claim::Answered(_))
    ));
    assert!(matches!(
        stores[1].claim_request(&key.id, "l", "hash").await,
        Ok(Claim::Ours)
    ));
    stores[0].release_request(&key.id, "l").await.expect("released");
    assert!(matches!(
        stores[1].claim_request(&key.id, "l", "other").await,
        Ok(Claim::Ours)
    ));
    // A day later all is forgotten.
    let raw = fresh.raw().await;
    sqlx::query("UPDATE api_requests SET created_at_ms = created_at_ms - 86400001")
        .execute(&raw)
        .await
        .expect("written");
    assert!(matches!(
        stores[1].claim_request(&key.id, "k", "other").await,
        Ok(Claim::Ours)
    ));
    assert_eq!(count(&raw, "SELECT count(*) FROM api_requests").await, 1);
}

async fn pages_hold_everything_once(fresh: Fresh) {
    let store = fresh.open().await;
    for n in 0..5 {
        let call = NewCall {
            call_sid: format!("CA{n}"),
            agent: if n == 0 { "other" } else { "front-desk" }.to_owned(),
            ..NewCall::default()
        };
        store.begin_call(&call).await.expect("begun");
    }
    store.end_call("CA1", "caller").await.expect("ended");
    let raw = fresh.raw().await;
    sqlx::query("UPDATE calls SET started_at_ms = 1000 WHERE call_sid <> 'CA4'")
        .execute(&raw)
        .await
        .expect("written");
    let (mut seen, mut after) = (Vec::new(), None::<After>);
    loop {
        let page = store
            .list_calls(&CallFilter::default(), after.as_ref(), 2)
            .await
            .expect("listed");
        seen.extend(page.items.into_iter().map(|call| call.call_sid));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["CA4", "CA0", "CA1", "CA2", "CA3"]);
    let ask = async |filter: CallFilter| {
        let page = store.list_calls(&filter, None, 10).await.expect("listed");
        page.items.into_iter().map(|call| call.call_sid).collect::<Vec<_>>()
    };
    let agent = Some("other".to_owned());
    assert_eq!(
        ask(CallFilter {
            agent,
            ..CallFilter::default()
        })
        .await,
        ["CA0"]
    );
    let outcome = Some("caller".to_owned());
    assert_eq!(
        ask(CallFilter {
            outcome,
            ..CallFilter::default()
        })
        .await,
        ["CA1"]
    );
    assert_eq!(
        ask(CallFilter {
            ended: Some(true),
            ..CallFilter::default()
        })
        .await,
        ["CA1"]
    );
    let from = Some(jiff::Timestamp::from_millisecond(1001).expect("in range"));
    assert_eq!(
        ask(CallFilter {
            from,
            ended: Some(false),
            ..CallFilter::default()
        })
        .await,
        ["CA4"]
    );
    assert_eq!(
        ask(CallFilter {
            to: from,
            ..CallFilter::default()
        })
        .await
        .len(),
        4
    );

    let order = NewTaskOrder {
        customer_number: "482615".to_owned(),
        service_type: "plumbing".to_owned(),
        description: "the sink leaks".to_owned(),
        location: "kitchen".to_owned(),
        urgency: "high".to_owned(),
        call_sid: Some("CA1".to_owned()),
    };
    let made = store.create_task_order(&order, "k").await.expect("made");
    let moved = store
        .set_task_order_status(&made.order_number, "done")
        .await
        .expect("answered")
        .expect("an order");
    assert_eq!(moved.status, "done");
    let found = async |filter: OrderFilter| {
        store
            .list_task_orders(&filter, None, 10)
            .await
            .expect("listed")
            .items
            .len()
    };
    let (customer_number, status) = (Some("482615".to_owned()), Some("open".to_owned()));
    assert_eq!(
        found(OrderFilter {
            customer_number,
            ..OrderFilter::default()
        })
        .await,
        1
    );
    assert_eq!(
        found(OrderFilter {
            status,
            ..OrderFilter::default()
        })
        .await,
        0
    );
    let call_sid = Some("CA1".to_owned());
    assert_eq!(
        found(OrderFilter {
            call_sid,
            ..OrderFilter::default()
        })
        .await,
        1
    );
    assert!(
        store
            .set_task_order_status("0", "done")
            .await
            .expect("answered")
            .is_none()
    );
    assert_eq!(store.list_customers(None, 2).await.expect("listed").items.len(), 2);
}

async fn one_bad_row_hides_no_other(fresh: Fresh) {
    let store = fresh.open().await;
    crate::private::fill(&store).await;
    let message = tieline::store::NewVoicemail {
        id: "c3".to_owned(),
        call_sid: "CA1".to_owned(),
        from: None,
        to: None,
        agent: "front-desk".to_owned(),
        language: "en".to_owned(),
        duration_ms: 1_000,
        sha256: "0f".repeat(32),
    };
    for id in ["c3", "d4"] {
        let message = tieline::store::NewVoicemail {
            id: id.to_owned(),
            ..message.clone()
        };
        let key = tieline::store::Store::new_voicemail_key(id);
        store.save_voicemail(&message, &key).await.expect("saved");
    }
    let call = NewCall {
        call_sid: "CA3".to_owned(),
        agent: "front-desk".to_owned(),
        ..NewCall::default()
    };
    store.begin_call(&call).await.expect("begun");
    let raw = fresh.raw().await;
    for statement in [
        "UPDATE calls SET started_at_ms = 1000",
        "UPDATE calls SET numbers_sealed = 'x' WHERE call_sid = 'CA2'",
        "UPDATE customers SET customer_sealed = 'x' WHERE number_hash = (SELECT max(number_hash) FROM customers)",
        "UPDATE task_orders SET order_sealed = 'x' WHERE order_number = (SELECT max(order_number) FROM task_orders)",
        "UPDATE voicemails SET message_sealed = 'x' WHERE id = 'c3'",
    ] {
        let done = sqlx::query(statement).execute(&raw).await.expect("written");
        assert!(done.rows_affected() > 0, "{statement}");
    }
    // The bad one is where the first page ends.
    let first = store.list_calls(&CallFilter::default(), None, 2).await.expect("listed");
    assert!(first.items.len() == 1 && first.items[0].call_sid == "CA1");
    let next = store
        .list_calls(&CallFilter::default(), first.next.as_ref(), 2)
        .await
        .expect("listed");
    assert!(next.items.len() == 1 && next.items[0].call_sid == "CA3" && next.next.is_none());
    assert_eq!(store.recent_calls(9).await.expect("listed").len(), 2);
    assert_eq!(store.list_customers(None, 9).await.expect("listed").items.len(), 3);
    let orders = store.list_task_orders(&OrderFilter::default(), None, 9).await;
    assert_eq!(orders.expect("listed").items.len(), 1);
    let waiting = store.untranscribed_voicemails(9).await.expect("listed");
    assert!(waiting.len() == 1 && waiting[0].new.id == "d4");
    assert_eq!(store.recent_voicemails(9).await.expect("listed").len(), 3);
}

async fn customers_change_in_the_fields_that_are_given(fresh: Fresh) {
    let store = fresh.open().await;
    let ann = NewCustomer {
        name: "Ann Lee".to_owned(),
        phone: Some("+15550199001".to_owned()),
        email: Some("ann@example.org".to_owned()),
        address: None,
    };
    let made = store.create_customer(&ann, "k").await.expect("made");
    let change = CustomerChange {
        phone: Some(None),
        address: Some(Some("1 Elm St".to_owned())),
        ..CustomerChange::default()
    };
    let changed = store
        .change_customer(&made.customer_number, &change)
        .await
        .expect("answered")
        .expect("hers");
    assert!(changed.name == "Ann Lee" && changed.phone.is_none() && changed.email == ann.email);
    assert_eq!(changed.address.as_deref(), Some("1 Elm St"));
    let bad = CustomerChange {
        phone: Some(Some("call me".to_owned())),
        ..CustomerChange::default()
    };
    let refused = store.change_customer(&made.customer_number, &bad).await;
    assert!(matches!(refused, Err(StoreError::BadText { field: "phone" })));
    assert!(
        store
            .change_customer("999999", &change)
            .await
            .expect("answered")
            .is_none()
    );
    let found = store
        .find_customer(CustomerKey::Number(&made.customer_number))
        .await
        .expect("answered");
    assert!(found.expect("hers") == changed);
}
