//! docs/guide/agents.md says what is so.

use super::super::{Phrases, parse};
use crate::dialog::slot::Language;
use crate::dialog::tool::builtin::BUILTIN;

const GUIDE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/guide/agents.md"));
const LINES: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/guide/lines-and-hours.md"));
const TOOLS: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/dialog/tool/spec.rs"));

/// A file that has every table, each with a field that there is not, one at a time.
const TABLES: &[(&str, &str)] = &[
    ("the file", ""),
    ("phrases", "[phrases]\n"),
    ("answers", "[[answers]]\n"),
    ("routes", "[[routes]]\n"),
    ("hand_over", "[hand_over]\n"),
    ("outgoing", "[outgoing]\n"),
    ("sms", "[sms]\n"),
    ("stt", "[stt]\n"),
    ("limits", "[limits]\n"),
    ("expect", "[expect]\n"),
    ("tools", "[[tools]]\n"),
    ("forms", "[[forms]]\n"),
    ("slots", "[[forms]]\n[[forms.slots]]\n"),
    ("a look-up", "[[forms]]\n[[forms.slots]]\n[forms.slots.look_up]\n"),
    ("an action", "[[forms]]\n[[forms.actions]]\n"),
    (
        "a reaction",
        "[[forms]]\n[[forms.actions]]\n[forms.actions.results.x]\n",
    ),
    ("recording", "[recording]\n"),
    ("line", "[line]\n"),
    ("line.hours", "[line.hours]\n"),
    ("line.menu", "[line.menu]\n"),
    ("line.voicemail", "[line.voicemail]\n"),
    ("line.queue", "[line.queue]\n"),
    ("a choice", "[[forms]]\n[[forms.slots]]\n[[forms.slots.choices]]\n"),
];

/// The fields of a table, from the error about one that it has not.
fn fields(table: &str) -> Vec<String> {
    let text = format!("name = \"a\"\ngreeting = \"Hello.\"\nsystem_prompt = \"Be brief.\"\n{table}nosuchfield = 1\n");
    let error = parse(&text, "x").expect_err("an unknown field").to_string();
    let (_, known) = error
        .split_once("unknown field `nosuchfield`, expected ")
        .unwrap_or_else(|| panic!("{error}"));
    let names = known.split('`').skip(1).step_by(2);
    names.map(str::to_owned).collect()
}

#[test]
fn every_field_has_its_row() {
    for (table, text) in TABLES {
        let fields = fields(text);
        assert!(!fields.is_empty(), "{table}");
        for field in fields {
            let guide = if table.starts_with("line") { LINES } else { GUIDE };
            let shown = guide.lines().filter(|line| line.starts_with('|')).any(|line| {
                let first = line.split('|').nth(1).unwrap_or_default();
                let names = first.split('`').skip(1).step_by(2);
                names
                    .into_iter()
                    .any(|name| name == field || name == format!("{table}.{field}"))
            });
            // Those of a kind stand in its row, those of `expect` are a kind's.
            let elsewhere = *table == "expect" && GUIDE.contains(&format!("`{field}`"));
            assert!(shown || elsewhere, "the guide has no row for {field} of {table}");
        }
    }
}

#[test]
fn every_default_sentence_stands_there() {
    let english = Phrases::of(Language::En);
    let spanish = Phrases::of(Language::Es);
    for ((name, en), (_, es)) in english.list().into_iter().zip(spanish.list()) {
        let row = format!("| `{name}` |");
        let row = GUIDE
            .lines()
            .find(|line| line.starts_with(&row))
            .unwrap_or_else(|| panic!("no row {row}"));
        assert!(row.contains(&format!("| {en} | {es} |")), "{row}");
    }
}

#[test]
fn every_kind_outcome_and_parameter_stands_there() {
    let text = "[expect]\nkind = \"nosuchkind\"\n";
    let text = format!("name = \"a\"\ngreeting = \"Hello.\"\nsystem_prompt = \"Be brief.\"\n{text}");
    let error = parse(&text, "x").expect_err("an unknown kind").to_string();
    let kinds: Vec<&str> = error.split('`').skip(3).step_by(2).collect();
    assert_eq!(kinds.len(), 14, "{error}");
    for kind in kinds {
        assert!(
            GUIDE.contains(&format!("\n| `{kind}` |")),
            "the guide has no row for the kind {kind}"
        );
    }
    for tool in BUILTIN {
        let from = GUIDE
            .find(&format!("\n| `{}` |", tool.name))
            .unwrap_or_else(|| panic!("no row for {}", tool.name));
        let rows = GUIDE[from + 1..].lines().enumerate();
        let rows = rows.take_while(|(at, line)| *at == 0 || line.starts_with("| | |"));
        let rows: String = rows.map(|(_, line)| line).collect();
        let names = tool
            .parameters
            .iter()
            .map(|parameter| &parameter.name)
            .chain(tool.outcomes);
        for name in names {
            assert!(rows.contains(&format!("`{name}`")), "{}: no {name}", tool.name);
        }
    }
}

#[test]
fn complete_examples_are_good() {
    let blocks = |guide: &'static str| guide.split("```toml complete\n").skip(1);
    let blocks: Vec<&str> = blocks(GUIDE).chain(blocks(LINES)).collect();
    assert!(blocks.len() >= 3);
    for block in blocks {
        let text = block.split("```").next().unwrap_or_default();
        let agent = parse(text, "docs/guide").unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert!(agent.guides(), "{}", agent.name);
    }
}

#[test]
fn the_http_tool_is_that_of_its_module() {
    let lines = TOOLS.lines().skip_while(|line| *line != "//! ```toml").skip(1);
    let lines = lines.take_while(|line| *line != "//! ```");
    for line in lines.map(|line| line.trim_start_matches("//! ")) {
        assert!(GUIDE.contains(line), "the guide's example lacks: {line}");
    }
}

#[test]
fn errors_are_told_as_the_guide_shows_them() {
    let block = GUIDE.split("```toml complete\n").nth(1).expect("the first example");
    let text = block.split("```").next().unwrap_or_default();
    let spoilt = [
        ("customer {{ customer_number }}.", "customer {{ customr }}."),
        ("pattern = '\\d{6}'\n", ""),
        ("results.not_found", "results.missing"),
    ];
    for (from, to) in spoilt {
        assert!(text.contains(from), "{from}");
        let error = parse(&text.replacen(from, to, 1), "agents/parts.toml")
            .expect_err("a fault")
            .to_string();
        assert!(GUIDE.contains(&error), "{error}");
    }
}
