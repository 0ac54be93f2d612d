//! The agent file's fields, one by one.

mod faults;
mod guide;
mod shipped;

use super::*;

const FRONT_DESK: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/agents/front-desk.toml"));

const SMALLEST: &str = "name = \"a-1\"\ngreeting = \"Hello.\"\nsystem_prompt = \"Be brief.\"\n";

fn fault(text: &str) -> String {
    parse(text, "agents/x.toml").expect_err("a faulty file").to_string()
}

#[test]
fn the_front_desk_is_good_and_says_that_it_is_automated() {
    let agent = parse(FRONT_DESK, "agents/front-desk.toml").expect("the file that ships");
    assert_eq!(agent.name, "front-desk");
    assert!(agent.greeting.contains("automated assistant"), "{}", agent.greeting);
    assert!(agent.system_prompt.source().contains("medical advice"));
    assert!(agent.stt.vocabulary.is_some());
}

#[test]
fn everything_but_three_fields_has_a_default() {
    let agent = parse(SMALLEST, "x").expect("the smallest file");
    assert_eq!(agent.phrases, Phrases::of(Language::En));
    assert_eq!(agent.stt, SttHints::default());
    assert_eq!(agent.limits, Limits::default());
}

#[test]
fn sections_override_single_fields() {
    let text =
        format!("{SMALLEST}[phrases]\nbusy = \" Busy. \"\n[limits]\nmax_history = 6\n[stt]\nvocabulary = \"Tess\"\n");
    let agent = parse(&text, "x").expect("a good file");
    assert_eq!(
        agent.phrases,
        Phrases {
            busy: "Busy.".to_owned(),
            ..Phrases::of(Language::En)
        }
    );
    assert_eq!(agent.limits.max_history, 6);
    assert_eq!(agent.stt.vocabulary.as_deref(), Some("Tess"));
}

#[test]
fn faults_name_file_line_and_what_is_allowed() {
    let cases = [
        (
            format!("{SMALLEST}voice = \"joe\"\n"),
            ":4: unknown field `voice`, expected one of `name`, `language`",
        ),
        (
            format!("{SMALLEST}[phrases]\nsorry = \"x\"\n"),
            ":5: unknown field `sorry`, expected one of `apology`",
        ),
        (
            format!("{SMALLEST}\n[limits]\nmax_history = 1\n"),
            ":6: 1 is out of bounds: expected 2 to 200 messages",
        ),
        (SMALLEST.replace("\"Hello.\"", "\"  \""), ":2: this text is empty"),
        (
            SMALLEST.replace("a-1", "../a"),
            ":1: \"../a\" is not a name: expected a-z, 0-9 and -",
        ),
        (
            SMALLEST.replace("\"Hello.\"", "7"),
            ":2: invalid type: integer `7`, expected a string",
        ),
        (
            SMALLEST.replace("greeting", "# greeting"),
            ":1: missing field `greeting`",
        ),
        (SMALLEST.replace("brief.\"", "brief."), ":3: "),
    ];
    for (text, expected) in cases {
        let message = fault(&text);
        assert!(message.starts_with(&format!("agents/x.toml{expected}")), "{message}");
        assert!(!message.contains('\n'), "{message}");
    }
}

#[test]
fn what_is_awaited_is_a_kind_of_slot_with_its_bounds() {
    let with = |expect: &str| format!("{SMALLEST}[expect]\n{expect}\n");
    let slot = |expect: &str| parse(&with(expect), "x").expect("a good file").expect;
    assert_eq!(slot("kind = \"phone\""), Some(Slot::Phone { local: false }));
    assert_eq!(
        slot("kind = \"digits\"\nmin = 4\nmax = 6"),
        Some(Slot::Digits { min: 4, max: 6 })
    );
    assert!(matches!(slot("kind = \"id\"\npattern = 'MB\\d{6}'"), Some(Slot::Id(_))));
    let cases = [
        ("kind = \"digits\"\nmin = 6\nmax = 4", "min = 6, max = 4: expected"),
        (
            "kind = \"colour\"",
            "unknown variant `colour`, expected one of `digits`, `id`",
        ),
        ("kind = \"id\"\npattern = '('", "pattern \"(\": "),
    ];
    for (expect, expected) in cases {
        let message = fault(&with(expect));
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn load_stays_in_its_directory_and_says_what_there_is() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let write = |file: &str| fs::write(dir.path().join(file), SMALLEST).expect("a writable directory");
    write("a-1.toml");
    write("copy.toml");
    assert_eq!(load(dir.path(), "a-1").expect("a good file").greeting, "Hello.");
    for name in ["../a-1", "", "a/b", "A", "a.toml"] {
        assert!(matches!(load(dir.path(), name), Err(AgentError::Name { .. })), "{name}");
    }
    let message = load(dir.path(), "none").expect_err("no such agent").to_string();
    assert!(message.contains("there are: a-1, copy"), "{message}");
    let message = load(dir.path(), "copy")
        .expect_err("a copy with the old name")
        .to_string();
    assert!(message.ends_with("Write name = \"copy\""), "{message}");
}
