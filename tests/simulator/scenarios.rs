//! Calls one can read. The traces are snapshots: `cargo insta review` (or `INSTA_UPDATE=always`) accepts a change.

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
}
