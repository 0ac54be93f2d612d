//! What an agent file may say of a tool, and what it is told when it says something else.

use super::*;

#[derive(Debug, Deserialize)]
struct File {
    tools: Vec<HttpToolSpec>,
}

const SMALLEST: &str = "name = \"find\"\ndescription = \"Finds.\"\nurl = \"https://a.example/m\"\n";

fn read(fields: &str) -> Result<HttpToolSpec, toml::de::Error> {
    let file: File = toml::from_str(&format!("[[tools]]\n{fields}"))?;
    Ok(file.tools.into_iter().next().expect("a tool"))
}

#[test]
fn the_example_in_the_documentation_is_good() {
    let text: String = include_str!("spec.rs")
        .lines()
        .skip_while(|line| *line != "//! ```toml")
        .skip(1)
        .take_while(|line| *line != "//! ```")
        .map(|line| line.trim_start_matches("//! ").to_owned() + "\n")
        .collect();
    let file: File = toml::from_str(&text).expect("a good example");
    let tool = &file.tools[0];
    assert_eq!((tool.method, tool.timeout), (Method::Get, Duration::from_secs(3)));
    assert_eq!(tool.outcome(404), Some("not_found"));
    assert_eq!(
        (tool.outcome(204), tool.outcome(500), tool.outcome(302)),
        (Some(OK), None, None)
    );
    assert_eq!(tool.headers["authorization"].expose(), "Bearer ${CRM_TOKEN}");
    assert!(!format!("{tool:?}").contains("CRM_TOKEN"), "headers may hold secrets");
}

#[test]
fn everything_but_three_fields_has_a_default() {
    let tool = read(SMALLEST).expect("the smallest tool");
    assert_eq!(
        (tool.method, tool.idempotent, tool.timeout),
        (Method::Get, true, Duration::from_secs(5))
    );
    assert_eq!(
        (tool.max_response, tool.body, tool.parameters),
        (64 << 10, None, no_parameters())
    );
    for (method, idempotent) in [
        ("HEAD", true),
        ("PUT", true),
        ("DELETE", true),
        ("POST", false),
        ("PATCH", false),
    ] {
        let tool = read(&format!("{SMALLEST}method = \"{method}\"\n")).expect("a good tool");
        assert_eq!((tool.method.name(), tool.idempotent), (method, idempotent));
    }
}

#[test]
fn faults_say_what_is_allowed() {
    let with = |line: &str| format!("{SMALLEST}{line}\n");
    let url = |url: &str| SMALLEST.replace("https://a.example/m", url);
    let long_name = "n".repeat(65);
    let cases = [
        (SMALLEST.replace("find", "find it"), "\"find it\" is not a tool's name"),
        (SMALLEST.replace("find", &long_name), "is not a tool's name"),
        (SMALLEST.replace("Finds.", " "), "this text is empty"),
        (url("ftp://a/"), "expected https:// or http://"),
        (url("https://{{ host }}/"), "the host must be literal"),
        (url("https://a.example{{ x }}"), "the host must be literal"),
        (url("https://a.example:{{ x }}/"), "the host must be literal"),
        (url("{{ base }}/m"), "expected https:// or http://"),
        (url("https://me:pw@a.example/"), "use headers"),
        (url("https:///m"), "https://"),
        (url("https://a/#x"), "have no place"),
        (url("https://a/{{ id }}"), "tool find: url: "),
        (url("https://a/{{ id"), "tool find: url: "),
        (url("https://a/b/../c"), "a part of the path is . or .."),
        (with("method = \"TRACE\""), "unknown variant `TRACE`"),
        (with("retries = 3"), "unknown field `retries`"),
        (with("timeout = \"31s\""), "such as 5s, at most 30s"),
        (with("timeout = \"0s\""), "such as 5s"),
        (with("timeout = \"5\""), "such as 5s"),
        (with("body = \"{}\""), "body: GET has none"),
        (
            with("method = \"POST\"\nbody = '{\"x\": \"{{ y }}\"}'"),
            "tool find: body: ",
        ),
        (with("headers = { Host = \"b\" }"), "set by tieline itself"),
        (with("headers = { \"a b\" = \"c\" }"), "is not a header's name"),
        (with("headers = { a = \"secret ${X\" }"), "has no closing brace"),
        (with("max_response = 0"), "expected 1 to 1048576 bytes"),
        (with("result = { plan = \"plan\" }"), "\"plan\" is not a JSON pointer"),
        (with("outcomes = { 99 = \"x\" }"), "expected 200 to 599"),
        (with("outcomes = { 404 = \"Not found\" }"), "is not an outcome"),
        (with("parameters = { type = \"string\" }"), "type = \"object\""),
        (
            with("parameters = { type = \"object\", required = 1 }"),
            "no JSON schema",
        ),
        (
            with("parameters = { type = \"object\", properties = { x = { \"$ref\" = \"https://a.example/s\" } } }"),
            "no JSON schema",
        ),
    ];
    for (fields, expected) in cases {
        let error = read(&fields).expect_err(&fields);
        assert!(error.message().contains(expected), "{fields}: {}", error.message());
        assert!(error.span().is_some(), "a place in the file");
        assert!(!error.message().contains("secret"), "{}", error.message());
    }
}

#[test]
fn variables_are_put_in_wherever_they_stand() {
    let lookup = |name: &str| (name != "NONE").then(|| format!("<{name}>"));
    let cases = [
        ("plain $5 {x}", Ok("plain $5 {x}")),
        ("Bearer ${A}", Ok("Bearer <A>")),
        ("${A}${B}-", Ok("<A><B>-")),
        ("${A} ${NONE}", Err("NONE")),
    ];
    for (text, expected) in cases {
        let resolved = resolve(text, &lookup);
        assert_eq!(resolved.as_deref().map_err(String::as_str), expected, "{text}");
    }
}

#[test]
fn a_result_is_what_its_pointers_name() {
    let tool = read(&format!(
        "{SMALLEST}result = {{ plan = \"/coverage/plan\", first = \"/list/0\", none = \"/no\" }}"
    ));
    let response = json!({"coverage": {"plan": "gold", "secret": 1}, "list": [{"a": 1}]});
    let data = tool
        .expect("a good tool")
        .data(response.as_object().expect("an object").clone());
    assert_eq!(Value::Object(data), json!({"plan": "gold", "first": {"a": 1}}));
}
