//! Takes what nobody should hear out of LLM text: reasoning blocks, markdown, role prefixes, emoji, control characters.
//!
//! Three stages, each holding back only the characters that may still turn out to be markup.

/// The stages in order: tags, inline markup, line heads.
#[derive(Debug, Default)]
pub(super) struct Cleaner {
    tags: Tags,
    inline: Inline,
    head: Head,
}

impl Cleaner {
    pub(super) fn push(&mut self, c: char, out: &mut dyn FnMut(char)) {
        let Self { tags, inline, head } = self;
        tags.push(c, &mut |c| inline.push(c, &mut |c| head.push(c, out)));
    }

    /// Releases what was held back and starts over.
    pub(super) fn finish(&mut self, out: &mut dyn FnMut(char)) {
        let Self {
            mut tags,
            mut inline,
            mut head,
        } = std::mem::take(self);
        tags.finish(&mut |c| inline.push(c, &mut |c| head.push(c, out)));
        // An open link target at the end of the reply is cut-off markup, so `inline` has nothing to release.
        head.release(out);
    }
}

/// Drops `<think>…</think>`, and a stray closing tag.
#[derive(Debug, Default)]
struct Tags {
    /// What may become a tag; starts with '<'.
    held: String,
    thinking: bool,
}

impl Tags {
    fn push(&mut self, c: char, out: &mut dyn FnMut(char)) {
        if self.held.is_empty() && c != '<' {
            self.pass(c, out);
            return;
        }
        // '<' opens every tag and occurs nowhere else in one, so a second one restarts the match.
        if c == '<' {
            self.finish(out);
            self.held.push(c);
            return;
        }
        self.held.push(c.to_ascii_lowercase());
        let held = self.held.as_str();
        if CLOSING_TAGS.contains(&held) {
            self.thinking = false;
            self.held.clear();
        } else if OPENING_TAGS.contains(&held) {
            self.thinking = true;
            self.held.clear();
        } else if !OPENING_TAGS.iter().chain(CLOSING_TAGS).any(|tag| tag.starts_with(held)) {
            self.held.pop();
            self.finish(out);
            self.pass(c, out);
        }
    }

    fn pass(&self, c: char, out: &mut dyn FnMut(char)) {
        if !self.thinking {
            out(c);
        }
    }

    fn finish(&mut self, out: &mut dyn FnMut(char)) {
        for c in std::mem::take(&mut self.held).chars() {
            self.pass(c, out);
        }
    }
}

/// Drops emphasis, code ticks, link targets, emoji and control characters.
#[derive(Debug, Default)]
struct Inline {
    state: InlineState,
    after_alphanumeric: bool,
}

#[derive(Debug, Default)]
enum InlineState {
    #[default]
    Text,
    /// A '_' after a letter: part of an id or an e-mail address if another letter follows.
    Underscore,
    /// A ']' that may be followed by a link target.
    Bracket,
    /// "](" and the target so far.
    Link(String),
}

impl Inline {
    fn push(&mut self, c: char, out: &mut dyn FnMut(char)) {
        if is_noise(c) {
            return;
        }
        let c = match c {
            '\r' | '\u{2028}' | '\u{2029}' => '\n',
            '\t' | '|' => ' ',
            _ => c,
        };
        match std::mem::take(&mut self.state) {
            InlineState::Text => self.text(c, out),
            InlineState::Underscore => {
                if c.is_alphanumeric() {
                    out('_');
                }
                self.after_alphanumeric = false;
                self.text(c, out);
            }
            InlineState::Bracket if c == '(' => self.state = InlineState::Link(String::new()),
            InlineState::Bracket => self.text(c, out),
            InlineState::Link(_) if c == ')' => {}
            InlineState::Link(mut target) => {
                if c.is_whitespace() || target.len() >= MAX_LINK_BYTES {
                    out('(');
                    target.chars().for_each(&mut *out);
                    self.text(c, out);
                } else {
                    target.push(c);
                    self.state = InlineState::Link(target);
                }
            }
        }
    }

    fn text(&mut self, c: char, out: &mut dyn FnMut(char)) {
        match c {
            '*' | '`' => return,
            '_' if self.after_alphanumeric => self.state = InlineState::Underscore,
            '_' => {}
            ']' => {
                self.state = InlineState::Bracket;
                out(c);
            }
            _ => out(c),
        }
        self.after_alphanumeric = c.is_alphanumeric();
    }
}

/// Drops bullets, numbering, headings, quote marks and role prefixes at the start of a line.
#[derive(Debug, Default)]
struct Head {
    inside_line: bool,
    held: String,
    /// The last list number dropped; "42. " that continues no list is an answer, not markup.
    list_number: u32,
}

enum Verdict {
    /// May still become markup.
    Pending,
    Markup,
    Text,
}

impl Head {
    fn push(&mut self, c: char, out: &mut dyn FnMut(char)) {
        if c == '\n' {
            self.release(out);
            self.inside_line = false;
            out(c);
        } else if self.inside_line {
            out(c);
        } else if !(self.held.is_empty() && c.is_whitespace()) {
            self.held.push(c);
            match self.verdict() {
                Verdict::Pending => {}
                Verdict::Markup => self.held.clear(),
                Verdict::Text => self.release(out),
            }
        }
    }

    fn release(&mut self, out: &mut dyn FnMut(char)) {
        if !self.held.is_empty() {
            self.inside_line = true;
            std::mem::take(&mut self.held).chars().for_each(out);
        }
    }

    fn verdict(&mut self) -> Verdict {
        let held = self.held.as_str();
        let (mark, closed) = match held.strip_suffix(char::is_whitespace) {
            Some(mark) => (mark, true),
            None => (held, false),
        };
        if matches!(mark, ">" | "•" | "◦" | "▪") {
            return Verdict::Markup;
        }
        if matches!(mark, "-" | "+" | "–" | "—") || (mark.len() <= MAX_HEADING && mark.bytes().all(|b| b == b'#')) {
            return if closed { Verdict::Markup } else { Verdict::Pending };
        }
        if mark.starts_with(|c: char| c.is_ascii_digit()) {
            return self.numbering(mark.to_owned(), closed);
        }
        let lower = mark.to_lowercase();
        match ROLE_PREFIXES.iter().find(|role| role.starts_with(&lower)) {
            Some(role) if **role == lower => Verdict::Markup,
            Some(_) if !closed => Verdict::Pending,
            Some(_) | None => Verdict::Text,
        }
    }

    fn numbering(&mut self, mark: String, closed: bool) -> Verdict {
        let digits = mark.trim_end_matches(['.', ')']);
        let marks = mark.len() - digits.len();
        if digits.len() > MAX_LIST_DIGITS || marks > 1 || (closed && marks == 0) {
            return Verdict::Text;
        }
        let Ok(number) = digits.parse::<u32>() else {
            return Verdict::Text;
        };
        if !closed {
            return Verdict::Pending;
        }
        if number == 1 || number == self.list_number + 1 {
            self.list_number = number;
            return Verdict::Markup;
        }
        Verdict::Text
    }
}

/// Control and invisible characters, emoji and their modifiers.
fn is_noise(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
        || matches!(c,
            '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFFD}'
            | '\u{FE00}'..='\u{FE0F}' | '\u{20E3}' | '\u{2600}'..='\u{27BF}' | '\u{2B00}'..='\u{2BFF}'
            | '\u{1F000}'..='\u{1FAFF}' | '\u{E0000}'..='\u{E007F}')
}

const OPENING_TAGS: &[&str] = &["<think>", "<thinking>"];
const CLOSING_TAGS: &[&str] = &["</think>", "</thinking>"];
const ROLE_PREFIXES: &[&str] = &["assistant:", "agent:", "ai:", "bot:"];
const MAX_HEADING: usize = 6;
const MAX_LIST_DIGITS: usize = 2;
/// A longer link target is read as text, so that memory stays bounded.
const MAX_LINK_BYTES: usize = 512;
