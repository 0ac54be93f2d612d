//! What the caller is sent, when, and what comes of the marks.

use std::time::{Duration, Instant};

use tieline::caller::{Pace, Plan, Target, Utterance, place_call};

use crate::engines::Order;
use crate::http_server::tokens;
use crate::phone::{Phone, Seen, silence, voice};
use crate::support::{ACCOUNT, AUTH_TOKEN, FROM, GREETING, Setup, TestServer, policy, soon};

#[tokio::test]
async fn audio_is_never_far_ahead_of_the_ear() {
    let (server, llm) = TestServer::with_llm(Setup::default()).await;
    llm.answer([tokens(&["One long sentence."])]);
    server.tts.give([Order::Tone(Duration::from_millis(1_500))]);
    let mut phone = Phone::greeted(&server, "CA1").await;
    phone.audio = 0;
    // Earlier than the first audio, so a slow machine only makes the bound wider.
    let asked = now();
    phone.say().await;
    let allowed = policy().playout_lead + Duration::from_millis(60 + 20);
    let mut messages = 0;
    phone
        .until("the mark", |seen| match seen {
            Seen::Media(_) => {
                messages += 1;
                None
            }
            Seen::Mark(_) => Some(()),
            Seen::Clear | Seen::Event(_) | Seen::Closed(_) => None,
        })
        .await;
    let sent = Duration::from_millis(phone.audio as u64 / 8);
    assert!(sent >= Duration::from_millis(1_500), "{sent:?}");
    assert!(sent <= (now() - asked) + allowed, "{sent:?} after {:?}", now() - asked);
    assert!(messages > 5, "{messages} messages");
    assert_eq!(phone.turn().await.heard, "One long sentence.");
    phone.hang_up().await;
}

#[tokio::test]
async fn marks_may_come_late_twice_or_unknown() {
    let (server, _llm) = TestServer::with_llm(Setup::default()).await;
    let mut phone = Phone::call(&server, "CA1").await;
    phone.echo = false;
    let mark = |seen: &Seen| {
        if let Seen::Mark(name) = seen {
            Some(name.clone())
        } else {
            None
        }
    };
    let name = phone.until("the mark", mark).await;
    for other in ["", "unknown", "e9.t0.s0", "e0.t9.s9", "e0.t0.s9", "❤", "e0.t0.s0.x"] {
        phone.mark(other).await;
    }
    phone.mark(&name).await;
    phone.mark(&name).await;
    let greeting = phone.turn().await;
    assert_eq!(
        (greeting.outcome.as_str(), greeting.heard.as_str()),
        ("completed", GREETING)
    );
    phone.mark(&name).await;
    phone.echo = true;
    assert_eq!(phone.exchange().await.outcome, "completed");
    phone.hang_up().await;
}

#[tokio::test]
async fn a_mark_that_never_comes_does_not_stop_the_call() {
    let (server, _llm) = TestServer::with_llm(Setup::default()).await;
    let mut phone = Phone::call(&server, "CA1").await;
    phone.echo = false;
    assert_eq!(phone.turn().await.outcome, "completed");
    phone.echo = true;
    assert_eq!(phone.exchange().await.outcome, "completed");
    phone.hang_up().await;
}

/// Speaks into a reply of two sentences, the first of which has been sent. Cleared marks come back or do not.
async fn barge_in(marks_return: bool) {
    let (server, llm) = TestServer::with_llm(Setup::default()).await;
    llm.answer([tokens(&["First. ", "The second one is long."]), tokens(&["Fine."])]);
    server.tts.give([
        Order::Tone(Duration::from_millis(40)),
        Order::Tone(Duration::from_millis(3_000)),
    ]);
    server.stt.hear(&["tell me everything", "never mind"]);
    let mut phone = Phone::greeted(&server, "CA1").await;
    phone.echo = false;
    phone.say().await;
    phone
        .until("the first sentence", |seen| matches!(seen, Seen::Mark(_)).then_some(()))
        .await;
    phone.frames(&voice(400)).await;
    let mut audio_after_clear = false;
    phone
        .until("the clear", |seen| matches!(seen, Seen::Clear).then_some(()))
        .await;
    if marks_return {
        while let Some(mark) = phone.marks.pop_front() {
            phone.mark(&mark).await;
        }
    }
    phone.echo = true;
    phone.frames(&silence(600)).await;
    let mut heard = false;
    phone
        .until("the next transcript", |seen| match seen {
            Seen::Media(_) => {
                audio_after_clear |= !heard;
                None
            }
            Seen::Event(tieline::call::trace::TraceEvent::Caller { .. }) => {
                heard = true;
                Some(())
            }
            Seen::Event(_) | Seen::Mark(_) | Seen::Clear | Seen::Closed(_) => None,
        })
        .await;
    assert!(!audio_after_clear, "audio of the old reply after its clear");
    // The words of the caller prove that the interruption was meant.
    let cut = phone.turn().await;
    assert_eq!(cut.outcome, "interrupted");
    assert!(
        "First. The second one is long.".starts_with(&cut.heard),
        "{}",
        cut.heard
    );
    assert_ne!(cut.heard, "First. The second one is long.");
    let next = phone.turn().await;
    assert_eq!((next.outcome.as_str(), next.heard.as_str()), ("completed", "Fine."));
    // The model is told only what was heard.
    let asked = llm.asked().last().expect("a request").json();
    let texts: Vec<&str> = asked["messages"]
        .as_array()
        .expect("messages")
        .iter()
        .filter_map(|message| message["content"].as_str())
        .collect();
    assert_eq!(texts.last(), Some(&"never mind"));
    assert!(!texts.contains(&"First. The second one is long."), "{texts:?}");
    phone.hang_up().await;
}

#[tokio::test]
async fn after_a_barge_in_returned_marks_prove_nothing() {
    barge_in(true).await;
}

#[tokio::test]
async fn after_a_barge_in_missing_marks_hurt_nothing() {
    barge_in(false).await;
}

#[tokio::test]
async fn an_uh_huh_does_not_end_the_answer() {
    let (server, llm) = TestServer::with_llm(Setup::default()).await;
    llm.answer([tokens(&["First. ", "The second one is long. ", "The third ends it."])]);
    server.tts.give([
        Order::Tone(Duration::from_millis(40)),
        Order::Tone(Duration::from_millis(3_000)),
        Order::Tone(Duration::from_millis(200)),
        Order::Tone(Duration::from_millis(200)),
        Order::Tone(Duration::from_millis(200)),
    ]);
    server.stt.hear(&["tell me everything", "Uh-huh."]);
    let mut phone = Phone::greeted(&server, "CA1").await;
    phone.say().await;
    phone
        .until("the first sentence", |seen| matches!(seen, Seen::Mark(_)).then_some(()))
        .await;
    phone.frames(&[voice(400), silence(600)].concat()).await;
    let turn = phone.turn().await;
    assert_eq!(
        (turn.outcome.as_str(), turn.heard.as_str()),
        ("completed", "First. The second one is long. The third ends it.")
    );
    assert_eq!(phone.clears, 1, "the agent paused for it");
    assert_eq!(llm.asked().len(), 1, "and asked the model nothing");
    phone.hang_up().await;
}

#[tokio::test]
async fn a_sentence_without_audio_does_not_stop_the_turn() {
    let (server, llm) = TestServer::with_llm(Setup::default()).await;
    llm.answer([
        tokens(&["A long one."]),
        tokens(&["Hm."]),
        tokens(&["First. ", "Second."]),
    ]);
    let silent = Order::Tone(Duration::ZERO);
    let long = Order::Tone(Duration::from_millis(3_000));
    server.tts.give([long, silent.clone(), silent, Order::Work]);
    let mut phone = Phone::greeted(&server, "CA1").await;
    phone.say().await;
    phone
        .until("audio", |seen| matches!(seen, Seen::Media(_)).then_some(()))
        .await;
    phone.say().await;
    assert_eq!(phone.turn().await.outcome, "interrupted");
    // The line is cleared, so there is no earlier audio whose end could be waited for.
    assert_eq!(phone.turn().await.outcome, "completed");
    assert_eq!(phone.exchange().await.heard, "First. Second.");
    phone.hang_up().await;
}

/// The simulated caller reads messages with code of its own and keeps a real time line.
#[tokio::test]
async fn the_simulated_caller_finds_no_fault() {
    let (server, _llm) = TestServer::with_llm(Setup {
        auth_token: Some(AUTH_TOKEN),
        ..Setup::default()
    })
    .await;
    let said = voice(400);
    let frames = said.chunks_exact(160).map(|frame| frame.try_into().expect("a frame"));
    let plan = Plan {
        target: Target::Webhook {
            url: server.url("/voice/incoming"),
            public_url: None,
        },
        auth_token: Some(AUTH_TOKEN.to_owned()),
        account_sid: ACCOUNT.to_owned(),
        from: FROM.to_owned(),
        to: "+15550100200".to_owned(),
        turns: vec![Utterance {
            label: "a buzz".to_owned(),
            frames: frames.collect(),
        }],
        pace: Pace {
            quiet: Duration::from_millis(200),
            ..Pace::default()
        },
    };
    let report = soon("the call", Box::pin(place_call(plan, &mut |_| {})))
        .await
        .expect("a call");
    assert_eq!(report.errors, Vec::<String>::new());
    assert_eq!(report.greeting.agent_heard.as_deref(), Some(GREETING));
    let turn = &report.turns[0];
    assert_eq!(turn.caller_text.as_deref(), Some(crate::engines::USUAL));
    assert_eq!(turn.agent_heard.as_deref(), Some(crate::http_server::USUAL));
    assert!(!turn.cut_in);
}

#[expect(
    clippy::disallowed_methods,
    reason = "how far ahead audio is, is measured against the real clock"
)]
fn now() -> Instant {
    Instant::now()
}
