//! The calls of `calls.toml` in text, without an LLM, with the real tools on a real store: SQLite and PostgreSQL.
//! `tieline bench calls` holds the same calls by voice.

#[path = "../store/fresh.rs"]
mod fresh;
mod properties;
mod text;

use std::path::Path;
use std::sync::Arc;

use tieline::caller::calls::{CallSet, Outcome, ScriptedCall};
use tieline::dialog::conversation::Staff;
use tieline::dialog::slot::Language;
use tieline::dialog::tool::builtin::BUILTIN;
use tieline::privacy::egress::Egress;

use crate::fresh::{Fresh, bytes_below, count, found_in, on_both};
use crate::text::Written;

on_both! {
    every_call_ends_as_it_should
}

#[test]
fn the_set_is_large_and_its_agents_are_there() {
    let set = set();
    assert!(set.calls.len() >= 34, "{}", set.calls.len());
    assert!(set.calls.iter().filter(|call| call.text_only.is_none()).count() >= 34);
}

async fn every_call_ends_as_it_should(fresh: Fresh) {
    let set = set();
    let store = fresh.open().await;
    let staff = Staff::load(
        Path::new("agents"),
        "front-desk",
        Some(store.clone()),
        |_| None,
        &Egress::default(),
    );
    let staff = Arc::new(staff.expect("the agents that ship"));
    let (mut table, mut failed, mut orders) = (String::new(), 0, 0);
    let mut private: Vec<String> = PEOPLE.iter().map(|text| (*text).to_owned()).collect();
    for written in [Written::AsSpoken, Written::AsTranscribed] {
        for (place, call) in set.calls.iter().enumerate() {
            // Whoever has become a customer in the first round calls from another number in the second.
            let place = place
                + if written == Written::AsSpoken {
                    0
                } else {
                    set.calls.len()
                };
            let talk = talk(&set, call, &staff);
            let held = text::hold(&store, &staff, call, place, talk, written).await;
            private.extend(call.number(place));
            private.extend(
                held.lines
                    .iter()
                    .filter_map(|line| line.split_once(": "))
                    .map(|(_, said)| said.to_owned()),
            );
            let outcome = Outcome::read(&store, &held.call_sid, held.said).await;
            let outcome = outcome.expect("readable").expect("written down to its end");
            let faults = outcome.faults(&call.expect, true);
            orders += call.expect.orders.len();
            if !faults.is_empty() {
                failed += 1;
                table.push_str(&format!("FAILED {} ({written:?})\n", call.name));
                faults.iter().for_each(|fault| table.push_str(&format!("  {fault}\n")));
                held.lines
                    .iter()
                    .for_each(|line| table.push_str(&format!("    {line}\n")));
            }
        }
    }
    let all = 2 * set.calls.len();
    #[expect(clippy::print_stdout, reason = "the table is what people look for")]
    {
        println!("{} of {all} calls ended as they should\n{table}", all - failed);
    }
    assert_eq!(failed, 0, "{failed} of {all} calls failed:\n{table}");
    let rows = count(&fresh.raw().await, "SELECT count(*) FROM task_orders").await;
    assert_eq!(rows, orders as i64, "orders that belong to no call");
    nothing_is_plain(&fresh, private).await;
    let verified = store.verify().await.expect("readable");
    assert_eq!(verified.faults, Vec::<String>::new());
    store.close().await;
}

/// Whatever callers and agents have said, and whom it was about, is on no disk: neither in tables nor in logs of the database.
async fn nothing_is_plain(fresh: &Fresh, mut private: Vec<String>) {
    // Shorter ones may be there by chance, and names of tools are no secret.
    private.retain(|text| text.len() >= 8 && !BUILTIN.iter().any(|tool| text.starts_with(tool.name)));
    private.sort();
    private.dedup();
    assert!(private.len() > 300, "{}", private.len());
    let private: Vec<&str> = private.iter().map(String::as_str).collect();
    assert_eq!(found_in(&fresh.everything().await, &private), Vec::<&str>::new());
    if fresh.dir().is_none() {
        sqlx::query("CHECKPOINT")
            .execute(&fresh.raw().await)
            .await
            .expect("on the disk");
    }
    let on_disk = on_disk(fresh);
    assert_eq!(found_in(&on_disk, &private), Vec::<&str>::new());
    assert_eq!(
        found_in(&on_disk, &["service-request", "check_eligibility"]).first(),
        Some(&"service-request"),
        "it is the right place"
    );
}

/// All files of the database; of PostgreSQL, those of the whole server, its log among them.
fn on_disk(fresh: &Fresh) -> Vec<u8> {
    if let Some(dir) = fresh.dir() {
        return bytes_below(dir);
    }
    let host = fresh
        .url
        .split(['@', '/'])
        .find(|part| part.starts_with("%2F"))
        .expect("a socket's directory");
    bytes_below(&Path::new(&host.replace("%2F", "/")).join("data"))
}

/// Of the seed data: names, numbers, ids, dates.
const PEOPLE: &[&str] = &[
    "Dana Whitfield",
    "Luis Ortega",
    "Priya Raman",
    "+12125550101",
    "12 Harbor Street",
    "480 Maple Avenue",
    "Jordan Avery",
    "Casey Monroe",
    "Riley Carter",
    "MB123456",
    "MB789012",
    "MB345678",
    "1985-03-15",
    "1990-07-22",
    "1975-11-30",
    "2024-12-31",
    "Silver HMO",
];

fn set() -> CallSet {
    CallSet::parse(include_str!("calls.toml")).expect("a good set")
}

fn talk(set: &CallSet, call: &ScriptedCall, staff: &Staff) -> tieline::caller::calls::Talk {
    let agent = staff.agents.get(&call.agent).expect("an agent that ships");
    let language = if agent.language == Language::Es { "es" } else { "en" };
    tieline::caller::calls::Talk::new(&call.lines, set.spare(language), &set.again)
}
