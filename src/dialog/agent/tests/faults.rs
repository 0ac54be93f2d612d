//! Faulty files: each is told with its line and what is allowed.

use super::super::parse;

/// A good file; each case spoils one line of it.
const GOOD: &str = r#"name = "a-1"
greeting = "Hello."
system_prompt = "Be brief."
numbers = ["+12125550100"]
translations = { es = "a-1-es" }

[[routes]]
agent = "b"
key = "1"

[[routes]]
agent = "c"
key = "2"

[[answers]]
says = ["hours"]
say = "Nine to five."

[limits]
attempts = 3

[[tools]]
name = "find_order"
description = "Finds an order."
url = "https://api.example.com/{{ number }}"
outcomes = { 404 = "none" }
parameters = { type = "object", required = ["number"], properties = { number = { type = "string" } } }

[[forms]]
name = "service"
description = "Takes a request."
confirm = "{{ kind }} at {{ place }}. Right?"

[[forms.slots]]
name = "number"
kind = "id"
pattern = 'AB\d{4}'
label = "the number"
ask = "Which number?"
prefill = "customer.number"

[forms.slots.look_up]
tool = "find_order"
args = { number = "raw.number" }

[forms.slots.look_up.results.ok]
save_as = "order"

[forms.slots.look_up.results.none]
ask_again = ["number"]

[[forms.slots]]
name = "kind"
kind = "choice"
label = "the kind"
ask = "Which kind?"
choices = [{ value = "a" }, { value = "b" }]

[[forms.slots]]
name = "pin"
kind = "digits"
min = 4
max = 6
label = "the pin"
ask = "Your pin?"
when = "not customer"

[[forms.slots]]
name = "place"
kind = "text"
opening = true
label = "the place"
ask = "Where?"

[[forms.actions]]
tool = "lookup_customer"
args = { customer_number = "raw.number" }

[forms.actions.results.found]
say = "Hello, {{ result.name | title }}."
save_as = "customer"
then = "done"

[[forms]]
name = "other"
description = "Takes something else."

[[forms.slots]]
name = "date_of_birth"
kind = "date-of-birth"
label = "the date"
ask = "When?"

[line]
blocked = ["+1900*"]

[line.hours]
time_zone = "America/New_York"
open = ["mon-fri 09:00-17:00"]
holidays = ["12-25"]
then = "voicemail"

[line.menu]
say = "Press one."
keys = { 1 = "b" }
wait = "5s"

[line.queue]
rounds = 20
"#;

/// What is replaced, by what, the line of the fault, and what is said of it.
const CASES: &[(&str, &str, usize, &str)] = &[
    (
        "\"a-1\"",
        "\"A 1\"",
        1,
        "\"A 1\" is not a name: expected a-z, 0-9 and -",
    ),
    (
        "name = \"a-1\"",
        "name = \"a-1\"\nlanguage = \"fr\"",
        2,
        "\"fr\" is not a language agents speak: expected en or es",
    ),
    ("{ es =", "{ fr =", 5, "\"fr\" is not a language agents speak"),
    ("\"a-1-es\"", "\"../x\"", 5, "\"../x\" is not a name"),
    (
        "Be brief.",
        "Say {{ custmer.name }}.",
        3,
        "nothing is called custmer; there are: ",
    ),
    (
        "+12125550100",
        "212-555-0100",
        4,
        "\"212-555-0100\" is not a telephone number: expected + and country code",
    ),
    ("+12125550100", "+1 212 555 0100", 4, "is not a telephone number"),
    (
        "key = \"1\"",
        "key = \"x\"",
        9,
        "\"x\" is not a key that callers can press here: expected \"0\" to \"9\"",
    ),
    ("key = \"1\"", "key = \"12\"", 9, "is not a key"),
    ("key = \"2\"", "key = \"1\"", 11, "two routes have the key 1"),
    (
        "says = [\"hours\"]",
        "says = []",
        16,
        "says: expected at least one phrase",
    ),
    (
        "attempts = 3",
        "attempts = 0",
        20,
        "0 is out of bounds: expected 1 to 10 attempts",
    ),
    (
        "\"https://api",
        "\"ftp://api",
        25,
        "url: expected https:// or http:// at its beginning",
    ),
    ("404 =", "99 =", 26, "\"99\" is not an HTTP status"),
    (
        "name = \"find_order\"",
        "name = \"find order\"",
        23,
        "is not a tool's name",
    ),
    (
        "name = \"find_order\"",
        "name = \"service\"",
        22,
        "service is the name of a form already",
    ),
    (
        "name = \"find_order\"",
        "name = \"end_call\"",
        22,
        "end_call is the name of a tool of every agent already",
    ),
    (
        "name = \"service\"",
        "name = \"Service Request\"",
        30,
        "\"Service Request\" is not a name: expected a-z, 0-9 and _",
    ),
    (
        "name = \"service\"",
        "name = \"transfer_call\"",
        30,
        "a form cannot be called transfer_call",
    ),
    (
        "name = \"other\"",
        "name = \"service\"",
        84,
        "service is the name of a form already",
    ),
    (
        "{{ kind }} at",
        "{{ kin }} at",
        32,
        "form service: nothing is called kin; there are: caller, context, customer, kind, language",
    ),
    ("{{ kind }} at", "{{ kind } at", 32, "this text is not minijinja"),
    (
        "{{ kind }} at",
        "{{ date_of_birth }} at",
        32,
        "form service: nothing is called date_of_birth",
    ),
    ("{{ kind }} at", "{% if kind %} at", 32, "this text is not minijinja"),
    (
        "{{ kind }} at",
        "{{ kind | upper }} at",
        32,
        "there is no filter upper; there are: money, date",
    ),
    (
        "{{ kind }} at",
        "{% if kind %}{{ pin|upper }}{% endif %} at",
        32,
        "there is no filter upper",
    ),
    (
        "kind = \"id\"",
        "kind = \"colour\"",
        36,
        "unknown variant `colour`, expected one of `digits`, `id`",
    ),
    (
        "'AB\\d{4}'",
        "'AB('",
        34,
        "slot number: pattern \"AB(\": '(' means nothing",
    ),
    (
        "pattern = 'AB\\d{4}'\n",
        "",
        34,
        "slot number: pattern is missing for this kind",
    ),
    (
        "kind = \"id\"",
        "kind = \"phone\"",
        34,
        "slot number: pattern does not belong to this kind",
    ),
    ("ask = \"Which number?\"\n", "", 34, "missing field `ask`"),
    ("ask = \"Which number?\"", "ask = \" \"", 39, "this text is empty"),
    (
        "prefill = \"customer.number\"",
        "prefill = \"custmer.number\"",
        40,
        "nothing is called custmer",
    ),
    (
        "tool = \"find_order\"",
        "tool = \"find_ordr\"",
        43,
        "form service: there is no tool find_ordr; there are lookup_customer",
    ),
    (
        "{ number = \"raw.number\" }",
        "{ numbr = \"raw.number\" }",
        44,
        "form service: find_order takes no numbr; it takes: number",
    ),
    (
        "{ customer_number = \"raw.number\" }",
        "{ custmer = \"raw.number\" }",
        77,
        "form service: lookup_customer takes no custmer",
    ),
    (
        "\"order\"",
        "\"kind\"",
        46,
        "save_as: kind means something else already",
    ),
    (
        "look_up.results.none",
        "look_up.results.gone",
        49,
        "form service: find_order never answers gone; it answers: invalid, failed, ok, none",
    ),
    (
        "ask_again = [\"number\"]",
        "ask_again = [\"numbr\"]",
        49,
        "form service, none of find_order: ask_again: there is no slot numbr",
    ),
    (
        "name = \"kind\"",
        "name = \"number\"",
        53,
        "form service: there are two slots called number",
    ),
    (
        "name = \"kind\"",
        "name = \"raw\"",
        53,
        "a slot cannot be called raw, which means something else",
    ),
    (
        ", { value = \"b\" }",
        "",
        52,
        "slot kind: choices: expected two at least",
    ),
    (
        "value = \"b\"",
        "value = \"a\"",
        52,
        "slot kind: choices: there are two with the value \"a\"",
    ),
    (
        "min = 4",
        "min = 7",
        59,
        "slot pin: min = 7, max = 6: expected at least 1, min not above max",
    ),
    (
        "\"not customer\"",
        "\"not (customer\"",
        66,
        "this expression is not minijinja",
    ),
    (
        "label = \"the pin\"",
        "label = \"the pin\"\nopening = true",
        59,
        "slot pin: opening is for kind = \"text\" only",
    ),
    (
        "results.found",
        "results.fund",
        79,
        "form service: lookup_customer never answers fund; it answers: invalid, failed, found",
    ),
    (
        "\"done\"",
        "\"finish\"",
        82,
        "unknown variant `finish`, expected one of `continue`, `done`, `hand-over`, `end`",
    ),
    (
        "tool = \"lookup_customer\"",
        "tool = \"create_customer\"",
        77,
        "form service: create_customer takes no customer_number",
    ),
    (
        "tool = \"lookup_customer\"\nargs = { customer_number",
        "tool = \"create_customer\"\nargs = { phone",
        76,
        "form service: create_customer needs name, and it is not in args",
    ),
    (
        "tool = \"lookup_customer\"",
        "tool = \"transfer_call\"",
        76,
        "form service: transfer_call is the language model's; write then = \"hand-over\" in a result instead",
    ),
    (
        "description = \"Finds an order.\"",
        "description = \"Finds an order.\"\nmethod = \"POST\"",
        44,
        "form service: find_order changes something and needs the caller's yes: make it an action of a form with confirm, or write changes = false",
    ),
    (
        "ask = \"When?\"",
        "ask = \"When?\"\n[[forms.actions]]\ntool = \"create_customer\"\nargs = { name = \"'x'\" }\nresults = {}",
        94,
        "form other: create_customer changes something and needs the caller's yes: make it an action of a form with confirm",
    ),
    (
        "then = \"done\"",
        "than = \"done\"",
        82,
        "unknown field `than`, expected one of `say`",
    ),
    (
        "\"+1900*\"",
        "\"1900\"",
        95,
        "is nobody who could be blocked: expected a number, such as +12125550100, the beginning of one",
    ),
    (
        "America/New_York",
        "Eastern",
        98,
        "is not a time zone: expected an IANA name, such as America/New_York",
    ),
    ("America/New_York", "America/Gotham", 98, "is not a time zone"),
    ("America/New_York", "/etc/passwd", 98, "is not a time zone"),
    (
        "mon-fri 09:00-17:00",
        "weekdays 9-5",
        99,
        "is not an opening time: expected days (mon tue wed thu fri sat sun) and times",
    ),
    (
        "\"12-25\"",
        "\"Christmas\"",
        100,
        "is not a holiday: expected year-month-day",
    ),
    (
        "then = \"voicemail\"",
        "then = \"Voice mail\"",
        101,
        "leads nowhere: expected an agent's name, \"voicemail\", \"hand-over\" or \"end\"",
    ),
    (
        "keys = { 1 =",
        "keys = { 12 =",
        105,
        "is not a key of a telephone: expected 0 to 9",
    ),
    ("keys = { 1 = \"b\" }", "keys = {}", 105, "keys: expected at least one"),
    (
        "wait = \"5s\"",
        "wait = \"5\"",
        106,
        "expected a duration with a unit, 1s to 1m",
    ),
    (
        "rounds = 20",
        "rounds = 0",
        109,
        "0 is out of bounds: expected 1 to 100 rounds",
    ),
    (
        "rounds = 20",
        "round = 20",
        109,
        "unknown field `round`, expected `rounds` or `wait`",
    ),
];

#[test]
fn each_fault_is_told_with_its_line() {
    parse(GOOD, "x").unwrap_or_else(|error| panic!("the good file: {error}"));
    let asking = "description = \"Finds an order.\"\n";
    let by_post = GOOD.replacen(asking, &format!("{asking}method = \"POST\"\nchanges = false\n"), 1);
    parse(&by_post, "x").unwrap_or_else(|error| panic!("a look-up by POST: {error}"));
    let mut wrong = Vec::new();
    for (from, to, line, expected) in CASES {
        assert!(GOOD.contains(from), "{from}");
        let text = GOOD.replacen(from, to, 1);
        let message = match parse(&text, "x") {
            Ok(_) => "no fault".to_owned(),
            Err(error) => error.to_string(),
        };
        if !message.starts_with(&format!("x:{line}: ")) || !message.contains(expected) || message.contains('\n') {
            wrong.push(format!("{to}\n  expected x:{line}: {expected}\n  said     {message}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
