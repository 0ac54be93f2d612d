//! One call in text: the caller's lines go to the dialog as transcripts, and what the driver would write down is written down.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use tieline::caller::calls::{Said as Spoken, ScriptedCall, Talk};
use tieline::dialog::conversation::{CallerTurn, Ending, Mind, Said, Staff};
use tieline::dialog::form::{CallFacts, Dialog};
use tieline::dialog::slot::Date;
use tieline::store::{NewCall, Store, ToolRun, Turn};
use tokio::sync::watch;

/// Which of a line's two texts the agent gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    AsSpoken,
    AsTranscribed,
}

/// A call after its end.
pub(crate) struct Held {
    pub(crate) call_sid: String,
    pub(crate) said: Vec<String>,
    /// Both sides, for people.
    pub(crate) lines: Vec<String>,
}

pub(crate) async fn hold(
    store: &Store,
    staff: &Arc<Staff>,
    call: &ScriptedCall,
    place: usize,
    mut talk: Talk,
    written: Written,
) -> Held {
    let mind = Mind {
        llm: None,
        patience: Duration::from_secs(5),
    };
    let agent = Arc::clone(staff.agents.get(&call.agent).expect("an agent that ships"));
    let (call_sid, from) = (format!("CA{place}"), call.number(place));
    let new = NewCall {
        call_sid: call_sid.clone(),
        from: from.clone(),
        to: None,
        agent: agent.name.clone(),
    };
    store.begin_call(&new).await.expect("begun");
    let facts = CallFacts {
        id: call_sid.clone(),
        from,
    };
    let mut said = vec![agent.greeting.clone()];
    let mut lines = vec![format!("agent: {}", agent.greeting)];
    let mut dialog = Dialog::new(Arc::clone(&staff.agents), agent, facts);
    let mut end = "caller";
    let mut turn = 0;
    while let Some(place) = talk.answer(said.last().map_or("", String::as_str)) {
        turn += 1;
        let (text, typed) = match talk.lines()[place].said() {
            Spoken::Words { say, text } => (if written == Written::AsSpoken { say } else { text }, false),
            Spoken::Keys(keys) => (keys.trim_end_matches('#'), true),
        };
        lines.push(format!("caller: {text}"));
        let heard = CallerTurn {
            text: text.to_owned(),
            typed,
            history: Vec::new(),
            today: Date::constant(2026, 11, 21),
        };
        let (_counts, committed) = watch::channel(true);
        let mut answer = pin!(mind.answer(Arc::clone(staff), dialog.clone(), heard, committed));
        let (mut reply, mut ended) = (Vec::new(), None);
        while let Some(said) = answer.next().await {
            match said {
                Said::FirstToken | Said::Acting | Said::Destination(_) => {}
                Said::Sentence(sentence) => reply.push(sentence),
                Said::State(state) => dialog = *state,
                Said::Tool(tool) => {
                    lines.push(format!("tool: {} {}", tool.call.tool, tool.result.outcome));
                    let run = ToolRun {
                        turn,
                        tool: tool.call.tool,
                        args: tool.call.args.into(),
                        outcome: tool.result.outcome,
                        duration_ms: 0,
                    };
                    store.save_tool_run(&call_sid, &run).await.expect("written down");
                }
                Said::End(ending) => ended = Some(ending),
                Said::Failed(reason) => reply.push(format!("(failed: {reason})")),
            }
        }
        lines.push(format!("agent: {}", reply.join(" ")));
        said.push(reply.join(" "));
        let written = Turn {
            number: turn,
            said: text.to_owned(),
            heard: reply.join(" "),
            outcome: "answered".to_owned(),
            ledger: serde_json::json!({}),
        };
        store.save_turn(&call_sid, &written).await.expect("written down");
        if let Some(ending) = ended {
            end = match ending {
                Ending::Goodbye => "goodbye",
                Ending::HandOver => "hand-over",
            };
            break;
        }
    }
    store.end_call(&call_sid, end).await.expect("ended");
    Held { call_sid, said, lines }
}
