use proptest::prelude::*;

use super::*;

fn split_with(mut splitter: SentenceSplitter, deltas: &[&str]) -> Vec<String> {
    let mut out = Vec::new();
    for delta in deltas {
        splitter.push(delta, &mut out);
    }
    out.extend(splitter.finish());
    out
}

fn split(text: &str) -> Vec<String> {
    split_with(SentenceSplitter::default(), &[text])
}

#[test]
fn sentences_are_split_where_a_speaker_would_stop() {
    let table: &[(&str, &[&str])] = &[
        ("", &[]),
        (" \n\t ", &[]),
        ("Hello", &["Hello"]),
        ("Hello. How are you?", &["Hello.", "How are you?"]),
        ("Hi!How are you?Fine.", &["Hi!", "How are you?", "Fine."]),
        ("Really?! Yes.", &["Really?!", "Yes."]),
        ("One line\nanother line", &["One line", "another line"]),
        (
            "Pi is 3.14. It costs $1,050.00. Rate 10.5.",
            &["Pi is 3.14.", "It costs $1,050.00.", "Rate 10.5."],
        ),
        (
            "Dr. Jones and Mrs. Lee met. Good.",
            &["Dr. Jones and Mrs. Lee met.", "Good."],
        ),
        (
            "We, i.e. Acme Inc. of the U.S. Army, e.g. you.",
            &["We, i.e. Acme Inc. of the U.S. Army, e.g. you."],
        ),
        (
            "Come at 9 a.m. or 5 p.m. on Friday. Bye.",
            &["Come at 9 a.m. or 5 p.m. on Friday.", "Bye."],
        ),
        (
            "Take No. 5 now. No. We are closed.",
            &["Take No. 5 now.", "No.", "We are closed."],
        ),
        (
            "J. Smith called. So did I. Then we left.",
            &["J. Smith called.", "So did I.", "Then we left."],
        ),
        (
            "Pears, figs, etc. are in. Pears, etc. We sell.",
            &["Pears, figs, etc. are in.", "Pears, etc.", "We sell."],
        ),
        (
            "Well... let me see... Found it.",
            &["Well... let me see...", "Found it."],
        ),
        ("Hmm… one moment. Yes…", &["Hmm… one moment.", "Yes…"]),
        (
            "Mail a.b@example.com. Or see https://x.com/?q=1!a now.",
            &["Mail a.b@example.com.", "Or see https://x.com/?q=1!a now."],
        ),
        (
            "He said \"Stop.\" Then (he left.) Done.",
            &["He said \"Stop.\"", "Then (he left.)", "Done."],
        ),
        ("Your options: a; b.", &["Your options: a; b."]),
        ("... ! ? .", &[]),
        (
            "Born Jan. 5, not in Dec. Right?",
            &["Born Jan. 5, not in Dec.", "Right?"],
        ),
        (
            "It is approx. 5 vs. 6 on Main St. today.",
            &["It is approx. 5 vs. 6 on Main St. today."],
        ),
    ];
    for (text, wanted) in table {
        assert_eq!(split(text), *wanted, "{text:?}");
    }
}

#[test]
fn markup_is_dropped() {
    let table: &[(&str, &[&str])] = &[
        ("**Bold** and `code` and _it_.", &["Bold and code and it."]),
        ("- one\n* two\n+ three\n• four", &["one", "two", "three", "four"]),
        ("1. one\n2. two\n10) ten", &["one", "two", "10) ten"]),
        ("How many?\n42. Sure.", &["How many?", "42.", "Sure."]),
        ("## Title\ntext #5", &["Title", "text #5"]),
        ("#48213 is ready.", &["#48213 is ready."]),
        ("Great 👍🏽! Done ✅.", &["Great !", "Done ."]),
        ("<think>plan. do it!</think>Hello.", &["Hello."]),
        ("<THINK>a</THINK> Hello <b> 1 < 2.", &["Hello <b> 1 < 2."]),
        ("</think>\n\nHello.", &["Hello."]),
        ("Hi. <think>never closed. ", &["Hi."]),
        ("<thi<think>x</think>!a", &["<thi!", "a"]),
        ("Assistant: Hello. Assistant: no.", &["Hello.", "Assistant: no."]),
        ("**Assistant:** Hi", &["Hi"]),
        ("Agents are here", &["Agents are here"]),
        ("Agent", &["Agent"]),
        ("See [our page](https://x.com/a) now.", &["See [our page] now."]),
        ("See [1](and more).", &["See [1](and more)."]),
        ("john_doe@x.com, __bold__ word_", &["john_doe@x.com, bold word"]),
        ("a\u{7}b\u{200d}c\r\nd", &["abc", "d"]),
        ("---\n> quote", &["quote"]),
    ];
    for (text, wanted) in table {
        assert_eq!(split(text), *wanted, "{text:?}");
    }
}

#[test]
fn run_ons_are_cut_at_the_last_clause_or_space() {
    let cut = |text| split_with(SentenceSplitter::new(20), &[text]);
    assert_eq!(
        cut("one two three, four five six seven"),
        ["one two three,", "four five six seven"]
    );
    assert_eq!(
        cut("one two three four five six seven"),
        ["one two three four", "five six seven"]
    );
    assert_eq!(cut("abcdefghijklmnopqrstuvwxyz"), ["abcdefghijklmnopqrst", "uvwxyz"]);
    assert_eq!(cut("a, bcdefg hijklm nopqrs tuv"), ["a, bcdefg hijklm", "nopqrs tuv"]);
    assert_eq!(cut("abcdefghij klmnopqrs tu"), ["abcdefghij klmnopqrs", "tu"]);
    let long = format!("{}: then this", "word ".repeat(20).trim());
    assert_eq!(split(&long).len(), 2);
}

#[test]
fn the_first_clause_may_go_early() {
    let text = "Thank you for calling us today, how can I help, or not, sir? On March 15, we close.";
    assert_eq!(split(text).len(), 2);
    let early = split_with(SentenceSplitter::default().with_first_clause(true), &[text]);
    assert_eq!(
        early[..2],
        ["Thank you for calling us today,", "how can I help, or not, sir?"]
    );
    let shortest = split_with(
        SentenceSplitter::default().with_first_clause(true),
        &["Yes, we are open, all day."],
    );
    assert_eq!(shortest, ["Yes,", "we are open, all day."]);
    let date = split_with(
        SentenceSplitter::default().with_first_clause(true),
        &["Your visit is on March 15, 2026."],
    );
    assert_eq!(date.len(), 1);
}

#[test]
fn a_sentence_is_out_as_soon_as_it_is_safe() {
    let (mut splitter, mut out) = (SentenceSplitter::default(), Vec::new());
    splitter.push("Hello.", &mut out);
    assert!(out.is_empty());
    splitter.push(" ", &mut out);
    assert_eq!(out, ["Hello."]);
    splitter.push("Who?I", &mut out);
    assert_eq!(out, ["Hello.", "Who?"]);
    assert_eq!(splitter.finish().as_deref(), Some("I"));
    splitter.push("Again", &mut out);
    assert_eq!(splitter.finish().as_deref(), Some("Again"));
    assert_eq!(splitter.finish(), None);
}

fn texts() -> impl Strategy<Value = String> {
    let parts = prop::sample::select(vec![
        "Hello",
        " ",
        ". ",
        "! ",
        "?",
        "...",
        "…",
        "\n",
        ", ",
        "3.14",
        "Dr.",
        "e.g.",
        "No. ",
        "<think>",
        "</think>",
        "<th",
        "**",
        "_",
        "`",
        "- ",
        "1. ",
        "2. ",
        "#",
        "[a](http://b.c)",
        "](",
        ")",
        "\"",
        "👍",
        "Assistant:",
        "a@b.co",
        "é",
        "。",
        "\u{0}",
        "word",
        "; ",
        ": ",
        "—",
        "J.",
        "etc. ",
        "\r\n",
        "x",
    ]);
    prop_oneof![
        prop::collection::vec(parts, 0..60).prop_map(|parts| parts.concat()),
        any::<String>()
    ]
}

proptest! {
    #[test]
    fn chunking_never_matters(text in texts(), cuts in prop::collection::vec(1..9usize, 1..20), first in any::<bool>()) {
        let splitter = || SentenceSplitter::new(30).with_first_clause(first);
        let whole = split_with(splitter(), &[&text]);
        let chars: Vec<char> = text.chars().collect();
        let (mut rest, mut chunks) = (chars.as_slice(), Vec::new());
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (chunk, tail) = rest.split_at((*cut).min(rest.len()));
            chunks.push(chunk.iter().collect::<String>());
            rest = tail;
        }
        let chunks: Vec<&str> = chunks.iter().map(String::as_str).collect();
        prop_assert_eq!(split_with(splitter(), &chunks), whole);
    }

    #[test]
    fn pieces_are_speakable_and_short(text in texts()) {
        for piece in split_with(SentenceSplitter::new(30), &[&text]) {
            prop_assert!(piece.contains(char::is_alphanumeric));
            prop_assert_eq!(piece.trim(), &piece);
            prop_assert!(piece.chars().count() <= 30 + "</thinking".len());
        }
    }

    #[test]
    fn no_word_is_lost(text in "[A-Za-z0-9 .,;:!?$@/'\"()\n-]{0,200}") {
        // Line heads are markup, so the text starts inside a line and every line break is followed by a word.
        let text = format!("x {}", text.replace('\n', "\nx "));
        let letters = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<String>();
        prop_assert_eq!(letters(&split_with(SentenceSplitter::new(30), &[&text]).concat()), letters(&text));
    }
}
