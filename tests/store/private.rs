//! One of everything that is private, and what of it must be nowhere.

use serde_json::json;
use tieline::store::{
    Answer, NewApiKey, NewCall, NewCustomer, NewTaskOrder, NewVoicemail, Scope, Store, ToolRun, Turn,
};

/// Names, ids, numbers, dates and phrases of [`fill`].
pub(crate) const PRIVATE: &[&str] = &[
    "Quagmire",
    "+12125550177",
    "2125550177",
    "Zebulon",
    "Walrus",
    "aquarium",
    "+12125550188",
    "+12125550199",
    "ZQ909090",
    "1961-02-03",
    "Ottoline",
    "Quokka Gold",
    "1999-12-24",
    "bumblebee",
    "marzipan",
    // Of the seed data.
    "Whitfield",
    "482615",
    "MB123456",
    "1985-03-15",
    "Gold PPO",
];

/// Two calls, customers with orders, patients, messages and an answer. Gives the number of the customer.
pub(crate) async fn fill(store: &Store) -> String {
    for sid in ["CA1", "CA2"] {
        let new = NewCall {
            call_sid: sid.to_owned(),
            from: Some("+12125550188".to_owned()),
            to: Some("+12125550199".to_owned()),
            agent: "front-desk".to_owned(),
        };
        store.begin_call(&new).await.expect("begun");
        for number in 1..=3 {
            let turn = Turn {
                number,
                said: format!("My member id is ZQ909090, bumblebee {sid} {number}."),
                heard: "Thank you, Zebulon.".to_owned(),
                outcome: "answered".to_owned(),
                ledger: json!({ "voice_to_voice_ms": 512.5 }),
            };
            store.save_turn(sid, &turn).await.expect("saved");
        }
        for turn in 1..=2 {
            let run = ToolRun {
                turn,
                tool: "check_eligibility".to_owned(),
                args: json!({ "member_id": "ZQ909090", "date_of_birth": "1961-02-03" }),
                outcome: "eligible".to_owned(),
                duration_ms: 12,
            };
            store.save_tool_run(sid, &run).await.expect("saved");
        }
    }
    store.end_call("CA1", "goodbye").await.expect("ended");
    let number = customer(store).await;
    let csv = "member_id,name,date_of_birth,plan,status,terminated_on,deductible_total_cents,deductible_remaining_cents,procedure,\
        covered,copay_cents,coinsurance_percent,prior_authorization\n\
        ZQ909090,Ottoline Vex,1961-02-03,Quokka Gold,terminated,1999-12-24,10000,0,mri,yes,1500,5,no\n\
        ZQ909090,Ottoline Vex,1961-02-03,Quokka Gold,terminated,1999-12-24,10000,0,x_ray,no,0,0,no\n";
    store.import(csv.as_bytes()).await.expect("imported");
    for id in ["a1", "b2"] {
        let new = NewVoicemail {
            id: id.to_owned(),
            call_sid: "CA1".to_owned(),
            from: Some("+12125550188".to_owned()),
            to: None,
            agent: "front-desk".to_owned(),
            language: "en".to_owned(),
            duration_ms: 1_000,
            sha256: "0f".repeat(32),
        };
        store
            .save_voicemail(&new, &Store::new_voicemail_key(id))
            .await
            .expect("saved");
        store
            .save_transcript(id, Some("Call Zebulon about the marzipan."))
            .await
            .expect("saved");
    }
    number
}

async fn customer(store: &Store) -> String {
    let new = NewCustomer {
        name: "Zebulon Quagmire".to_owned(),
        phone: Some("+12125550177".to_owned()),
        email: Some("zebulon@quagmire.example".to_owned()),
        address: Some("77 Walrus Lane".to_owned()),
    };
    let number = store
        .create_customer(&new, "zebulon's act")
        .await
        .expect("created")
        .customer_number;
    for act in ["walrus 1", "walrus 2"] {
        let order = NewTaskOrder {
            customer_number: number.clone(),
            service_type: "plumbing".to_owned(),
            description: format!("The {act} tank leaks"),
            location: "behind the aquarium".to_owned(),
            urgency: "high".to_owned(),
            call_sid: Some("CA1".to_owned()),
        };
        store.create_task_order(&order, act).await.expect("created");
    }
    let key = NewApiKey {
        name: "crm".to_owned(),
        scopes: [Scope::Phi].into(),
        lifetime: None,
    };
    let (key, _) = store.create_api_key(&key).await.expect("made");
    store
        .claim_request(&key.id, "zebulon-1", "walrus")
        .await
        .expect("claimed");
    let answer = Answer {
        status: 201,
        content_type: "application/json".to_owned(),
        body: "{\"name\":\"Zebulon\"}".to_owned(),
    };
    store.finish_request(&key.id, "zebulon-1", &answer).await.expect("kept");
    number
}
