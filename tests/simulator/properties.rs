//! Rules that hold in every call. [`crate::sim`] checks most of them at each step; here the calls are random.

use proptest::prelude::*;
use tieline::turn::event::{HangupReason, Input, Progress};
use tieline::turn::machine::Speaker;
use tieline::turn::policy::{Policy, Speculation};

use crate::scenario::{Fail, Scenario, Speech};
use crate::sim;

fn speech() -> impl Strategy<Value = Vec<Speech>> {
    let states = [Progress::Complete, Progress::Incomplete, Progress::Impossible].map(Some);
    let piece = (
        50_u64..2_500,
        60_u64..2_500,
        prop::option::weighted(0.8, "[a-z]{1,6}( [a-z]{1,6}){0,5}"),
        prop_oneof![Just(None), prop::sample::select(states.to_vec())],
        prop_oneof![Just(1.0), 0.0_f32..1.0],
    );
    prop::collection::vec(piece, 0..8).prop_map(|pieces| {
        let mut at = 0;
        pieces
            .into_iter()
            .map(|(pause, length, text, progress, certainty)| {
                let from = at + pause;
                at = from + length;
                Speech {
                    progress,
                    certainty,
                    ..Speech::new(from, at, &text.unwrap_or_default())
                }
            })
            .collect()
    })
}

fn orders() -> impl Strategy<Value = Vec<(u64, Input)>> {
    let order = (500_u64..14_000, "[A-Z][a-z]{1,6}( [a-z]{1,6}){0,4}\\.", 0..3).prop_map(|(at, text, which)| {
        let order = match which {
            0 => Input::Speak { text },
            1 => Input::Stay { text },
            _ => Input::Leave {
                text,
                reason: HangupReason::HandOver,
            },
        };
        (at, order)
    });
    prop::collection::vec(order, 0..3)
}

fn scenario() -> impl Strategy<Value = Scenario> {
    let fail = prop::option::weighted(
        0.3,
        prop::sample::select(vec![
            Fail::Stt,
            Fail::Llm,
            Fail::LlmLate,
            Fail::LlmEmpty,
            Fail::Tts,
            Fail::TtsOnce,
        ]),
    );
    let reply = prop::collection::vec("[A-Z][a-z]{1,6}( [a-z]{1,6}){0,8}\\.", 1..4);
    let latencies = (1_u64..1_500, 1_u64..2_000, 1_u64..800, 1_u64..600);
    let line = (
        prop::option::weighted(0.9, 0_u64..1_200),
        prop::option::of(1_000_u64..14_000),
        100_u64..1_500,
    );
    let levels = prop::sample::select(vec![
        Speculation::Off,
        Speculation::Stt,
        Speculation::Llm,
        Speculation::Full,
    ]);
    (
        speech(),
        prop::collection::vec(reply, 1..4),
        latencies,
        line,
        (fail, levels, prop::option::of((0.0_f32..1.0, 1_u64..600))),
        (
            prop::collection::vec((500_u64..14_000, "[0-9]{1,6}"), 0..3),
            prop::bool::weighted(0.2),
            orders(),
            // Half of the cancellations come too late.
            any::<u64>(),
            prop_oneof![Just(600_000), 2_000_u64..24_000],
            prop_oneof![Just(60_000), 1_000_u64..6_000],
        ),
    )
        .prop_map(|(speech, replies, times, line, (fail, speculation, sound), more)| {
            let (keys, ends, orders, uncancelled, max_call, max_turn) = more;
            let (stt, llm, next, tts) = times;
            let (marks, hangup, endpoint) = line;
            Scenario {
                speech,
                replies,
                stt,
                llm,
                next,
                tts,
                marks,
                fail,
                hangup,
                keys,
                ends,
                orders,
                uncancelled,
                max_call,
                max_turn,
                endpoint: [endpoint.min(300), endpoint, endpoint + 500],
                sound,
                speculation,
                until: 25_000,
                ..Scenario::default()
            }
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn the_same_call_gives_the_same_trace(scenario in scenario()) {
        prop_assert_eq!(sim::run(&scenario).trace, sim::run(&scenario).trace);
    }

    /// The agent's lines of the history are what the line played, a word more or less at each cut.
    #[test]
    fn history_is_what_the_caller_heard(scenario in scenario()) {
        let outcome = sim::run(&scenario);
        let words = |text: &str| text.split_whitespace().map(|word| word.len() + 1).sum::<usize>() as f64;
        let remembered: f64 = outcome.history.iter().filter(|line| line.speaker == Speaker::Agent).map(|line| words(&line.text)).sum();
        let played: f64 = outcome.played.iter().map(|(text, part)| words(text) * part).sum();
        // The reply that is playing when the simulation ends is not in the history yet.
        let unfinished: f64 = if scenario.hangup.is_some_and(|at| at < scenario.until) { 0.0 } else { 250.0 };
        // A word and its gap at each cut. The longest the agent says is in its apology.
        let cuts = (outcome.trace.matches("clear").count() as f64 + 1.0) * "something ".len() as f64;
        prop_assert!(remembered <= played + cuts, "remembered {} of {} letters\n{}", remembered, played, outcome.trace);
        prop_assert!(remembered >= played - cuts - unfinished, "remembered {} of {} letters\n{}", remembered, played, outcome.trace);
    }

    /// Whatever fails, a caller who has spoken and waits is not left in silence for longer than the deadlines allow.
    #[test]
    fn every_understood_turn_is_answered(text in "[a-z]{2,8}", fail in prop::option::of(prop::sample::select(vec![Fail::Stt, Fail::Llm, Fail::LlmLate, Fail::LlmEmpty, Fail::TtsOnce]))) {
        let speech = vec![Speech::new(4_000, 5_000, &text)];
        let scenario = Scenario { speech, fail, until: 20_000, ..Scenario::default() };
        let outcome = sim::run(&scenario);
        let answer = outcome.trace.lines().filter(|line| line.contains(" > play ")).nth(1);
        let at = answer.and_then(|line| line.split_whitespace().next()).and_then(|at| at.parse::<f64>().ok());
        let waits = if fail == Some(Fail::LlmLate) { Policy::default().reply_deadline.as_secs_f64() } else { 0.0 };
        // The endpoint, then at worst everything after it; a window or two between them.
        let works = scenario.endpoint[1] + scenario.stt + scenario.llm + 2 * scenario.tts + 100;
        prop_assert!(at.is_some_and(|at| at <= 5.0 + waits + works as f64 / 1e3), "{}", outcome.trace);
    }
}
