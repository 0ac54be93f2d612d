//! The page: one line for each thing that was looked at, and under it what to do.

use std::io::{IsTerminal as _, Write as _};

use serde::Serialize;

/// How a thing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// As it should be.
    Ok,
    /// Calls may work; somebody should look.
    Warn,
    /// Calls do not work, or not as they should.
    Fail,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Line {
    topic: &'static str,
    pub(super) state: State,
    pub(super) found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) remedy: Option<String>,
}

impl Line {
    pub(super) fn ok(topic: &'static str, found: impl Into<String>) -> Self {
        Self {
            topic,
            state: State::Ok,
            found: found.into(),
            remedy: None,
        }
    }

    pub(super) fn warn(topic: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            state: State::Warn,
            remedy: Some(remedy.into()),
            ..Self::ok(topic, found)
        }
    }

    pub(super) fn fail(topic: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            state: State::Fail,
            remedy: Some(remedy.into()),
            ..Self::ok(topic, found)
        }
    }
}

/// All of them, shown as they come.
pub(super) struct Page {
    lines: Vec<Line>,
    json: bool,
    colour: bool,
}

impl Page {
    pub(super) fn new(json: bool) -> Self {
        Self {
            lines: Vec::new(),
            json,
            colour: std::io::stdout().is_terminal(),
        }
    }

    pub(super) fn add(&mut self, lines: impl IntoIterator<Item = Line>) {
        for line in lines {
            if !self.json {
                print(&shown(&line, self.colour));
            }
            self.lines.push(line);
        }
    }

    /// Ends the page; whether nothing failed.
    pub(super) fn close(self) -> anyhow::Result<bool> {
        let count = |state| self.lines.iter().filter(|line| line.state == state).count();
        let (ok, warnings, failures) = (count(State::Ok), count(State::Warn), count(State::Fail));
        if self.json {
            let document = serde_json::json!({
                "ok": failures == 0, "warnings": warnings, "failures": failures, "checks": self.lines,
            });
            writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&document)?)?;
        } else {
            print(&format!("\n{ok} ok, {warnings} to look at, {failures} wrong\n"));
        }
        Ok(failures == 0)
    }
}

/// `ok    settings   what was found`, and the remedy under what was found.
fn shown(line: &Line, colour: bool) -> String {
    let (word, code) = match line.state {
        State::Ok => ("ok", "32"),
        State::Warn => ("warn", "33"),
        State::Fail => ("FAIL", "1;31"),
    };
    let word = format!("{word:<4}");
    let word = if colour {
        format!("\x1b[{code}m{word}\x1b[0m")
    } else {
        word
    };
    let indent = " ".repeat(6 + TOPIC + 1);
    let found = wrapped(&line.found, &indent);
    let remedy = line.remedy.iter().map(|remedy| {
        let text = wrapped(remedy, &format!("{indent}  "));
        format!("{indent}→ {text}\n")
    });
    let remedy: String = remedy.collect();
    format!("{word}  {:<TOPIC$} {found}\n{remedy}", line.topic)
}

/// Breaks at spaces; a word that is longer than a line, such as a URL, stays whole.
fn wrapped(text: &str, indent: &str) -> String {
    let room = WIDTH.saturating_sub(indent.chars().count());
    let mut broken = String::new();
    let mut used = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > room {
            broken.push('\n');
            broken.push_str(indent);
            used = 0;
        } else if used > 0 {
            broken.push(' ');
            used += 1;
        }
        broken.push_str(word);
        used += length;
    }
    broken
}

/// A closed pipe ends the printing, not the checks.
fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// The longest topic.
const TOPIC: usize = 11;
const WIDTH: usize = 110;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_aligned_and_long_ones_wrapped() {
        assert_eq!(shown(&Line::ok("port", "free"), false), "ok    port        free\n");
        let long = Line::fail("twilio", "word ".repeat(30), "do this");
        let text = shown(&long, false);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines[0].starts_with("FAIL  twilio      word"));
        assert!(lines[1].starts_with("                  word"));
        assert_eq!(lines[2], "                  → do this");
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH));
        assert!(shown(&Line::ok("port", "free"), true).starts_with("\x1b[32mok"));
    }
}
