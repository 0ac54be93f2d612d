//! HTTP tools against a server that answers as told.

use std::io::Write;
use std::sync::{Arc, Mutex};

use serde::Deserialize;
use serde_json::{Value, json};
use tieline::dialog::tool::http::{HttpTools, HttpToolsError};
use tieline::dialog::tool::spec::HttpToolSpec;
use tieline::dialog::tool::{ToolCall, ToolResult};
use tieline::privacy::egress::Egress;

use crate::script::{Answer, Asked, Server, soon};

fn specs(fields: &str) -> Vec<HttpToolSpec> {
    #[derive(Deserialize)]
    struct File {
        tools: Vec<HttpToolSpec>,
    }
    let head = "[[tools]]\nname = \"find\"\ndescription = \"Finds.\"\n";
    let file: File = toml::from_str(&format!("{head}{fields}")).expect("a good tool");
    file.tools
}

fn tools(fields: &str) -> HttpTools {
    let lookup = |name: &str| (name == "TOKEN").then(|| "t0ken".to_owned());
    HttpTools::new(&specs(fields), lookup, &Egress::default()).expect("good tools")
}

fn call(args: Value) -> ToolCall {
    let Value::Object(args) = args else { panic!("an object") };
    ToolCall {
        tool: "find".to_owned(),
        args,
        key: "turn-7-find".to_owned(),
    }
}

async fn run(tools: &HttpTools, args: Value) -> ToolResult {
    soon(tools.run(&call(args))).await.expect("the tool")
}

/// One run of a tool at `url` with these answers; what came of it and what was asked.
async fn ran(fields: &str, answers: impl IntoIterator<Item = Answer>) -> (ToolResult, Vec<Asked>) {
    let server = Server::start(answers).await;
    let tools = tools(&format!("url = \"http://{}/m\"\n{fields}\n", server.address));
    (run(&tools, json!({})).await, server.asked())
}

fn result(outcome: &str, data: Value) -> ToolResult {
    let Value::Object(data) = data else { panic!("an object") };
    ToolResult {
        outcome: outcome.to_owned(),
        data,
    }
}

fn failed() -> ToolResult {
    ToolResult::plain(ToolResult::FAILED)
}

fn found() -> Answer {
    Answer::json(200, &json!({"plan": "gold", "more": {"left": 7}}))
}

#[tokio::test]
async fn a_lookup_asks_with_encoded_values_and_takes_what_its_pointers_name() {
    let server = Server::start([found()]).await;
    let tools = tools(&format!(
        r#"url = "http://{}/members/{{{{ id }}}}?on={{{{ on }}}}"
        headers = {{ Authorization = "Bearer ${{TOKEN}}", x-app = "tieline" }}
        result = {{ left = "/more/left", none = "/nothing" }}
        [tools.parameters]
        type = "object"
        required = ["id", "on"]
        properties.id = {{ type = "string" }}
        properties.on = {{ type = "string" }}"#,
        server.address
    ));
    let told = run(&tools, json!({"id": "../a b?c", "on": "1985-03-15&x=1"})).await;
    assert_eq!(told, result("ok", json!({"left": 7})));
    let asked = &server.asked()[0];
    let path = "/members/..%2Fa%20b%3Fc?on=1985-03-15%26x%3D1";
    assert_eq!(
        (asked.method.as_str(), asked.path.as_str(), asked.body.as_str()),
        ("GET", path, "")
    );
    assert_eq!(
        (asked.header("authorization"), asked.header("x-app")),
        (Some("Bearer t0ken"), Some("tieline"))
    );
    assert_eq!(asked.header("idempotency-key"), None);
    assert!(!format!("{tools:?}").contains("t0ken"), "secrets are hidden");
}

#[tokio::test]
async fn a_write_sends_its_arguments_and_its_key() {
    let parameters =
        "parameters = { type = \"object\", properties = { note = { type = \"string\" }, n = { type = \"integer\" } } }";
    let template = r#"body = '{"order": {"text": {{ note }}}, "by": "phone"}'"#;
    for (method, body, expected) in [
        ("POST", "", json!({"note": "a \"b\"", "n": 1})),
        ("PUT", "", json!({"note": "a \"b\"", "n": 1})),
        ("PATCH", template, json!({"order": {"text": "a \"b\""}, "by": "phone"})),
        ("DELETE", "", Value::Null),
    ] {
        let server = Server::start([Answer::json(201, &json!({"number": 5}))]).await;
        let tools = tools(&format!(
            "url = \"http://{}/orders\"\nmethod = \"{method}\"\n{body}\n{parameters}",
            server.address
        ));
        let told = run(&tools, json!({"note": "a \"b\"", "n": 1})).await;
        assert_eq!(told, result("ok", json!({"number": 5})));
        let asked = &server.asked()[0];
        assert_eq!(
            (asked.method.as_str(), asked.header("idempotency-key")),
            (method, Some("turn-7-find"))
        );
        if expected.is_null() {
            assert_eq!(asked.body, "");
        } else {
            assert_eq!(
                (asked.json(), asked.header("content-type")),
                (expected, Some("application/json"))
            );
        }
    }
}

#[tokio::test]
async fn arguments_that_do_not_fit_are_not_sent() {
    let server = Server::start([]).await;
    let tools = tools(&format!(
        r#"url = "http://{}/m/{{{{ id }}}}"
        [tools.parameters]
        type = "object"
        required = ["id"]
        additionalProperties = false
        properties.id = {{ type = "string", pattern = "^(MB[0-9]{{6}}|[.]*)$" }}"#,
        server.address
    ));
    for args in [
        json!({}),
        json!({"id": 7}),
        json!({"id": null}),
        json!({"id": "MB12"}),
        json!({"id": "MB123456", "more": 1}),
        json!({"id": ".."}),
        json!({"id": ""}),
    ] {
        assert_eq!(run(&tools, args).await, failed());
    }
    assert_eq!(server.asked().len(), 0);
    assert_eq!(
        soon(tools.run(&ToolCall {
            tool: "other".to_owned(),
            ..call(json!({}))
        }))
        .await,
        None
    );
}

#[tokio::test]
async fn the_status_gives_the_outcome() {
    let outcomes = "outcomes = { 404 = \"not_found\", 409 = \"taken\", 500 = \"down\", 201 = \"made\" }";
    let page = |status| Answer::new(status, "Content-Type: text/html\r\n", b"<h1>No</h1>");
    let cases = [
        (found(), result("ok", json!({"plan": "gold", "more": {"left": 7}}))),
        (Answer::json(201, &json!({})), result("made", json!({}))),
        (Answer::new(204, "", b""), result("ok", json!({}))),
        (page(404), result("not_found", json!({}))),
        (
            Answer::json(409, &json!({"by": "Ann"})),
            result("taken", json!({"by": "Ann"})),
        ),
        (Answer::json(500, &json!([])), result("down", json!({}))),
        (Answer::json(400, &json!({"why": "x"})), failed()),
        (Answer::json(401, &json!({})), failed()),
        // A success that tells nothing would be read out as one.
        (page(200), failed()),
        (Answer::json(200, &json!(["gold"])), failed()),
        (Answer::new(200, "Content-Length: 50\r\n", b"{\"plan\": "), failed()),
    ];
    for (answer, expected) in cases {
        let (told, asked) = ran(&format!("idempotent = false\n{outcomes}"), [answer]).await;
        assert_eq!(told, expected);
        assert_eq!(asked.len(), 1);
    }
}

#[tokio::test]
async fn only_what_may_be_done_twice_is_tried_twice() {
    let busy = || Answer::json(503, &json!({}));
    let broken = || Answer::new(200, "Content-Length: 50\r\n", b"{").then_reset();
    for (fields, fault, attempts) in [
        ("", busy(), 2),
        ("", broken(), 2),
        ("", Answer::hang_up(), 2),
        ("method = \"POST\"", Answer::hang_up(), 1),
        ("", Answer::json(429, &json!({})), 2),
        ("", Answer::json(404, &json!({})), 1),
        ("outcomes = { 503 = \"busy\" }", busy(), 1),
        ("idempotent = false", busy(), 1),
        ("method = \"DELETE\"", busy(), 2),
        ("method = \"PUT\"", busy(), 2),
        ("method = \"POST\"", busy(), 1),
        ("method = \"POST\"", broken(), 1),
        ("method = \"PATCH\"", busy(), 1),
        ("method = \"POST\"\nidempotent = true", busy(), 2),
    ] {
        let (told, asked) = ran(fields, [fault, found()]).await;
        assert_eq!(asked.len(), attempts, "{fields}");
        assert_eq!(told.outcome == "ok", attempts == 2, "{fields}");
        let keys: Vec<Option<&str>> = asked.iter().map(|asked| asked.header("idempotency-key")).collect();
        assert!(keys.iter().all(|key| *key == keys[0]), "the same act");
    }
    let (told, asked) = ran("", [busy(), busy(), found()]).await;
    assert_eq!((told, asked.len()), (failed(), 2));
}

#[tokio::test]
async fn a_slow_or_endless_answer_is_given_up() {
    for answer in [
        Answer::silence(),
        Answer::new(200, "Content-Length: 50\r\n", b"{").then_hold(),
        Answer::new(200, "", b"").then_repeat(" "),
    ] {
        let (told, asked) = ran("timeout = \"100ms\"\nmax_response = 1048576", [answer]).await;
        assert_eq!(told, failed());
        assert_eq!(asked.len(), 1, "the time is for all attempts together");
    }
}

#[tokio::test]
async fn a_large_answer_is_no_answer() {
    let sized = |size: usize| {
        let empty = json!({"a": ""}).to_string().len();
        Answer::json(200, &json!({"a": "x".repeat(size - empty)}))
    };
    for (fields, size, outcome) in [
        ("", 64 << 10, "ok"),
        ("", (64 << 10) + 1, "failed"),
        ("max_response = 100", 100, "ok"),
        ("max_response = 100", 101, "failed"),
    ] {
        let (told, asked) = ran(fields, [sized(size)]).await;
        assert_eq!((told.outcome.as_str(), asked.len()), (outcome, 1), "{fields} {size}");
    }
    let endless = Answer::new(200, "", b"{\"a\": \"").then_repeat(&"x".repeat(1_000));
    assert_eq!(ran("", [endless]).await.0, failed());
}

#[tokio::test]
async fn a_redirect_leads_to_the_same_place_or_nowhere() {
    let to = |url: &str| Answer::new(302, &format!("Location: {url}\r\nContent-Length: 0\r\n"), b"");
    let (told, asked) = ran("", [to("/other"), found()]).await;
    assert_eq!((told.outcome.as_str(), asked[1].path.as_str()), ("ok", "/other"));
    let elsewhere = Server::start([found(), found()]).await;
    let port = elsewhere.address.port();
    for url in [
        format!("http://127.0.0.1:{port}/m"),
        format!("http://localhost:{port}/m"),
        "file:///etc/passwd".to_owned(),
    ] {
        let (told, asked) = ran("headers = { a = \"${TOKEN}\" }", [to(&url)]).await;
        assert_eq!((told, asked.len()), (failed(), 1), "{url}");
    }
    assert_eq!(elsewhere.asked().len(), 0);
    let (told, _) = ran("outcomes = { 302 = \"moved\" }", [to("http://10.0.0.1/")]).await;
    assert_eq!(told, result("moved", json!({})));
    let (told, asked) = ran("", (0..20).map(|_| to("/m"))).await;
    assert_eq!(told, failed());
    assert!(asked.len() <= 4, "{}", asked.len());
}

#[tokio::test]
async fn plain_http_stays_at_home() {
    let server = Server::start([found()]).await;
    let tools_at = |url: &str| tools(&format!("url = \"{url}\"\ntimeout = \"2s\"\n"));
    let home = tools_at(&format!("http://localhost:{}/m", server.address.port()));
    assert_eq!(run(&home, json!({})).await.outcome, "ok", "a name that leads here");
    for url in [
        "http://8.8.8.8/",
        "http://169.254.169.254/latest",
        "http://[2001:db8::1]/",
    ] {
        assert_eq!(run(&tools_at(url), json!({})).await, failed());
    }
}

#[test]
fn what_the_environment_lacks_is_said_at_the_start() {
    let specs = specs("url = \"https://a.example/\"\nheaders = { authorization = \"Bearer ${CRM}\" }\n");
    let error = HttpTools::new(&specs, |_| None, &Egress::default()).expect_err("a missing variable");
    assert_eq!(
        error.to_string(),
        "tool find: the header authorization needs the environment variable CRM, which is not set"
    );
    let error = HttpTools::new(&specs, |_| Some("se\ncret".to_owned()), &Egress::default()).expect_err("no header");
    assert!(!format!("{error} {error:?}").contains("cret"), "{error}");
    let twice = [specs.clone(), specs].concat();
    let error = HttpTools::new(&twice, |_| Some("x".to_owned()), &Egress::default()).expect_err("two of one name");
    assert!(matches!(error, HttpToolsError::Invalid { .. }), "{error}");
}

#[tokio::test]
async fn a_failure_is_logged_without_its_contents() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let server = Server::start([Answer::json(400, &json!({"why": "hidden-answer"}))]).await;
    let tools = tools(&format!(
        r#"url = "http://{}/hidden-path?q={{{{ id }}}}"
        headers = {{ a = "${{TOKEN}}" }}
        [tools.parameters]
        type = "object"
        properties.id = {{ type = "string", maxLength = 20 }}"#,
        server.address
    ));
    for id in ["hidden-id", "hidden-id-which-is-too-long", ""] {
        assert_eq!(run(&tools, json!({"id": id})).await, failed());
    }
    let text = String::from_utf8(log.0.lock().expect("no panic under the lock").clone()).expect("text");
    for expected in ["the tool find failed: HTTP 400", "/properties/id/maxLength", "template"] {
        assert!(text.contains(expected), "{text}");
    }
    assert!(!text.contains("hidden") && !text.contains("t0ken"), "{text}");
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic under the lock").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
