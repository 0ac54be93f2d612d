//! What an LLM outside of the house is not told: ids, numbers, dates, names and addresses leave as placeholders (`NAME_1`) and come back as what
//! they stand for. Pure.
//!
//! What is known of the call (slots, what tools found, the caller's number) is replaced wherever it stands; what else looks private is found by
//! [`private_spans`]. The same value has the same placeholder throughout a request. It is no anonymity: what callers tell in plain words leaves.

use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::Value as Json;

use super::agent::Part;
use super::llm::{CallRequest, Message};
use super::slot::{Date, Language, Private, Value, private_spans};

/// The placeholders of one request.
pub struct Redaction {
    language: Language,
    today: Date,
    known: Vec<Known>,
    hidden: Vec<Hidden>,
}

/// Something that is known to be private.
pub struct Known {
    /// What it is.
    pub kind: Private,
    /// As a tool needs it.
    pub value: String,
    /// As it may be said, too.
    pub spoken: Option<String>,
}

/// A placeholder and what it stands for.
struct Hidden {
    placeholder: String,
    kind: Private,
    /// As a tool needs it.
    value: String,
    /// As it was said first.
    said: String,
}

impl Redaction {
    /// `known` is replaced in whatever is sent.
    pub fn new(mut known: Vec<Known>, language: Language, today: Date) -> Self {
        let parts: Vec<Known> = known
            .iter()
            .filter(|known| known.kind == Private::Name)
            .flat_map(parts_of_name)
            .collect();
        known.extend(parts);
        // A part never stands before the whole.
        known.sort_by_key(|known| std::cmp::Reverse(known.value.len()));
        Self {
            language,
            today,
            known,
            hidden: Vec::new(),
        }
    }

    /// The same conversation without what is private.
    pub fn messages(&mut self, messages: Vec<Message>) -> Vec<Message> {
        let mut asked_for_name = false;
        let hidden = messages.into_iter().map(|message| {
            let answers = std::mem::replace(&mut asked_for_name, false);
            match message {
                Message::Caller(text) => Message::Caller(self.hide(&text, answers)),
                Message::Agent(text) => {
                    asked_for_name = ASKS_FOR_NAME.is_match(&text);
                    Message::Agent(self.hide(&text, false))
                }
                Message::Calls(calls) => Message::Calls(calls.into_iter().map(|call| self.hide_call(call)).collect()),
                Message::Result { id, content } => Message::Result {
                    id,
                    content: self.hide_json(&content),
                },
            }
        });
        hidden.collect()
    }

    /// The same instructions without what is private, and with what is to be said of placeholders. Of the operator's own words only what is known
    /// is replaced.
    pub fn system(&mut self, parts: &[Part]) -> String {
        let hidden = parts.iter().map(|part| match part {
            Part::Own(text) => self.hide_known(text),
            Part::Filled(text) if self.is_today(text) => text.clone(),
            Part::Filled(text) => self.hide_value(text),
        });
        format!("{}\n\n{TOLD}", hidden.collect::<String>())
    }

    /// A sentence of the model, as the caller is to hear it.
    pub fn show(&self, sentence: &str) -> String {
        self.replaced(sentence, |hidden| &hidden.said)
    }

    /// A call of the model, as the tool is to get it.
    pub fn show_call(&self, call: CallRequest) -> CallRequest {
        let mut arguments = call.arguments;
        if let Ok(mut json) = serde_json::from_str::<Json>(&arguments) {
            each_text(&mut json, "", &mut |_, text| {
                *text = self.replaced(text, |hidden| &hidden.value);
            });
            arguments = json.to_string();
        }
        CallRequest { arguments, ..call }
    }

    fn hide(&mut self, text: &str, names: bool) -> String {
        let text = self.hide_known(text);
        let (mut out, mut at) = (String::with_capacity(text.len()), 0);
        for found in PLACEHOLDER.find_iter(&text) {
            self.hide_part(&text[at..found.start()], names, &mut out);
            out.push_str(found.as_str());
            at = found.end();
        }
        self.hide_part(&text[at..], names, &mut out);
        out
    }

    /// Of a text that is no sentence: what begins with a capital may be a name.
    fn hide_value(&mut self, text: &str) -> String {
        let hidden = self.hide(&format!("{WITHIN}{text}"), false);
        hidden.strip_prefix(WITHIN).map_or_else(String::new, str::to_owned)
    }

    fn is_today(&self, text: &str) -> bool {
        text == self.today.to_string() || text == Value::Date(self.today).speak(self.language)
    }

    /// Of a text without placeholders.
    fn hide_part(&mut self, text: &str, names: bool, out: &mut String) {
        let mut at = 0;
        for (kind, span) in private_spans(text, names, self.language, self.today) {
            out.push_str(&text[at..span.start]);
            let placeholder = self.placeholder(kind, &text[span.clone()], None);
            // Written together with something it would be none.
            if out.ends_with(is_word) {
                out.push(' ');
            }
            out.push_str(&placeholder);
            if text[span.end..].starts_with(is_word) {
                out.push(' ');
            }
            at = span.end;
        }
        out.push_str(&text[at..]);
    }

    fn hide_known(&mut self, text: &str) -> String {
        let mut text = text.to_owned();
        for place in 0..self.known.len() {
            let Known { kind, value, spoken } = &self.known[place];
            let (kind, value, said) = (*kind, value.clone(), spoken.as_ref().unwrap_or(value).clone());
            for form in [&value, &said] {
                let mut from = 0;
                while let Some(at) = word_at(&text, from, form) {
                    let placeholder = self.placeholder(kind, &said, Some(&value));
                    text.replace_range(at..at + form.len(), &placeholder);
                    from = at + placeholder.len();
                }
            }
        }
        text
    }

    fn hide_call(&mut self, call: CallRequest) -> CallRequest {
        CallRequest {
            arguments: self.hide_json(&call.arguments),
            ..call
        }
    }

    /// The texts of an object, and those of its numbers that are long; what is no JSON as any text.
    fn hide_json(&mut self, content: &str) -> String {
        let Ok(mut json) = serde_json::from_str::<Json>(content) else {
            return self.hide(content, false);
        };
        each_text(&mut json, "", &mut |key, text| {
            *text = match TELLING.iter().find(|(part, _)| key.contains(part)) {
                Some((_, kind)) if !text.is_empty() => {
                    let whole = std::mem::take(text);
                    self.placeholder(*kind, &whole, Some(&whole))
                }
                _ => self.hide_value(text),
            };
        });
        json.to_string()
    }

    /// The one of this value, new if there is none.
    fn placeholder(&mut self, kind: Private, said: &str, value: Option<&str>) -> String {
        let value = value.unwrap_or(said);
        let same = |hidden: &&Hidden| {
            hidden.kind == kind && (plain(&hidden.value) == plain(value) || plain(&hidden.said) == plain(said))
        };
        if let Some(hidden) = self.hidden.iter().find(same) {
            return hidden.placeholder.clone();
        }
        let number = 1 + self.hidden.iter().filter(|hidden| hidden.kind == kind).count();
        let placeholder = format!("{}_{number}", label(kind));
        self.hidden.push(Hidden {
            placeholder: placeholder.clone(),
            kind,
            value: value.to_owned(),
            said: said.to_owned(),
        });
        placeholder
    }

    /// With the texts in the place of the placeholders; one that a model has made up is left out.
    fn replaced<'a>(&'a self, text: &str, stands_for: impl Fn(&'a Hidden) -> &'a String) -> String {
        let whole = PLACEHOLDER.replace_all(text, |found: &Captures<'_>| {
            let name = format!("{}_{}", &found["kind"], &found["number"]);
            let hidden = self.hidden.iter().find(|hidden| hidden.placeholder == name);
            hidden.map(&stands_for).cloned().unwrap_or_default()
        });
        whole.into_owned()
    }
}

/// What of a tool's answer is private, by what it is called.
pub fn known_in(facts: &Json) -> Vec<Known> {
    let (mut facts, mut known) = (facts.clone(), Vec::new());
    each_text(&mut facts, "", &mut |key, text| {
        let telling = TELLING.iter().find(|(part, _)| key.contains(part));
        known.extend(telling.map(|(_, kind)| Known {
            kind: *kind,
            value: text.clone(),
            spoken: None,
        }));
    });
    known
}

/// "Smith" of "John Smith".
fn parts_of_name(known: &Known) -> Vec<Known> {
    let words = known.value.split_whitespace().filter(|word| word.chars().count() >= 3);
    let parts = words.filter(|word| *word != known.value).map(|word| Known {
        kind: Private::Name,
        value: word.to_owned(),
        spoken: None,
    });
    parts.collect()
}

/// Where it stands by itself from there on, in whatever case; not within a placeholder.
fn word_at(text: &str, from: usize, word: &str) -> Option<usize> {
    if word.len() < MIN_KNOWN {
        return None;
    }
    let (bytes, len) = (text.as_bytes(), word.len());
    (from..(text.len() + 1).saturating_sub(len)).find(|&at| {
        bytes[at..at + len].eq_ignore_ascii_case(word.as_bytes())
            && text.is_char_boundary(at)
            && text.is_char_boundary(at + len)
            && !text[..at].ends_with(is_word)
            && !text[at + len..].starts_with(is_word)
    })
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Each text of a JSON, with the nearest key above it; a number of three digits or more becomes one.
fn each_text(json: &mut Json, key: &str, change: &mut impl FnMut(&str, &mut String)) {
    match json {
        Json::String(text) => change(key, text),
        Json::Number(number) => {
            let mut text = number.to_string();
            let before = text.clone();
            change(key, &mut text);
            if text != before {
                *json = Json::String(text);
            }
        }
        Json::Array(items) => items.iter_mut().for_each(|item| each_text(item, key, change)),
        Json::Object(object) => {
            for (key, value) in object {
                each_text(value, &key.to_lowercase(), change);
            }
        }
        Json::Null | Json::Bool(_) => {}
    }
}

fn plain(text: &str) -> String {
    text.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

const fn label(kind: Private) -> &'static str {
    match kind {
        Private::Email => "EMAIL",
        Private::Address => "ADDRESS",
        Private::Name => "NAME",
        Private::Date => "DATE",
        Private::Number => "NUMBER",
    }
}

/// What a tool's answer calls what is private.
const TELLING: [(&str, Private); 8] = [
    ("name", Private::Name),
    ("address", Private::Address),
    ("street", Private::Address),
    ("email", Private::Email),
    ("birth", Private::Date),
    ("phone", Private::Number),
    ("member", Private::Number),
    ("customer_number", Private::Number),
];
/// Shorter texts are left: they would be found everywhere.
const MIN_KNOWN: usize = 3;
/// What comes after a comma begins no sentence.
const WITHIN: &str = ", ";
const TOLD: &str = "Some details are replaced by placeholders such as NAME_1 or NUMBER_2. Write a placeholder wherever you mean what it stands for, \
     exactly as it is. Never mention that there are placeholders.";

static PLACEHOLDER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"[\[<(]?\b(?<kind>EMAIL|ADDRESS|NAME|DATE|NUMBER)[_ -]?(?<number>[0-9]{1,3})\b[\])>]?")
        .expect("invariant: a good pattern")
});
static ASKS_FOR_NAME: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?i)\b(name|nombre|llama)\b.*\?").expect("invariant: a good pattern"));

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn redaction(known: &[(Private, &str, &str)]) -> Redaction {
        let known = known.iter().map(|(kind, value, spoken)| Known {
            kind: *kind,
            value: (*value).to_owned(),
            spoken: Some((*spoken).to_owned()),
        });
        Redaction::new(known.collect(), Language::En, jiff::civil::date(2026, 11, 21))
    }

    fn caller(text: &str) -> Message {
        Message::Caller(text.to_owned())
    }

    fn agent(text: &str) -> Message {
        Message::Agent(text.to_owned())
    }

    #[test]
    fn what_leaves_has_no_detail_and_what_is_said_has_all() {
        let mut redaction = redaction(&[
            (Private::Number, "MB123456", "M B 1 2 3 4 5 6"),
            (Private::Name, "Maria Gonzalez", "Maria Gonzalez"),
        ]);
        let told = [
            Part::Own("Open nine to five, call 555-0100. Today is ".to_owned()),
            Part::Filled("2026-11-21".to_owned()),
            Part::Own(". Known: member id M B 1 2 3 4 5 6, the problem: ".to_owned()),
            Part::Filled("Call Jane Roe at 646 555 0147, born May 3, 1971.".to_owned()),
            Part::Own(" of ".to_owned()),
            Part::Filled("Peter Miller".to_owned()),
        ];
        let messages = vec![
                agent("What is your name?"),
                caller("Gonzalez."),
                caller("It's mb123456, and I was born on March 15, 1985."),
                Message::Calls(vec![CallRequest {
                    id: "call_0".to_owned(),
                    name: "look_up".to_owned(),
                    arguments: r#"{"member_id":"MB123456","tries":2}"#.to_owned(),
                }]),
                Message::Result {
                    id: "call_0".to_owned(),
                    content: r#"{"outcome":"found","data":{"name":"Maria Gonzalez","copay":25,"balance":12050,"note":"call Mary Jones at 212-555-0182"}}"#
                        .to_owned(),
                },
        ];
        let sent = redaction.messages(messages);
        let system = redaction.system(&told);
        let all = format!("{system} {sent:?}");
        for private in [
            "123456", "1 2 3", "Gonzalez", "Maria", "1985", "Jones", "0182", "12050", "Roe", "0147", "1971", "Peter",
            "Miller",
        ] {
            assert!(!all.contains(private), "{private}: {all}");
        }
        // The clinic's own number is no secret.
        assert!(system.contains("555-0100. Today is 2026-11-21."), "{all}");
        assert!(system.contains("NUMBER_1"), "{all}");
        assert!(all.contains("25"), "{all}");
        let Message::Caller(said) = &sent[2] else {
            panic!("a caller")
        };
        assert_eq!(said, "It's NUMBER_1, and I was born on DATE_1.");
        assert_eq!(
            redaction.show("Thank you, [NAME_1]: NUMBER_1, DATE-1, and NUMBER 1 again. NAME_7?"),
            "Thank you, Gonzalez: M B 1 2 3 4 5 6, March 15, 1985, and M B 1 2 3 4 5 6 again. ?"
        );
        let call = redaction.show_call(CallRequest {
            id: String::new(),
            name: String::new(),
            arguments: r#"{"member_id":"NUMBER_1"}"#.to_owned(),
        });
        assert_eq!(call.arguments, r#"{"member_id":"MB123456"}"#);
    }

    #[test]
    fn a_value_has_one_placeholder_in_whatever_case() {
        let mut redaction = redaction(&[]);
        assert_eq!(
            redaction.hide("my id is AB 1234", false),
            redaction.hide("my id is ab-1234", false)
        );
        assert_eq!(redaction.hide("NUMBER_1 is my id", false), "NUMBER_1 is my id");
    }

    #[test]
    fn people_may_be_called_as_placeholders_are() {
        let mut redaction = redaction(&[
            (Private::Name, "Ann Name", "Ann Name"),
            (Private::Name, "Date Number", "Date Number"),
        ]);
        let hidden = redaction.hide(
            "Name is here, and Ann Name, born 4 May 1970 as Date Number, 4826 55",
            false,
        );
        assert!(
            !hidden.contains("Ann") && !hidden.contains("1970") && !hidden.contains("Number"),
            "{hidden}"
        );
        assert!(!hidden.contains("4826") && !hidden.contains("55"), "{hidden}");
        assert!(redaction.show(&hidden).contains("Ann Name, born"), "{hidden}");
    }

    #[test]
    fn what_follows_a_placeholder_is_hidden_too() {
        let mut redaction = redaction(&[(Private::Number, "482615", "4 8 2 6 1 5")]);
        let hidden = redaction.hide("It is 482615 4826 55.", false);
        assert_eq!(hidden, "It is NUMBER_1 NUMBER_2.");
        assert_eq!(redaction.show(&hidden), "It is 4 8 2 6 1 5 4826 55.");
    }

    proptest! {
        #[test]
        fn whatever_is_hidden_comes_back(text in "[a-zA-Z0-9 ,.]{0,80}", name in "[A-Z][a-z]{2,8}( [A-Z][a-z]{2,8})?") {
            // Texts that look like placeholders are the model's to write, not the caller's.
            prop_assume!(!PLACEHOLDER.is_match(&text) && !PLACEHOLDER.is_match(&name));
            let text = format!("{text} {name}");
            let mut redaction = redaction(&[(Private::Name, &name, &name)]);
            let hidden = redaction.hide(&text, false);
            prop_assert!(word_at(&hidden, 0, &name).is_none(), "{hidden}");
            let plain = |text: &str| plain(text);
            prop_assert_eq!(plain(&redaction.show(&hidden)), plain(&text));
        }
    }
}
