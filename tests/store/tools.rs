//! The built-in tools: every outcome.

use jiff::civil::date;
use serde_json::{Map, Value, json};
use tieline::dialog::tool::builtin::{BUILTIN, Builtin, COMMON_OUTCOMES};
use tieline::dialog::tool::{ToolCall, ToolResult};

use crate::TODAY;
use crate::fresh::{Fresh, count, on_both};

on_both! {
    customers
    task_orders
    eligibility
    bad_arguments_are_named
    a_database_that_fails_is_the_outcome_failed
}

fn call(tool: &str, args: Value) -> ToolCall {
    let Value::Object(args) = args else { panic!("{args}") };
    ToolCall {
        tool: tool.to_owned(),
        args,
        key: "one act".to_owned(),
    }
}

/// Runs a tool and checks its outcome against the table.
async fn run(tools: &Builtin, tool: &str, args: Value) -> (String, Map<String, Value>) {
    let ToolResult { outcome, data } = tools.run(&call(tool, args), TODAY).await.expect("one of ours");
    let entry = BUILTIN.iter().find(|entry| entry.name == tool).expect("in the table");
    let known = entry
        .outcomes
        .iter()
        .chain(COMMON_OUTCOMES)
        .any(|known| *known == outcome);
    assert!(known, "{tool} answered {outcome}");
    (outcome, data)
}

async fn customers(fresh: Fresh) {
    let tools = Builtin::new(fresh.open().await);
    for args in [
        json!({"customer_number": "482615"}),
        json!({"customer_number": 482615}),
        json!({"phone": "+12125550101"}),
    ] {
        let (outcome, data) = run(&tools, "lookup_customer", args).await;
        assert_eq!(outcome, "found");
        let expected = json!({"customer_number": "482615", "name": "Dana Whitfield", "phone": "+12125550101",
            "address": "12 Harbor Street, Springfield"});
        assert_eq!(Value::Object(data), expected);
    }
    let (outcome, data) = run(&tools, "lookup_customer", json!({"customer_number": "555555"})).await;
    assert_eq!((outcome.as_str(), data.len()), ("not_found", 0));
    let args = json!({"name": "Ann Lee", "phone": "+12125550150", "email": null, "address": ""});
    let (outcome, created) = run(&tools, "create_customer", args.clone()).await;
    assert_eq!((outcome.as_str(), &created["name"]), ("created", &json!("Ann Lee")));
    assert_eq!(run(&tools, "create_customer", args).await.1, created, "the same act");
    let (_, found) = run(&tools, "lookup_customer", json!({"phone": "+12125550150"})).await;
    assert_eq!(found["customer_number"], created["customer_number"]);
}

async fn task_orders(fresh: Fresh) {
    let store = fresh.open().await;
    let tools = Builtin::for_call(store.clone(), "CA7");
    let args = |customer: &str| {
        json!({"customer_number": customer, "service_type": "plumbing", "description": "leak", "location": "kitchen",
            "urgency": "high"})
    };
    assert_eq!(
        run(&tools, "create_task_order", args("9")).await,
        ("unknown_customer".to_owned(), Map::new())
    );
    let (outcome, created) = run(&tools, "create_task_order", args("619283")).await;
    assert_eq!((outcome.as_str(), &created["urgency"]), ("created", &json!("high")));
    assert_eq!(
        run(&tools, "create_task_order", args("619283")).await.1,
        created,
        "the same act"
    );
    let orders = store.task_orders("619283").await.expect("listed");
    assert!(orders.len() == 1 && created["order_number"] == json!(orders[0].order_number));
    assert_eq!(orders[0].call_sid.as_deref(), Some("CA7"));
}

async fn eligibility(fresh: Fresh) {
    let tools = Builtin::new(fresh.open().await);
    let args = |member: &str, born: &str, procedure: &str| json!({"member_id": member, "date_of_birth": born, "procedure": procedure});
    let (outcome, data) = run(&tools, "check_eligibility", args("MB123456", "1985-03-15", "mri")).await;
    assert_eq!(outcome, "eligible");
    let expected = json!({"procedure": "mri", "plan": "Gold PPO", "copay_cents": 5000, "coinsurance_percent": 20,
        "deductible_total_cents": 150_000, "deductible_remaining_cents": 105_000, "deductible_met": false,
        "prior_authorization": true});
    assert_eq!(Value::Object(data), expected);
    let (_, data) = run(
        &tools,
        "check_eligibility",
        args("MB789012", "1990-07-22", "office_visit"),
    )
    .await;
    assert_eq!(data["deductible_met"], json!(true));
    // The seed's last day of coverage is December 31.
    let last = args("MB345678", "1975-11-30", "office_visit");
    for (today, outcome) in [
        (date(2024, 12, 30), "eligible"),
        (date(2024, 12, 31), "eligible"),
        (date(2025, 1, 1), "terminated"),
    ] {
        let asked = call("check_eligibility", last.clone());
        let found = tools.run(&asked, today).await.expect("one of ours");
        assert_eq!(found.outcome, outcome, "{today}");
    }
    for (member, born, procedure, outcome, data) in [
        (
            "MB789012",
            "1990-07-22",
            "medication",
            "not_covered",
            json!({"procedure": "medication", "plan": "Silver HMO"}),
        ),
        (
            "MB345678",
            "1975-11-30",
            "mri",
            "terminated",
            json!({"terminated_on": "2024-12-31"}),
        ),
        ("MB000000", "1975-11-30", "mri", "unknown_member", json!({})),
        ("MB123456", "1985-03-14", "mri", "wrong_date_of_birth", json!({})),
        ("MB123456", "1985-03-15", "haircut", "unknown_procedure", json!({})),
        (
            "MB123456",
            "1985-02-30",
            "mri",
            "invalid",
            json!({"argument": "date_of_birth"}),
        ),
    ] {
        let found = run(&tools, "check_eligibility", args(member, born, procedure)).await;
        assert_eq!((found.0.as_str(), Value::Object(found.1)), (outcome, data));
    }
}

async fn bad_arguments_are_named(fresh: Fresh) {
    let tools = Builtin::new(fresh.open().await);
    for (tool, args, argument) in [
        ("lookup_customer", json!({}), "customer_number"),
        ("lookup_customer", json!({"phone": "five"}), "phone"),
        (
            "lookup_customer",
            json!({"customer_number": ["482615"]}),
            "customer_number",
        ),
        ("create_customer", json!({"name": " "}), "name"),
        ("create_customer", json!({"name": "a\u{0}"}), "name"),
        ("create_customer", json!({"name": "x".repeat(5000)}), "name"),
        ("create_customer", json!({"name": "Ann", "phone": true}), "phone"),
        (
            "create_task_order",
            json!({"customer_number": "482615"}),
            "service_type",
        ),
        (
            "check_eligibility",
            json!({"member_id": "MB123456", "date_of_birth": "March"}),
            "date_of_birth",
        ),
        (
            "check_eligibility",
            json!({"member_id": {}, "date_of_birth": 3}),
            "member_id",
        ),
    ] {
        let (outcome, data) = run(&tools, tool, args).await;
        assert_eq!(
            (outcome.as_str(), Value::Object(data)),
            ("invalid", json!({ "argument": argument })),
            "{tool}"
        );
    }
    // Each parameter that the table calls required is.
    for tool in &BUILTIN[..4] {
        for required in tool.parameters.iter().filter(|parameter| parameter.required) {
            let all = tool
                .parameters
                .iter()
                .map(|parameter| (parameter.name.to_owned(), json!("1985-03-15")));
            let mut args: Map<String, Value> = all.filter(|(name, _)| name != "phone").collect();
            args.remove(required.name);
            let (outcome, data) = run(&tools, tool.name, Value::Object(args)).await;
            assert_eq!(
                (outcome.as_str(), &data["argument"]),
                ("invalid", &json!(required.name))
            );
        }
    }
    assert_eq!(count(&fresh.raw().await, "SELECT count(*) FROM customers").await, 3);
    for other in ["transfer_call", "send_sms", "end_call", "rm_rf"] {
        assert!(tools.run(&call(other, json!({})), TODAY).await.is_none(), "{other}");
    }
}

async fn a_database_that_fails_is_the_outcome_failed(fresh: Fresh) {
    let store = fresh.open().await;
    let tools = Builtin::new(store.clone());
    sqlx::query("ALTER TABLE customers RENAME TO people")
        .execute(&fresh.raw().await)
        .await
        .expect("renamed");
    for (tool, args) in [
        ("lookup_customer", json!({"customer_number": "482615"})),
        ("create_customer", json!({"name": "Ann"})),
    ] {
        assert_eq!(run(&tools, tool, args).await.0, ToolResult::FAILED);
    }
    store.close().await;
    let args = json!({"member_id": "MB123456", "date_of_birth": "1985-03-15", "procedure": "mri"});
    assert_eq!(run(&tools, "check_eligibility", args).await.0, ToolResult::FAILED);
}
