//! An agent of two languages.

use std::sync::Arc;

use tieline::dialog::agent::Agents;
use tieline::dialog::conversation::Staff;
use tieline::privacy::egress::Egress;

use crate::engines::Order;
use crate::http_server::{Answer, HttpServer};
use crate::phone::{Phone, silence, voice};
use crate::support::{Setup, TestServer, until};

async fn of_two_languages() -> (TestServer, HttpServer) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let english =
        "name = \"desk\"\ntranslations = { es = \"mesa\" }\ngreeting = \"Hello.\"\nsystem_prompt = \"Be brief.\"\n";
    let spanish = "name = \"mesa\"\nlanguage = \"es\"\ntranslations = { en = \"desk\" }\ngreeting = \"Hola.\"\n\
                   system_prompt = \"Sea breve.\"\n";
    for (file, text) in [("desk.toml", english), ("mesa.toml", spanish)] {
        std::fs::write(dir.path().join(file), text).expect("written");
    }
    let agents = Agents::load(dir.path(), "desk").expect("good files");
    let (server, llm) = TestServer::with_llm(Setup::default()).await;
    let staff = Staff::of(agents, None, |_| None, &Egress::default()).expect("good tools");
    server.staff.send_replace(Arc::new(staff));
    (server, llm)
}

fn prompts(llm: &HttpServer) -> Vec<String> {
    let asked = llm.asked();
    let prompts = asked
        .iter()
        .map(|asked| asked.json()["messages"][0]["content"].to_string());
    prompts.collect()
}

/// Whatever becomes of the turn in which a language was heard: nothing else is listened for, so nothing else is spoken.
#[tokio::test]
async fn a_language_stays_when_the_turn_it_was_heard_in_is_taken_back() {
    let (server, llm) = of_two_languages().await;
    llm.answer([Answer::Stall(Vec::new())]);
    server.stt.give([
        Order::HearIn("Quiero una cita mañana", "es"),
        Order::HearIn("Quiero una cita mañana por favor", "es"),
        Order::HearIn("Y cuánto cuesta la visita", "es"),
    ]);
    let mut phone = Phone::greeted(&server, "CA1").await;
    phone.say().await;
    until("the answer is asked for", || llm.asked().len() == 1).await;
    // The caller goes on before hearing anything of it.
    phone.frames(&[voice(400), silence(600)].concat()).await;
    assert_eq!(phone.turn().await.outcome, "completed");
    assert_eq!(phone.exchange().await.outcome, "completed");
    let prompts = prompts(&llm);
    assert_eq!(prompts.len(), 3);
    for prompt in prompts {
        assert!(prompt.contains("Sea breve."), "{prompt}");
    }
    phone.hang_up().await;
}
