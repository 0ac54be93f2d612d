use super::*;
use crate::caller::line::{FRAME_BYTES, Frame, Line};

const LOUD: Frame = [0x10; FRAME_BYTES];

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn pace() -> Pace {
    Pace {
        greeting: ms(2000),
        answer: ms(3000),
        quiet: ms(1000),
        patience: ms(20_000),
        barge_after: None,
    }
}

/// Plays a script in virtual time against an agent given as (arrival ms, frames of audio), with 200 ms turns.
fn play(pace: Pace, turns: usize, agent: &[(u64, usize)], clears: &[u64]) -> (Vec<Measure>, Vec<(u64, Order)>) {
    let mut line = Line::default();
    let mut script = Script::new(pace, turns);
    let mut orders = Vec::new();
    for at in 0..60_000 {
        for (_, frames) in agent.iter().filter(|(arrival, _)| *arrival == at) {
            line.media(&LOUD.repeat(*frames)).expect("room");
            script.on_media(ms(at), true);
        }
        if clears.contains(&at) {
            line.clear();
            script.on_clear(ms(at));
        }
        if at % 20 != 0 {
            continue;
        }
        let tick = line.tick();
        let order = script.on_tick(ms(at), &tick, line.is_drained());
        orders.extend(order.map(|order| (at, order)));
        match order {
            Some(Order::Speak(_)) => line.speak(&[LOUD; 10]),
            Some(Order::HangUp) => return (script.measures().to_vec(), orders),
            Some(Order::Press(_)) | None => {}
        }
    }
    panic!("the call never ends: {script:?}");
}

#[test]
fn a_call_waits_for_greeting_and_answers() {
    // The greeting plays from 500 to 1000 ms; the turn is sent from 2020 to 2200; the answer arrives 333 ms later.
    let (measures, orders) = play(pace(), 1, &[(490, 25), (2533, 50)], &[]);
    assert_eq!(orders[0], (2000, Order::Speak(0)));
    assert_eq!(measures[0].voice_to_voice(), Some(ms(490)));
    assert_eq!(measures[0].audible(), Some(ms(500)));
    assert_eq!((measures[1].began, measures[1].ended), (Some(ms(2020)), Some(ms(2200))));
    assert_eq!(measures[1].voice_to_voice(), Some(ms(333)));
    assert_eq!(measures[1].audible(), Some(ms(340)));
    assert!(!measures[1].cut_in && !measures[1].barge);
    assert_eq!(orders[1], (4540, Order::HangUp));
}

#[test]
fn a_silent_agent_is_not_waited_for_for_ever() {
    let (measures, orders) = play(pace(), 1, &[], &[]);
    assert_eq!(orders, [(2000, Order::Speak(0)), (5200, Order::HangUp)]);
    assert_eq!(measures[1].voice_to_voice(), None);

    let no_greeting = Pace {
        greeting: ms(0),
        ..pace()
    };
    assert_eq!(play(no_greeting, 1, &[], &[]).1[0], (0, Order::Speak(0)));
}

#[test]
fn an_endless_answer_is_not_heard_out() {
    let short = Pace {
        patience: ms(5000),
        ..pace()
    };
    let (_, orders) = play(short, 0, &[(0, 1000)], &[]);
    assert_eq!(orders, [(5000, Order::HangUp)]);
}

#[test]
fn an_answer_inside_the_turn_is_a_cut_in() {
    let no_greeting = Pace {
        greeting: ms(0),
        ..pace()
    };
    // The turn is sent from 20 to 200 ms. The agent starts at 100 and says more at 250.
    let (measures, _) = play(no_greeting, 1, &[(100, 20), (250, 20)], &[]);
    assert!(measures[1].cut_in);
    assert_eq!(measures[1].voice_to_voice(), Some(ms(50)));

    // Nothing arrives after the turn: what is left of the cut-in is heard as the answer.
    let (measures, _) = play(no_greeting, 1, &[(100, 20)], &[]);
    assert!(measures[1].cut_in);
    assert_eq!(
        (measures[1].voice_to_voice(), measures[1].audible()),
        (None, Some(ms(20)))
    );
}

#[test]
fn a_barge_in_is_measured_from_the_new_answer() {
    let barge = Pace {
        greeting: ms(0),
        barge_after: Some(ms(1000)),
        ..pace()
    };
    // Turn 1 ends at 200, is answered at 300; turn 2 is due 1 s into that: sent from 1320 to 1500.
    let agent = [(300, 250), (1400, 10), (1900, 25)];
    let (measures, orders) = play(barge, 2, &agent, &[1450]);
    assert_eq!(orders[1], (1300, Order::Speak(1)));
    let second = measures[2];
    assert!(
        second.barge && !second.cut_in,
        "what comes before the clear belongs to the first answer"
    );
    assert_eq!(second.barge_to_clear(), Some(ms(130)));
    assert_eq!(second.voice_to_voice(), Some(ms(400)));

    // Without a clear, the first answer has to run dry before anything counts as the second.
    let agent = [(300, 75), (1600, 25), (2700, 25)];
    let (measures, _) = play(barge, 2, &agent, &[]);
    assert_eq!(measures[2].barge_to_clear(), None);
    assert_eq!(measures[2].voice_to_voice(), Some(ms(1200)));
}

#[test]
fn a_greeting_is_never_interrupted() {
    let barge = Pace {
        barge_after: Some(ms(100)),
        ..pace()
    };
    let (_, orders) = play(barge, 1, &[(0, 100)], &[]);
    assert_eq!(orders[0], (3000, Order::Speak(0)));
}
