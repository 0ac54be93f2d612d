//! Tool calls and texts, however they are streamed.

use futures_util::StreamExt as _;
use proptest::prelude::*;
use serde_json::{Value, json};
use tieline::config::{Llm, Secret};
use tieline::dialog::llm::{CallRequest, Delta, LlmClient, LlmError, Message, Prompt, ToolSpec};
use tieline::privacy::egress::Egress;

use crate::script::{Answer, Server, soon};

pub(crate) fn client(server: &Server) -> LlmClient {
    client_at(&format!("http://{}/v1", server.address))
}

pub(crate) fn client_at(url: &str) -> LlmClient {
    client_with(settings(url))
}

/// One that replaces what is private.
pub(crate) fn redacting(url: &str) -> LlmClient {
    client_with(Llm {
        redact: true,
        ..settings(url)
    })
}

fn settings(url: &str) -> Llm {
    Llm {
        base_url: Some(url.to_owned()),
        api_key: Some(Secret::new("sk-hidden")),
        model: "fake".to_owned(),
        temperature: 0.5,
        max_tokens: 50,
        redact: false,
    }
}

fn client_with(settings: Llm) -> LlmClient {
    LlmClient::new(&settings, &Egress::default())
        .expect("a client")
        .expect("an endpoint")
}

pub(crate) fn prompt() -> Prompt {
    Prompt {
        system: "Be brief.".to_owned(),
        messages: vec![Message::Caller("Hello?".to_owned())],
        tools: Vec::new(),
    }
}

pub(crate) async fn reply(client: &LlmClient) -> Vec<Result<Delta, LlmError>> {
    soon(client.reply(prompt()).collect()).await
}

/// What a client makes of one answer, without the first token's mark, which must be there once, at the start.
pub(crate) async fn read(answer: Answer) -> (Vec<Delta>, Option<LlmError>) {
    let server = Server::start([answer]).await;
    let mut items = reply(&client(&server)).await;
    let error = match items.pop() {
        Some(Err(error)) => Some(error),
        last => {
            items.extend(last);
            None
        }
    };
    let mut deltas: Vec<Delta> = items.into_iter().map(|item| item.expect("the error is last")).collect();
    if !deltas.is_empty() {
        assert_eq!(deltas.remove(0), Delta::FirstToken);
    }
    assert!(!deltas.contains(&Delta::FirstToken));
    (deltas, error)
}

pub(crate) fn chunk(delta: &Value, finish: &Value) -> String {
    let chunk = json!({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "fake",
                       "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
    format!("data: {chunk}\n\n")
}

/// A whole stream of these deltas.
pub(crate) fn stream(deltas: &[Value], finish: &str) -> String {
    let mut body: String = deltas.iter().map(|delta| chunk(delta, &Value::Null)).collect();
    body += &chunk(&json!({}), &finish.into());
    body + "data: [DONE]\n\n"
}

pub(crate) fn say(text: &str) -> Value {
    json!({ "role": "assistant", "content": text })
}

pub(crate) fn piece(index: impl Into<Value>, id: Option<&str>, name: Option<&str>, arguments: Option<&str>) -> Value {
    let mut function = serde_json::Map::new();
    function.extend(name.map(|name| ("name".to_owned(), name.into())));
    function.extend(arguments.map(|arguments| ("arguments".to_owned(), arguments.into())));
    let mut piece = json!({ "type": "function", "function": function });
    let index = index.into();
    if !index.is_null() {
        piece["index"] = index;
    }
    if let Some(id) = id {
        piece["id"] = id.into();
    }
    piece
}

pub(crate) fn one(piece: Value) -> Value {
    json!({ "content": null, "tool_calls": [piece] })
}

fn sentence(text: &str) -> Delta {
    Delta::Sentence(text.to_owned())
}

fn call(id: &str, name: &str, arguments: &str) -> Delta {
    Delta::Call(CallRequest {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
    })
}

const ARGS: &str = r#"{"id": "MB123456"}"#;

#[tokio::test]
async fn calls_are_put_together_however_they_are_cut() {
    let bytes = |index: Value, text: &str| -> Vec<Value> {
        let pieces = text
            .chars()
            .map(|c| one(piece(index.clone(), None, None, Some(&c.to_string()))));
        pieces.collect()
    };
    let null = || Value::Null;
    let usual = call("a", "find", ARGS);
    let cases: Vec<(&str, Vec<Value>, Vec<Delta>)> = vec![
        (
            "whole in one chunk",
            vec![one(piece(0, Some("a"), Some("find"), Some(ARGS)))],
            vec![usual.clone()],
        ),
        (
            "name in pieces, arguments byte by byte",
            [
                vec![
                    one(piece(0, Some("a"), Some("fi"), None)),
                    one(piece(0, None, Some("nd"), None)),
                ],
                bytes(0.into(), ARGS),
            ]
            .concat(),
            vec![usual.clone()],
        ),
        (
            "no index, name in pieces",
            [
                vec![
                    one(piece(null(), Some("a"), Some("fi"), Some(""))),
                    one(piece(null(), None, Some("nd"), Some(""))),
                ],
                bytes(null(), ARGS),
            ]
            .concat(),
            vec![usual.clone()],
        ),
        (
            "two interleaved by index, after text",
            vec![
                say("One moment. "),
                one(piece(0, Some("a"), Some("find"), Some(""))),
                one(piece(1, Some("b"), Some("tell"), Some("{\"x\""))),
                one(piece(0, None, None, Some("{\"id\": "))),
                one(piece(1, None, None, Some(": 1}"))),
                one(piece(0, None, None, Some("\"MB123456\"}"))),
            ],
            vec![sentence("One moment."), usual.clone(), call("b", "tell", "{\"x\": 1}")],
        ),
        (
            "text after a call is told before it",
            vec![
                one(piece(0, Some("a"), Some("find"), Some(ARGS))),
                say("Just a second."),
            ],
            vec![sentence("Just a second."), usual.clone()],
        ),
        (
            "several in one chunk, without index and id",
            vec![json!({"tool_calls": [
                piece(null(), None, Some("find"), Some("{}")),
                piece(null(), None, Some("find"), Some("")),
            ]})],
            vec![call("call_1", "find", "{}"), call("call_2", "find", "")],
        ),
        (
            "one after the other, without index and id",
            vec![
                one(piece(null(), None, Some("find"), Some("{}"))),
                one(piece(null(), None, Some("tell"), None)),
                one(piece(null(), None, None, Some("{\"x\": 1}"))),
            ],
            vec![call("call_1", "find", "{}"), call("call_2", "tell", "{\"x\": 1}")],
        ),
        (
            "all with index 0, told apart by id",
            vec![
                one(piece(0, Some("a"), Some("find"), Some("{}"))),
                one(piece(0, Some("b"), Some("tell"), Some("{\"x\""))),
                one(piece(0, Some("b"), None, Some(": 1}"))),
            ],
            vec![call("a", "find", "{}"), call("b", "tell", "{\"x\": 1}")],
        ),
        (
            "a new id and the whole name with every piece",
            vec![
                one(piece(0, Some("a"), Some("find"), Some("{\"id\": "))),
                one(piece(0, Some("a"), Some("find"), Some("\"MB1"))),
                one(piece(0, Some("c"), None, Some("23456\"}"))),
            ],
            vec![usual.clone()],
        ),
        (
            "empty and missing arguments, null everywhere",
            vec![
                one(json!({"index": 0, "id": null, "function": {"name": "a", "arguments": ""}})),
                one(json!({"index": 1, "id": "", "function": {"name": "b", "arguments": null}})),
                one(json!({"index": 2, "function": {"name": "c"}})),
                one(json!({"index": 2, "function": null})),
            ],
            vec![
                call("call_1", "a", ""),
                call("call_2", "b", ""),
                call("call_3", "c", ""),
            ],
        ),
        (
            "arguments as an object",
            vec![one(json!({"function": {"name": "a", "arguments": {"x": 1}}}))],
            vec![call("call_1", "a", "{\"x\":1}")],
        ),
        (
            "the old function_call",
            vec![
                json!({"function_call": {"name": "find", "arguments": ""}}),
                json!({"function_call": {"arguments": ARGS}}),
            ],
            vec![call("call_1", "find", ARGS)],
        ),
        (
            "arguments that are no JSON are not our business",
            vec![one(piece(0, Some("a"), Some("find"), Some("{id: MB")))],
            vec![call("a", "find", "{id: MB")],
        ),
        (
            "pieces of nothing",
            vec![
                one(piece(0, None, None, Some("{}"))),
                one(piece(null(), None, None, Some("{}"))),
            ],
            vec![],
        ),
    ];
    for (case, deltas, expected) in cases {
        for finish in ["tool_calls", "stop"] {
            let (told, error) = read(Answer::stream(&stream(&deltas, finish))).await;
            assert_eq!((told, error), (expected.clone(), None), "{case}, {finish}");
        }
    }
}

#[tokio::test]
async fn more_and_larger_calls_than_allowed_are_left_out() {
    let many: Vec<Value> = (0..9)
        .flat_map(|n| {
            let id = format!("id{n}");
            [
                one(piece(n, Some(&id), Some("find"), None)),
                one(piece(n, None, None, Some("{}"))),
            ]
        })
        .collect();
    let (told, _) = read(Answer::stream(&stream(&many, "tool_calls"))).await;
    let expected = ["id0", "id1", "id2", "id3"].map(|id| call(id, "find", "{}"));
    assert_eq!(told, expected);
    let long = "x".repeat(8 << 10);
    let large = [
        one(piece(0, Some("a"), Some(&"n".repeat(65)), Some("{}"))),
        one(piece(1, Some("b"), Some("find"), Some(&long))),
        one(piece(1, None, None, Some("x"))),
        one(piece(2, Some("c"), Some(&"n".repeat(64)), Some(&long))),
        one(piece(3, Some("d"), None, Some("{}"))),
    ];
    let (told, _) = read(Answer::stream(&stream(&large, "tool_calls"))).await;
    assert_eq!(told, [call("c", &"n".repeat(64), &long)]);
}

#[tokio::test]
async fn a_call_written_as_text_is_a_call_and_thoughts_are_silent() {
    let texts = [
        "<think>Hm. {\"a\": 1}</think>Let me ",
        "check. <tool",
        "_call>{\"name\": \"find\", \"argu",
        "ments\": {\"id\": 7}}</tool_call>",
    ];
    let (told, error) = read(Answer::stream(&stream(&texts.map(say), "stop"))).await;
    let expected = [sentence("Let me check."), call("call_1", "find", "{\"id\":7}")];
    assert_eq!((told, error), (expected.to_vec(), None));
    for text in [
        "```json\n{\"name\": \"find\", \"arguments\": {\"id\": 7}}\n```",
        "{\"name\": \"find\", \"arguments\": {\"id\": 7}}",
    ] {
        let (told, _) = read(Answer::stream(&stream(&[say(text)], "stop"))).await;
        assert_eq!(told, [call("call_1", "find", "{\"id\":7}")], "{text}");
    }
    let (told, _) = read(Answer::stream(&stream(&[say("{\"status\": \"ok\"}")], "stop"))).await;
    assert_eq!(told, []);
}

#[tokio::test]
async fn a_refusal_is_spoken() {
    let deltas = [json!({"refusal": "I cannot "}), json!({"refusal": "do that."})];
    let (told, error) = read(Answer::stream(&stream(&deltas, "stop"))).await;
    assert_eq!((told, error), (vec![sentence("I cannot do that.")], None));
}

#[tokio::test]
async fn a_stream_may_be_written_in_many_ways() {
    let body = stream(&[say("Hello there. How "), say("are you?")], "stop");
    let expected = vec![sentence("Hello there."), sentence("How are you?")];
    let usage = "data: {\"choices\": [], \"usage\": {\"total_tokens\": 7}}\n\n";
    let bodies = [
        body.clone(),
        body.replace("data: ", "data:"),
        body.replace('\n', "\r\n"),
        body.replace('\n', "\r"),
        body.replace("data: [DONE]\n\n", ""),
        body.replace("data: [DONE]\n\n", "").trim_end().to_owned(),
        body.replace("data: [DONE]", &format!("{usage}data: [DONE]")),
        format!(
            ": open\n\n{}",
            body.replace("data", ": ping\n\nevent: message\nid: 1\ndata")
        ),
        format!("{body}data: no JSON after the end\n\n"),
        body.replace("\"finish_reason\":null", "\"finish_reason\":\"\""),
    ];
    for body in bodies {
        let (told, error) = read(Answer::stream(&body)).await;
        assert_eq!((told, error), (expected.clone(), None), "{body}");
    }
    // Neither [DONE] nor the end of the connection, but a reason why it ended.
    let open = body.replace("data: [DONE]\n\n", "");
    assert_eq!(read(Answer::stream(&open).then_hold()).await, (expected.clone(), None));
    assert_eq!(read(Answer::stream(&open).then_reset()).await.0, expected);
}

#[tokio::test]
async fn the_conversation_with_its_tools_is_sent() {
    let server = Server::start([Answer::stream(&stream(
        &[one(piece(0, None, Some("find"), Some("{}")))],
        "stop",
    ))])
    .await;
    let asked = |id: &str, arguments: &str| CallRequest {
        id: id.to_owned(),
        name: "find".to_owned(),
        arguments: arguments.to_owned(),
    };
    let prompt = Prompt {
        system: "Be brief.".to_owned(),
        messages: vec![
            Message::Caller("My id is seven.".to_owned()),
            Message::Agent("Let me look.".to_owned()),
            Message::Calls(vec![asked("a", "{\"id\": 7}")]),
            Message::Result {
                id: "a".to_owned(),
                content: "{\"outcome\":\"not_found\"}".to_owned(),
            },
            Message::Calls(vec![asked("b", "{id")]),
            Message::Result {
                id: "b".to_owned(),
                content: "no".to_owned(),
            },
        ],
        tools: vec![ToolSpec {
            name: "find".to_owned(),
            description: "Finds a member.".to_owned(),
            parameters: json!({"type": "object", "properties": {"id": {"type": "integer"}}}),
        }],
    };
    let told: Vec<_> = soon(client(&server).reply(prompt).collect()).await;
    assert_eq!(told.last(), Some(&Ok(call("call_3", "find", "{}"))), "ids count on");
    let request = &server.asked()[0];
    assert_eq!(
        (request.method.as_str(), request.path.as_str()),
        ("POST", "/v1/chat/completions")
    );
    assert_eq!(request.header("authorization"), Some("Bearer sk-hidden"));
    let call = |id: &str, arguments: &str| json!([{"id": id, "type": "function", "function": {"name": "find", "arguments": arguments}}]);
    let expected = json!({
        "model": "fake", "temperature": 0.5, "stream": true, "max_tokens": 50,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "My id is seven."},
            {"role": "assistant", "content": "Let me look.", "tool_calls": call("a", "{\"id\": 7}")},
            {"role": "tool", "tool_call_id": "a", "content": "{\"outcome\":\"not_found\"}"},
            // What is no JSON would make the server's chat template fail.
            {"role": "assistant", "tool_calls": call("b", "{}")},
            {"role": "tool", "tool_call_id": "b", "content": "no"},
        ],
        "tools": [{"type": "function", "function": {"name": "find", "description": "Finds a member.",
                   "parameters": {"type": "object", "properties": {"id": {"type": "integer"}}}}}],
    });
    assert_eq!(request.json(), expected);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn it_does_not_matter_how_the_stream_is_cut(sizes in prop::collection::vec(1..200_usize, 1..30), returns in any::<bool>()) {
        let deltas = [
            say("Wäll, let me "), say("see. <think>x</think>One mo"), say("ment. {\"name\": \"tell\", \"arguments\": {}}"),
            one(piece(0, Some("a"), Some("fi"), None)), one(piece(0, None, Some("nd"), Some("{\"x\""))), one(piece(0, None, None, Some(": \"é\"}"))),
        ];
        let mut body = stream(&deltas, "tool_calls");
        if returns {
            body = body.replace('\n', "\r\n");
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (told, error) = runtime.block_on(read(Answer::stream(&body).cut(&sizes)));
        let expected = [
            sentence("Wäll,"), sentence("let me see."), sentence("One moment."),
            call("a", "find", "{\"x\": \"é\"}"), call("call_2", "tell", "{}"),
        ];
        prop_assert_eq!((told, error), (expected.to_vec(), None));
    }
}
