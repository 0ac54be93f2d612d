//! Answers prepared in a pause: told and heard only if the pause ends the turn.

use std::time::Duration;

use tieline::call::trace::TraceEvent;
use tieline::dialog::slot::Slot;
use tieline::turn::endpoint::{Endpointing, Witnesses};
use tieline::turn::policy::{Policy, Speculation};

use crate::http_server::USUAL;
use crate::phone::{Phone, Seen, silence, voice};
use crate::support::{Setup, TestServer, policy, until};

async fn eager(speculation: Speculation) -> (TestServer, crate::http_server::HttpServer) {
    let policy = Policy {
        speculation,
        ..policy()
    };
    TestServer::with_llm(Setup {
        policy,
        ..Setup::default()
    })
    .await
}

#[tokio::test]
async fn a_prepared_answer_is_heard_at_every_level() {
    for level in [Speculation::Stt, Speculation::Llm, Speculation::Full] {
        let (server, _llm) = eager(level).await;
        let mut phone = Phone::greeted(&server, "CA1").await;
        let turn = phone.exchange().await;
        assert_eq!(
            (turn.outcome.as_str(), turn.heard.as_str()),
            ("completed", USUAL),
            "{level:?}"
        );
        phone.hang_up().await;
    }
}

#[tokio::test]
async fn what_was_prepared_for_an_unfinished_turn_is_neither_told_nor_heard() {
    let (server, llm) = eager(Speculation::Full).await;
    server.stt.hear(&["I live in Boston", "I live in Boston near the park"]);
    let mut phone = Phone::greeted(&server, "CA1").await;
    phone.frames(&[voice(400), silence(140)].concat()).await;
    until("an answer is being prepared", || llm.asked().len() == 1).await;
    phone.frames(&[voice(400), silence(140)].concat()).await;
    until("another one is", || llm.asked().len() == 2).await;
    phone.frames(&silence(400)).await;
    let said = phone.until("what was understood", |seen| match seen {
        Seen::Event(TraceEvent::Caller { text, .. }) => Some(text.clone()),
        Seen::Event(_) | Seen::Media(_) | Seen::Mark(_) | Seen::Clear | Seen::Closed(_) => None,
    });
    assert_eq!(said.await, "I live in Boston near the park");
    assert_eq!(phone.turn().await.heard, USUAL);
    assert_eq!(phone.clears, 0, "nothing had been sent that could be cleared");
    phone.hang_up().await;
}

/// The slot's parser sees what was said, and decides: without it, this little silence would end nothing.
#[tokio::test]
async fn an_awaited_number_is_answered_when_it_is_complete() {
    let policy = Policy {
        speculation: Speculation::Full,
        endpointing: Endpointing {
            min: Duration::from_millis(200),
            delay: Duration::from_millis(5_000),
            max: Duration::from_millis(5_000),
            witnesses: Witnesses::Words,
        },
        ..policy()
    };
    let expect = Some(Slot::Digits { min: 6, max: 6 });
    let (server, llm) = TestServer::with_llm(Setup {
        policy,
        expect,
        ..Setup::default()
    })
    .await;
    server.stt.hear(&["One two three, four five six."]);
    let mut phone = Phone::greeted(&server, "CA1").await;
    phone.frames(&[voice(400), silence(400)].concat()).await;
    let reason = phone.until("the end of the turn", |seen| match seen {
        Seen::Event(TraceEvent::Turn { turn, latency, .. }) if *turn > 0 => Some(latency.endpoint_reason.clone()),
        Seen::Event(_) | Seen::Media(_) | Seen::Mark(_) | Seen::Clear | Seen::Closed(_) => None,
    });
    assert_eq!(reason.await.as_deref(), Some("slot-complete"));
    assert_eq!((llm.asked().len(), phone.clears), (1, 0));
    phone.hang_up().await;
}
