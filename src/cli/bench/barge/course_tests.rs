use super::*;
use crate::caller::line::{FRAME_BYTES, Frame, Line};

const LOUD: Frame = [0x10; FRAME_BYTES];

fn settings(aim: Aim) -> Settings {
    Settings {
        aim,
        questions: 3,
        words: 2,
        after: 1.0..3.0,
        quiet: Duration::from_secs(1),
        limit: Duration::from_secs(600),
        clean_questions: false,
        seed: 7,
    }
}

/// Plays a call in virtual time. The agent greets for a second, answers each question for ten seconds, half a second
/// after its end, and clears 200 ms into an intrusion if it `stops`.
fn play(aim: Aim, stops: bool) -> Caller {
    let (mut line, mut caller) = (Line::default(), Caller::new(settings(aim)));
    line.media(&LOUD.repeat(50)).expect("room");
    let (mut spoken, mut answer_at) = (0, None);
    for n in 0..40_000_u64 {
        let now = Duration::from_millis(n * 20);
        if answer_at == Some(n) {
            line.clear();
            line.media(&LOUD.repeat(500)).expect("room");
            caller.on_media(now, true);
        }
        let tick = line.tick();
        spoken = if tick.kind == Sent::Silence { 0 } else { spoken + 1 };
        match caller.on_tick(now, &tick, line.is_drained()) {
            Some(Order::Speak(_)) => line.speak(&[LOUD; 40]),
            Some(Order::Press(_)) => unreachable!("nobody types here"),
            Some(Order::HangUp) => return caller,
            None => {}
        }
        if spoken == 10 && stops && !line.is_drained() {
            caller.on_clear(now, line.buffered_ms());
            line.clear();
        }
        if tick.kind == Sent::LastSpeech && caller.tape.spoken.last().is_some_and(|spoken| spoken.clip < 3) {
            answer_at = Some(n + 25);
        }
    }
    panic!("the call never ends: {:?}", caller.phase);
}

#[test]
fn each_answer_is_interrupted_at_a_random_moment_within_bounds() {
    let caller = play(Aim::Interrupt(5), true);
    let reactions = caller.tape.reactions(Duration::from_secs(3));
    assert_eq!(reactions.len(), 5);
    assert!(!caller.tape.spoken[0].intrusion, "the greeting is heard out");
    let mut moments = Vec::new();
    for reaction in &reactions {
        assert_eq!(reaction.clear_ms, Some(180.0));
        let spoken = caller.tape.spoken[reaction.spoken];
        let answer = caller.tape.beats[spoken.answer_from.expect("answer")].at;
        moments.push((spoken.began.expect("begun") - answer).as_millis());
    }
    assert!(moments.iter().all(|ms| (1000..=3040).contains(ms)), "{moments:?}");
    assert!(moments.windows(2).any(|pair| pair[0] != pair[1]), "{moments:?}");
}

#[test]
fn an_agent_that_does_not_stop_is_missed_and_asked_again() {
    let caller = play(Aim::Interrupt(3), false);
    let reactions = caller.tape.reactions(Duration::from_secs(3));
    assert_eq!(reactions.len(), 3);
    assert!(reactions.iter().all(|reaction| reaction.clear.is_none()));
}

#[test]
fn words_of_listening_follow_each_other_within_one_answer() {
    let caller = play(Aim::Acknowledge(4), false);
    let tape = &caller.tape;
    let clips: Vec<usize> = tape.spoken.iter().map(|spoken| spoken.clip).collect();
    // The first answer is the control; the clips of listening are the fourth and fifth.
    assert_eq!(clips[..2], [0, 1]);
    assert_eq!(tape.spoken.iter().filter(|spoken| spoken.intrusion).count(), 4);
    assert!(tape.spoken.iter().all(|spoken| spoken.intrusion == (spoken.clip >= 3)));
    let last = tape.beats.iter().rev().take_while(|beat| !beat.audible).count();
    assert!(last >= 50, "the last answer is heard to its end: {last}");
}

#[test]
fn a_listener_asks_again_and_hangs_up_in_time() {
    let caller = play(Aim::Listen(Duration::from_secs(60)), true);
    assert!(caller.tape.spoken.len() >= 4);
    assert!(caller.tape.clears.is_empty() && caller.tape.unprovoked().is_empty());
    let end = caller.tape.beats.last().expect("beats").at;
    assert!((59..75).contains(&end.as_secs()), "{end:?}");
    assert_eq!(caller.tape.answered(), caller.tape.spoken.len());
}

#[test]
fn questions_are_clean_where_that_is_wanted() {
    let mut caller = Caller::new(Settings {
        clean_questions: true,
        ..settings(Aim::Listen(Duration::from_secs(60)))
    });
    assert!(!caller.noisy());
    let mut line = Line::default();
    line.media(&LOUD).expect("room");
    let tick = line.tick();
    caller.on_tick(Duration::ZERO, &tick, true);
    assert!(caller.noisy(), "the agent is heard");
    assert!(Caller::new(settings(Aim::Interrupt(1))).noisy());
}

#[test]
fn an_agent_that_was_cut_is_given_time_to_go_on() {
    let caller = play(Aim::Acknowledge(2), true);
    let tape = &caller.tape;
    let cuts = tape.reactions(Duration::from_secs(1));
    assert_eq!(cuts.len(), 2);
    for cut in cuts {
        let ended = tape.spoken[cut.spoken].ended.expect("ended");
        if let Some(next) = tape.spoken.get(cut.spoken + 1).and_then(|next| next.began) {
            assert!(next - ended >= TO_GO_ON, "{next:?} after {ended:?}");
        }
    }
}
