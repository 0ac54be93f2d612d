//! Texts with places to fill in, and conditions: minijinja, checked when the file is read.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::LazyLock;

use jiff::civil::Date;
use minijinja::{Environment, ErrorKind, State, UndefinedBehavior};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use crate::dialog::slot::{Language, Value};

/// What templates and conditions are rendered with.
pub type Context = minijinja::Value;

/// A text such as `"That is {{ member_id }}, is that right?"`.
#[derive(Clone, PartialEq, Eq)]
pub struct Template(Source);

/// A condition or a value, such as `"not customer"` or `"customer.phone"`.
#[derive(Clone, PartialEq, Eq)]
pub struct Expr(Source);

/// A part of a rendered text.
#[derive(Clone, PartialEq, Eq)]
pub enum Part {
    /// The operator's words.
    Own(String),
    /// What was said in the call, found by tools or known before: private perhaps.
    Filled(String),
}

impl Part {
    /// Whosever it is.
    pub fn text(&self) -> &str {
        match self {
            Self::Own(text) | Self::Filled(text) => text,
        }
    }
}

#[derive(Clone, PartialEq, Eq)]
struct Source {
    text: String,
    /// Byte in the file.
    at: usize,
}

impl Template {
    /// With its places filled in, on one line. What is not known is left out; a fault of the template in spite of the checks gives "".
    pub fn render(&self, context: &Context) -> String {
        let rendered = ENVIRONMENT.render_str(&self.0.text, context).unwrap_or_default();
        rendered.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// As [`Template::render`], with its line breaks and what was filled in told apart.
    pub fn render_parts(&self, context: &Context) -> Vec<Part> {
        let rendered = MARKED.render_str(&self.0.text, context).unwrap_or_default();
        let (first, rest) = rendered.split_once(OPEN).unwrap_or((&rendered, ""));
        let mut parts = vec![Part::Own(first.to_owned())];
        for filled in rest.split_terminator(OPEN) {
            let (value, own) = filled.split_once(CLOSE).unwrap_or((filled, ""));
            parts.extend([Part::Filled(value.to_owned()), Part::Own(own.to_owned())]);
        }
        parts
    }

    /// Whether there is nothing to fill in.
    pub fn is_fixed(&self) -> bool {
        !self.0.text.contains(['{', '}'])
    }

    /// As it stands in the file.
    pub fn source(&self) -> &str {
        &self.0.text
    }

    /// Where it stands in the file, and the names it uses.
    pub(super) fn names(&self) -> (usize, BTreeSet<String>) {
        let names = ENVIRONMENT
            .template_from_str(&self.0.text)
            .map(|template| template.undeclared_variables(false));
        (self.0.at, names.unwrap_or_default().into_iter().collect())
    }
}

impl Expr {
    /// Its value.
    pub fn eval(&self, context: &Context) -> minijinja::Value {
        let value = ENVIRONMENT
            .compile_expression(&self.0.text)
            .and_then(|compiled| compiled.eval(context));
        value.unwrap_or_default()
    }

    /// Whether it holds.
    pub fn holds(&self, context: &Context) -> bool {
        self.eval(context).is_true()
    }

    /// Where it stands in the file.
    pub(super) fn at(&self) -> usize {
        self.0.at
    }

    /// As [`Template::names`].
    pub(super) fn names(&self) -> (usize, BTreeSet<String>) {
        let names = ENVIRONMENT
            .compile_expression(&self.0.text)
            .map(|compiled| compiled.undeclared_variables(false));
        (self.0.at, names.unwrap_or_default().into_iter().collect())
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let source = Source::read(deserializer)?;
        known_filters(&source.text)?;
        let compiled = ENVIRONMENT.template_from_str(&source.text);
        let tried = compiled.and_then(|template| template.render(()));
        match tried.err().filter(|error| !depends_on_values(error)) {
            None => Ok(Self(source)),
            Some(error) => Err(fault("text", &error)),
        }
    }
}

impl<'de> Deserialize<'de> for Expr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let source = Source::read(deserializer)?;
        known_filters(&format!("{{{{{}}}}}", source.text))?;
        let compiled = ENVIRONMENT.compile_expression(&source.text);
        let tried = compiled.and_then(|expression| expression.eval(()));
        match tried.err().filter(|error| !depends_on_values(error)) {
            None => Ok(Self(source)),
            Some(error) => Err(fault("expression", &error)),
        }
    }
}

impl Source {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = Spanned::<String>::deserialize(deserializer)?;
        let at = read.span().start;
        let text = read.into_inner().trim().to_owned();
        if text.is_empty() {
            return Err(serde::de::Error::custom(
                "this text is empty: expected at least one sentence",
            ));
        }
        Ok(Self { text, at })
    }
}

/// Whether it may be well when all is known.
fn depends_on_values(error: &minijinja::Error) -> bool {
    !matches!(
        error.kind(),
        ErrorKind::SyntaxError
            | ErrorKind::UnknownFilter
            | ErrorKind::UnknownTest
            | ErrorKind::UnknownFunction
            | ErrorKind::TemplateNotFound
    )
}

/// A trial does not come to every branch, and a filter that is not there would leave the whole text out.
fn known_filters<E: serde::de::Error>(text: &str) -> Result<(), E> {
    let mut rest = text;
    while let Some(start) = rest.find("{{").into_iter().chain(rest.find("{%")).min() {
        let inside = &rest[start + 2..];
        let end = inside.find("}}").into_iter().chain(inside.find("%}")).min();
        let (code, after) = inside.split_at(end.unwrap_or(inside.len()));
        // Every second part stands in quotes.
        let plain: String = code.split(['"', '\'']).step_by(2).collect();
        for filter in plain.split('|').skip(1) {
            let name: &str = filter.split_whitespace().next().unwrap_or_default();
            let name = name
                .split(|c: char| !(c.is_alphanumeric() || c == '_'))
                .next()
                .unwrap_or_default();
            if !FILTERS.contains(&name) {
                let known = FILTERS.join(", ");
                return Err(E::custom(format!("there is no filter {name}; there are: {known}")));
            }
        }
        rest = after;
    }
    Ok(())
}

fn fault<E: serde::de::Error>(what: &str, error: &minijinja::Error) -> E {
    let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    E::custom(format!("this {what} is not minijinja: {detail}"))
}

/// As it stands in the file.
impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.text.fmt(f)
    }
}

/// As it stands in the file.
impl fmt::Debug for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.text.fmt(f)
    }
}

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(environment);

/// Writes marks around what is filled in.
static MARKED: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = environment();
    environment.set_formatter(|out, _, value| {
        let value = value.to_string().replace([OPEN, CLOSE], "");
        Ok(write!(out, "{OPEN}{value}{CLOSE}")?)
    });
    environment
});

/// For private use in Unicode: no text has them.
const OPEN: char = '\u{e000}';
const CLOSE: char = '\u{e001}';

fn environment() -> Environment<'static> {
    let mut environment = Environment::empty();
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    environment.add_filter("money", money);
    environment.add_filter("date", date);
    environment.add_filter("digits", digits);
    environment.add_filter("default", minijinja::filters::default);
    environment.add_filter("title", minijinja::filters::title);
    environment.add_filter("lower", minijinja::filters::lower);
    environment.add_filter("replace", minijinja::filters::replace);
    environment.add_test("defined", minijinja::tests::is_defined);
    environment
}

/// As they are added.
const FILTERS: &[&str] = &["money", "date", "digits", "default", "title", "lower", "replace"];

/// Cents as an amount: `{{ result.copay_cents | money }}`. What is no such number, from a tool of another make, is left out.
fn money(state: &State<'_, '_>, cents: &minijinja::Value) -> String {
    let cents = u64::try_from(cents.clone()).ok();
    cents.map_or_else(String::new, |cents| Value::Money(cents).speak(language(state)))
}

/// A day written `2026-03-15`.
fn date(state: &State<'_, '_>, day: &minijinja::Value) -> String {
    let day = plain(day);
    let parsed = day.parse::<Date>().map(Value::Date);
    parsed.map_or(day, |value| value.speak(language(state)))
}

/// A number to be read figure by figure, such as that of an order.
fn digits(state: &State<'_, '_>, number: &minijinja::Value) -> String {
    Value::Id(plain(number)).speak(language(state))
}

/// "" for what is not known.
fn plain(value: &minijinja::Value) -> String {
    if value.is_undefined() || value.is_none() {
        return String::new();
    }
    value.to_string()
}

fn language(state: &State<'_, '_>) -> Language {
    let code = state.lookup("language").unwrap_or_default();
    Language::of(code.as_str().unwrap_or_default())
}
