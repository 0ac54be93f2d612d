//! Tells what is to be spoken from tool calls that a model writes as text.
//!
//! Weak models, and servers whose chat template does not fit, send a call as `<tool_call>{…}</tool_call>` (Hermes, Qwen), as
//! `[TOOL_CALLS] […]` (Mistral), as `<|python_tag|>{…}` (Llama), in a fenced block or as bare JSON. None of it may be read to
//! a caller. Every decision looks at one character at a time, so that it cannot depend on how the stream was cut.

use serde_json::{Map, Value};

/// The filter; one for each reply.
#[derive(Debug, Default)]
pub(super) struct Prose {
    /// Plain text: what may become an opening. In a block: what is in it.
    held: String,
    block: Option<Block>,
    calls: Vec<(String, String)>,
}

#[derive(Debug, Clone, Copy)]
enum Block {
    /// Up to this tag, or to the end of the reply.
    Tagged(Option<&'static str>),
    /// Thoughts, which are forgotten at once.
    Thought(&'static str),
    Fenced,
    Json(Nesting),
    /// The rest of a reply whose block was longer than [`MAX_BLOCK`].
    Lost,
}

/// How deep in a JSON text.
#[derive(Debug, Clone, Copy, Default)]
struct Nesting {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

enum Opening {
    None,
    Maybe,
    Block(Block),
}

impl Prose {
    /// Takes the next piece of the reply and appends what is to be spoken to `out`.
    pub(super) fn push(&mut self, text: &str, out: &mut String) {
        for c in text.chars() {
            self.take(c, out);
        }
    }

    /// The reply has ended: what was held back is told, and the calls as name and arguments.
    pub(super) fn finish(&mut self, out: &mut String) -> Vec<(String, String)> {
        let held = std::mem::take(&mut self.held);
        match self.block.take() {
            None => out.push_str(&held),
            Some(block) => self.close(block, &held, out),
        }
        std::mem::take(&mut self.calls)
    }

    fn take(&mut self, c: char, out: &mut String) {
        match self.block {
            None => self.plain(c, out),
            Some(Block::Lost) => {}
            Some(Block::Thought(end)) => {
                self.held.push(c.to_ascii_lowercase());
                if self.held.ends_with(end) {
                    self.held.clear();
                    self.block = None;
                } else if self.held.len() > MAX_OPENING {
                    let keep = self.held.ceil_char_boundary(self.held.len() - end.len());
                    self.held.drain(..keep);
                }
            }
            Some(mut block) => {
                self.held.push(c);
                let ended = match &mut block {
                    Block::Tagged(end) => end.is_some_and(|end| ends_with(&self.held, end)),
                    Block::Fenced => self.held.ends_with(FENCE),
                    Block::Json(nesting) => nesting.ends_at(c),
                    Block::Thought(_) | Block::Lost => false,
                };
                if ended {
                    let held = std::mem::take(&mut self.held);
                    self.block = None;
                    self.close(block, &held, out);
                } else if self.held.len() > MAX_BLOCK {
                    self.held.clear();
                    self.block = Some(Block::Lost);
                } else {
                    self.block = Some(block);
                }
            }
        }
    }

    fn plain(&mut self, c: char, out: &mut String) {
        self.held.push(c);
        loop {
            match opening(&self.held) {
                Opening::Maybe => return,
                Opening::Block(block) => {
                    if !matches!(block, Block::Json(_)) {
                        self.held.clear();
                    }
                    self.block = Some(block);
                    return;
                }
                Opening::None => {
                    let Some(first) = self.held.chars().next() else { return };
                    out.push(first);
                    self.held.drain(..first.len_utf8());
                    if self.held.is_empty() {
                        return;
                    }
                }
            }
        }
    }

    fn close(&mut self, block: Block, held: &str, out: &mut String) {
        match block {
            Block::Tagged(_) | Block::Json(_) => self.calls.extend(calls_in(held)),
            Block::Fenced => {
                let body = held.strip_suffix(FENCE).unwrap_or(held);
                // The first line is the block's language.
                let body = body.split_once('\n').map_or(body, |(_, body)| body).trim();
                if body.starts_with(['{', '[', '<']) {
                    self.calls.extend(calls_in(body));
                } else {
                    out.push_str(body);
                }
            }
            Block::Thought(_) | Block::Lost => {}
        }
    }
}

impl Nesting {
    fn ends_at(&mut self, c: char) -> bool {
        if self.in_string {
            match c {
                _ if self.escaped => self.escaped = false,
                '\\' => self.escaped = true,
                '"' => self.in_string = false,
                _ => {}
            }
            return false;
        }
        match c {
            '"' => self.in_string = true,
            '{' | '[' => self.depth += 1,
            '}' | ']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        self.depth == 0
    }
}

/// What a text is the beginning of.
fn opening(held: &str) -> Opening {
    let mut maybe = false;
    let thoughts = THOUGHTS.iter().map(|(start, end)| (*start, Block::Thought(end)));
    let tags = TAGS.iter().map(|(start, end)| (*start, Block::Tagged(*end)));
    for (start, block) in thoughts.chain(tags).chain([(FENCE, Block::Fenced)]) {
        let same = |len: usize| held.as_bytes()[..len].eq_ignore_ascii_case(&start.as_bytes()[..len]);
        if held.len() == start.len() && same(held.len()) {
            return Opening::Block(block);
        }
        maybe |= held.len() < start.len() && same(held.len());
    }
    let json = json(held);
    if maybe && matches!(json, Opening::None) {
        Opening::Maybe
    } else {
        json
    }
}

/// An object with a member: `{"`, perhaps in a list, perhaps with spaces. Nobody says that.
fn json(held: &str) -> Opening {
    let mut nesting = Nesting::default();
    let mut rest = held;
    if let Some(inner) = rest.strip_prefix('[') {
        nesting.depth += 1;
        rest = inner.trim_start();
    }
    if let Some(inner) = rest.strip_prefix('{') {
        nesting.depth += 1;
        rest = inner.trim_start();
        if rest.starts_with('"') {
            nesting.in_string = true;
            return Opening::Block(Block::Json(nesting));
        }
    }
    if rest.is_empty() && nesting.depth > 0 && held.len() <= MAX_OPENING {
        Opening::Maybe
    } else {
        Opening::None
    }
}

/// The calls in a text with JSON in it. Whatever else it holds is left out.
fn calls_in(text: &str) -> Vec<(String, String)> {
    let Some(start) = text.find(['{', '[']) else {
        return Vec::new();
    };
    let values = serde_json::Deserializer::from_str(&text[start..]).into_iter::<Value>();
    let mut calls = Vec::new();
    for value in values.map_while(Result::ok) {
        if let Value::Array(values) = value {
            calls.extend(values.into_iter().filter_map(call));
        } else {
            calls.extend(call(value));
        }
    }
    calls
}

fn call(value: Value) -> Option<(String, String)> {
    let Value::Object(mut object) = value else { return None };
    // The form of the API itself: {"type": "function", "function": {…}}.
    if let Some(Value::Object(function)) = object.remove("function") {
        object = function;
    }
    let arguments = arguments(&mut object)?;
    match object.remove("name") {
        Some(Value::String(name)) => Some((name, arguments)),
        _ => None,
    }
}

fn arguments(object: &mut Map<String, Value>) -> Option<String> {
    let arguments = object.remove("arguments").or_else(|| object.remove("parameters"))?;
    match arguments {
        Value::String(text) => Some(text),
        value @ Value::Object(_) => Some(value.to_string()),
        Value::Null => Some(String::new()),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
    }
}

fn ends_with(text: &str, end: &str) -> bool {
    let (text, end) = (text.as_bytes(), end.as_bytes());
    text.len() >= end.len() && text[text.len() - end.len()..].eq_ignore_ascii_case(end)
}

const THOUGHTS: [(&str, &str); 2] = [("<think>", "</think>"), ("<thinking>", "</thinking>")];
const TAGS: [(&str, Option<&str>); 5] = [
    ("<tool_call>", Some("</tool_call>")),
    ("<function_call>", Some("</function_call>")),
    ("<function=", Some("</function>")),
    ("<|python_tag|>", None),
    ("[TOOL_CALLS]", None),
];
const FENCE: &str = "```";
/// Bytes that may be held back to see what they become.
const MAX_OPENING: usize = 64;
/// Bytes of a block.
const MAX_BLOCK: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(pieces: &[&str]) -> (String, Vec<(String, String)>) {
        let (mut prose, mut out) = (Prose::default(), String::new());
        for piece in pieces {
            prose.push(piece, &mut out);
        }
        let calls = prose.finish(&mut out);
        (out, calls)
    }

    #[test]
    fn calls_written_as_text_are_calls() {
        let call = r#"{"name": "find", "arguments": {"id": "a } \" ] b"}}"#;
        let one = [("find", r#"{"id":"a } \" ] b"}"#)];
        let texts = [
            (format!("<tool_call>\n{call}\n</tool_call>"), ""),
            (
                format!("Let me look. <tool_call>{call}</tool_call> Done."),
                "Let me look.  Done.",
            ),
            (format!("<TOOL_CALL>{call}</Tool_Call>"), ""),
            (format!("<tool_call>{call}"), ""),
            (format!("<tool_call>\n```json\n{call}\n```\n</tool_call>"), ""),
            (format!("<|python_tag|>{call}"), ""),
            (format!("[TOOL_CALLS] [{call}]"), ""),
            (format!("```json\n{call}\n```"), ""),
            (format!("```\n{call}\n```"), ""),
            (format!("```tool_call\n{call}"), ""),
            (call.to_owned(), ""),
            (format!("\n {call}\n"), "\n \n"),
            (format!("Sure. {call}"), "Sure. "),
            (format!("[{call}]"), ""),
            (call.replacen("{", "{\n  ", 1), ""),
            (call.replace("arguments", "parameters"), ""),
            (format!(r#"{{"type": "function", "function": {call}}}"#), ""),
            (
                format!("<think>{{\"name\": \"x\", \"arguments\": {{}}}} <tool_call></think>{call}"),
                "",
            ),
        ];
        for (text, spoken) in texts {
            let (said, calls) = read(&[&text]);
            assert_eq!(said, spoken, "{text}");
            let calls: Vec<(&str, &str)> = calls
                .iter()
                .map(|(name, args)| (name.as_str(), args.as_str()))
                .collect();
            assert_eq!(calls, one, "{text}");
        }
        let two = format!("<tool_call>{call}{call}</tool_call>\n<tool_call>{call}</tool_call>");
        assert_eq!(read(&[&two]).1.len(), 3);
        let quoted = r#"{"name": "find", "arguments": "{\"id\": 1}"}"#;
        assert_eq!(read(&[quoted]).1, [("find".to_owned(), "{\"id\": 1}".to_owned())]);
    }

    #[test]
    fn broken_calls_and_data_are_neither_spoken_nor_run() {
        for text in [
            "<tool_call>find the member</tool_call>",
            "<tool_call>{\"name\": \"find\", </tool_call>",
            "<tool_call><function=find><parameter=id>7</parameter></function></tool_call>",
            "<function=find>{\"id\": 7}</function>",
            "{\"name\": \"Ann\", \"age\": 5}",
            "{\"name\": 7, \"arguments\": {}}",
            "{\"name\": \"find\", \"arguments\": [1]}",
            "{\"name\": \"find\", \"arguments\": {\"id",
            "```json\n{\"a\": 1}\n```",
            "```xml\n<a/>\n```",
            "<think>I should say hello</think>",
            "<think>I should say hello",
        ] {
            assert_eq!(read(&[text]), (String::new(), Vec::new()), "{text}");
        }
    }

    #[test]
    fn everything_else_is_spoken() {
        for text in [
            "Hello there.",
            "It is < 5 and > 3 {as ever} [sic] `so`.",
            "<b>Bold</b> <tool",
            "[laughs] Well, { \"",
            "A brace at the end {",
            "[[{",
        ] {
            let (said, calls) = read(&[text]);
            // An open brace and a quote could be JSON that was cut off.
            let expected = text.strip_suffix("{ \"").unwrap_or(text);
            assert_eq!((said.as_str(), calls.len()), (expected, 0), "{text}");
        }
        assert_eq!(read(&["```\nJust text.\n``` More."]).0, "Just text. More.");
    }

    #[test]
    fn a_block_without_end_is_bounded() {
        let long = format!("<tool_call>{}", "x".repeat(3 * MAX_BLOCK));
        let (mut prose, mut out) = (Prose::default(), String::new());
        prose.push(&long, &mut out);
        assert!(prose.held.len() <= MAX_BLOCK);
        prose.push("</tool_call> Hello.", &mut out);
        assert_eq!((prose.finish(&mut out), out.as_str()), (Vec::new(), ""));
        let mut prose = Prose::default();
        prose.push(&format!("<think>{}", "é".repeat(10_000)), &mut out);
        assert!(prose.held.len() <= MAX_OPENING + 4);
        prose.push("</think>Hello.", &mut out);
        assert_eq!(out, "Hello.");
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_the_text_is_cut(text in r#"([a-c <>/\[\]{}"`\n:,é]|<tool_call>|</tool_call>|\{"name": "f", "arguments": \{\}\}|```|<think>|</think>){0,40}"#) {
            let whole = read(&[&text]);
            let chars: Vec<String> = text.chars().map(String::from).collect();
            let pieces: Vec<&str> = chars.iter().map(String::as_str).collect();
            prop_assert_eq!(read(&pieces), whole);
        }

        #[test]
        fn plain_words_pass_unchanged(text in "[A-Za-z0-9 .,?!'()é-]{0,200}") {
            prop_assert_eq!(read(&[&text]).0, text);
        }
    }
}
