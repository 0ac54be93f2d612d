//! Calls one can read. The traces are snapshots: `cargo insta review` (or `INSTA_UPDATE=always`) accepts a change.

use tieline::turn::machine::Speaker;

use crate::scenario::Scenario;
use crate::sim;

macro_rules! scenarios {
    ($($name:ident: $text:literal,)*) => {$(
        #[test]
        fn $name() {
            let outcome = sim::run(&Scenario::parse($text));
            insta::with_settings!({ description => $text, omit_expression => true, prepend_module_to_snapshot => false }, {
                insta::assert_snapshot!(stringify!($name), outcome.trace);
            });
        }
    )*};
}

scenarios! {
    two_turns_and_a_hang_up: r#"
        caller 4.0-5.5 "what are your hours"
        reply "We are open nine to five." "Can I help you with anything else?"
        caller 13.0-13.6 "no thank you"
        reply "Thank you for calling."
        hangup 17.5
        until 20"#,
    a_sentence_from_outside_waits_for_the_floor: r#"
        caller 4.0-5.5 "what are your hours"
        speak 4.5 "Your colleague says hello."
        speak 12.0 "And goodbye."
        caller 12.3-13.0 "what"
        until 22"#,
    the_caller_is_taken_away_in_the_middle_of_a_reply: r#"
        caller 4.0-5.0 "tell me everything"
        reply "First we open the door and then we switch on all the lights." "Then we wait."
        leave 8.0 "A person takes over."
        caller 8.4-9.0 "wait"
        until 14"#,
    the_caller_is_taken_away_while_speaking: r#"
        caller 4.0-7.0 "I would like to tell you"
        leave 5.0 "A person takes over."
        until 12"#,
    a_caller_whom_nobody_takes_comes_back: r#"
        leave 4.0 "A person takes over."
        stay 9.0 "Nobody is free."
        caller 12.0-13.0 "what are your hours"
        reply "We are open nine to five."
        until 18"#,
    the_caller_is_taken_away_while_a_goodbye_is_prepared: r#"
        endpoint 1500
        caller 4.0-5.0 "no thank you"
        reply "Thank you for calling."
        ends
        leave 6.0 "A person takes over."
        until 12"#,
    the_caller_hangs_up_while_an_answer_is_prepared: r#"
        endpoint 1500
        caller 4.0-5.0 "hello"
        hangup 6.0
        until 8"#,
    time_is_up_while_an_answer_is_prepared: r#"
        endpoint 1500
        max-call 6.0
        caller 4.0-5.0 "hello"
        until 12"#,
    the_caller_speaks_before_the_answer_to_what_was_typed: r#"
        llm 3000
        keys 4.0 "12345"
        caller 4.6-5.6 "and my name is Ann"
        reply "Thank you."
        until 14"#,
    the_caller_speaks_before_a_sentence_from_outside_is_heard: r#"
        tts 1500
        speak 5.0 "Your colleague says hello."
        caller 5.1-6.1 "what are your hours"
        until 16"#,
    listening_before_a_sentence_from_outside_is_heard: r#"
        tts 1500
        speak 5.0 "Your colleague says hello."
        caller 5.1-5.6 "okay"
        until 16"#,
    nobody_comes_back_who_was_not_taken_away: r#"
        stay 4.0 "Nobody is free."
        until 6"#,
    the_caller_interrupts: r#"
        caller 4.0-5.5 "tell me everything"
        reply "First we open the door and then we switch on all the lights." "Then we wait."
        caller 8.0-9.0 "stop"
        reply "All right."
        until 13"#,
    the_caller_talks_over_the_greeting: r#"
        caller 0.6-1.8 "hi I need help"
        until 6"#,
    a_cough_does_not_stop_the_agent: r#"
        caller 4.0-5.0 "hello"
        reply "Let me tell you a rather long story about our office."
        noise 7.0-7.12
        until 11"#,
    a_false_interruption_is_taken_up_again: r#"
        caller 4.0-5.0 "hello"
        reply "Let me tell you a rather long story about our office."
        noise 7.0-7.4
        until 13"#,
    the_caller_goes_on_after_the_endpoint: r#"
        caller 4.0-5.0 "my number is"
        caller 5.6-6.5 "five five five"
        until 10"#,
    the_caller_goes_on_while_the_reply_is_made: r#"
        llm 900
        caller 4.0-5.0 "my number is"
        caller 5.9-6.8 "five five five"
        until 11"#,
    a_hesitation_within_the_turn: r#"
        caller 4.0-4.8 "the fifteenth"
        caller 5.2-6.0 "of march"
        until 9"#,
    clearly_speech_but_not_understood: r#"
        noise 4.0-5.5
        until 9"#,
    a_short_noise_in_silence: r#"
        noise 4.0-4.2
        until 7"#,
    the_transcriber_fails: r#"
        fail stt
        caller 4.0-5.0 "hello"
        until 9"#,
    the_llm_fails: r#"
        fail llm
        caller 4.0-5.0 "hello"
        until 9"#,
    the_llm_says_nothing: r#"
        fail llm-empty
        caller 4.0-5.0 "hello"
        until 9"#,
    the_llm_stalls: r#"
        fail llm-late
        caller 4.0-5.0 "hello"
        until 18"#,
    synthesis_fails_once: r#"
        fail tts-once
        caller 4.0-5.0 "hello"
        until 9"#,
    synthesis_never_works: r#"
        fail tts
        caller 4.0-5.0 "hello"
        until 9"#,
    the_llm_is_slower_than_the_caller: r#"
        llm 3000
        caller 4.0-5.0 "first question"
        caller 7.0-8.0 "second question"
        until 14"#,
    marks_come_late: r#"
        marks 900
        caller 4.0-5.0 "hello"
        until 10"#,
    marks_never_come: r#"
        marks never
        caller 4.0-5.0 "hello"
        until 12"#,
    a_network_burst_fakes_no_pause: r#"
        caller 4.0-6.5 "one long sentence without a pause"
        hold 4.6-5.6
        until 10"#,
    no_audio_for_too_long: r#"
        lost 4.0-30.0
        until 30"#,
    the_caller_hangs_up_in_the_middle: r#"
        caller 4.0-5.0 "hello"
        reply "Let me tell you a rather long story about our office."
        hangup 7.5
        until 9"#,
    without_speculation: r#"
        speculation off
        caller 4.0-4.8 "the fifteenth"
        caller 5.1-6.0 "of march"
        until 9"#,
    speculation_on_the_transcript_only: r#"
        speculation stt
        caller 4.0-5.0 "hello"
        until 9"#,
    speculation_on_the_reply: r#"
        speculation llm
        caller 4.0-5.0 "hello"
        until 9"#,
    a_word_too_short_to_count_as_going_on: r#"
        caller 4.0-5.0 "I think so"
        caller 5.3-5.34 "yes"
        until 9"#,
    a_patient_endpoint: r#"
        endpoint 1200
        caller 4.0-5.0 "m b one two three"
        caller 5.8-6.6 "four five six"
        until 11"#,
    a_backchannel_is_no_turn: r#"
        endpoint 350 600 1500
        caller 4.0-5.0 "tell me everything"
        reply "First we open the door and then we switch on all the lights." "Then we wait."
        caller 7.0-7.4 "Uh-huh."
        until 15"#,
    a_backchannel_while_the_reply_still_arrives: r#"
        endpoint 350 600 1500
        next 1500
        caller 4.0-5.0 "tell me everything"
        reply "First we open the door." "Then we switch on all the lights." "Then we wait."
        caller 6.4-6.8 "Okay."
        until 16"#,
    okay_is_an_answer_to_a_question: r#"
        caller 4.0-5.0 "book me in"
        reply "Shall I book you in for nine tomorrow morning, with the usual doctor?"
        caller 8.0-8.4 "Okay."
        reply "Done."
        until 13"#,
    a_backchannel_that_goes_on_is_a_turn: r#"
        endpoint 350 600 1500
        caller 4.0-5.0 "tell me everything"
        reply "First we open the door and then we switch on all the lights." "Then we wait."
        caller 7.0-7.4 "Okay."
        caller 7.7-8.8 "but what about the cat"
        reply "It sleeps."
        until 14"#,
    what_only_seems_voiced_starts_and_stops_nothing: r#"
        rustle 0.5-2.5
        rustle 3.0-3.9
        caller 4.0-5.0 "hello"
        reply "Let me tell you a rather long story about our office."
        rustle 6.0-9.0
        until 13"#,
    echo_stops_nothing: r#"
        caller 4.0-5.0 "hello"
        reply "Let me tell you a rather long story about our office."
        echo 5.6-9.2
        until 13"#,
    an_answer_typed_into_the_question: r#"
        keys 1.0 "123456"
        reply "Thank you."
        until 6"#,
    an_answer_typed_in_the_middle_of_speech: r#"
        caller 4.0-5.0 "my number is"
        keys 5.3 "123456"
        reply "Thank you."
        until 9"#,
    keys_do_not_stop_a_notice: r#"
        notice "This call may be recorded."
        keys 0.5 "1"
        until 6"#,
    the_dialog_ends_the_call: r#"
        caller 4.0-5.0 "goodbye"
        reply "Thank you for calling. Goodbye."
        ends
        until 12"#,
    an_instant_answer: r#"
        caller 1.75-2.1 "yes"
        until 6"#,
    digits_read_slowly_into_a_slot: r#"
        endpoint 350 600 2000
        caller 4.0-4.8 "five five five" incomplete
        caller 5.5-6.3 "oh one two" incomplete
        caller 7.8-8.8 "three four five six" complete
        until 13"#,
    a_slot_that_stays_incomplete: r#"
        endpoint 350 600 2000
        caller 4.0-4.8 "five five five" incomplete
        until 10"#,
    it_sounds_finished: r#"
        sound 0.98 50
        endpoint 350 600 1500
        caller 4.0-5.0 "where are you"
        until 9"#,
    it_sounds_unfinished: r#"
        sound 0.02 50
        endpoint 350 600 1500
        caller 4.0-5.0 "where are you"
        caller 6.2-7.0 "exactly"
        until 12"#,
    hesitation_inside_a_date: r#"
        endpoint 350 600 1500
        caller 4.0-4.8 "it was the fifteenth of"
        caller 5.7-6.5 "March nineteen eighty five"
        until 11"#,
    the_transcript_is_slower_than_the_delay: r#"
        endpoint 350 600 1500
        sound 0.98 50
        stt 1200
        caller 4.0-5.0 "where are you"
        until 10"#,
    a_long_turn_is_transcribed_in_parts: r#"
        caller 4.0-9.0 "a long story about my grandmother"
        caller 9.4-10.4 "and her cat"
        until 15"#,
    a_notice_cannot_be_interrupted: r#"
        notice "This call is recorded and kept for one year."
        caller 0.5-2.5 "yes yes hello"
        until 10"#,
    nobody_speaks: r#"
        prompt 4 2
        until 25"#,
    the_caller_is_still_there: r#"
        prompt 4 1
        caller 7.0-8.0 "yes sorry one moment"
        until 30"#,
    double_talk: r#"
        caller 4.0-5.0 "hello"
        reply "Let me tell you a rather long story about our office." "It has four rooms."
        caller 5.45-7.0 "are you there"
        until 13"#,
    marks_come_after_the_clear: r#"
        marks 700
        caller 4.0-5.0 "hello"
        reply "One." "Two and three and four and five and six."
        caller 6.5-7.5 "stop"
        reply "All right."
        until 13"#,
    three_seconds_of_media_are_lost: r#"
        caller 4.0-4.5 "can you tell"
        lost 4.5-7.5
        caller 7.5-8.2 "me the time"
        until 13"#,
    an_unclear_hum_resumes_the_answer: r#"
        caller 4.0-5.0 "hello"
        reply "Let me tell you a rather long story about our office." "It has four rooms."
        caller 7.0-7.4 "in a mom" 0.5
        caller 9.0-9.4 "cancel that" 0.5
        reply "All right."
        until 14"#,
    synthesis_fails_after_a_backchannel: r#"
        fail tts-later
        caller 4.0-5.0 "hello"
        reply "Let me tell you a rather long story about our office."
        caller 7.0-7.4 "Mm-hmm."
        until 14"#,
}

/// Whenever the caller interrupts, what is remembered is what was played, and the agent stops within the barge-in delay.
#[test]
fn a_barge_in_at_every_moment_of_the_playout() {
    for at in (5_400..12_500).step_by(20) {
        let text = format!(
            r#"caller 4.0-5.0 "hello"
            reply "One two three four five six seven eight." "Nine ten eleven twelve." "Thirteen fourteen."
            caller {}-{} "stop it now"
            reply "All right."
            until 18"#,
            f64::from(at) / 1e3,
            f64::from(at + 700) / 1e3
        );
        let outcome = sim::run(&Scenario::parse(&text));
        let trace = &outcome.trace;
        if let Some(clear) = trace.lines().find(|line| line.ends_with("> clear")) {
            let cleared = (clear.trim_start()[..6].trim().parse::<f64>().expect("a time") * 1e3).round() as i32;
            assert!((at..at + 300).contains(&cleared), "{trace}");
        }
        let answered = outcome
            .played
            .iter()
            .any(|(text, part)| text == "All right." && *part > 0.99);
        let taken_back = trace.contains("hello stop it now");
        assert!(answered || taken_back, "{trace}");
        let agent = outcome.history.iter().filter(|line| line.speaker == Speaker::Agent);
        let said: Vec<&str> = agent.flat_map(|line| line.text.split_whitespace()).collect();
        let played: f64 = outcome
            .played
            .iter()
            .map(|(text, part)| text.split_whitespace().count() as f64 * part)
            .sum();
        assert!(
            (said.len() as f64 - played).abs() <= 2.0,
            "{} against {played}\n{trace}",
            said.len()
        );
    }
}
