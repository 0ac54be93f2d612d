//! `docs/guide/endpoints.md` lists exactly the routes there are.

use std::collections::BTreeSet;
use std::path::Path;

use reqwest::Method;

use crate::support::{AUTH_TOKEN, Setup, TestServer, soon};

/// Method and path, as axum and the table write it.
type Endpoint = (String, String);

#[test]
fn every_route_is_in_the_table_and_the_other_way_round() {
    let (documented, routed) = (documented(), routed());
    let missing: Vec<_> = routed.difference(&documented).collect();
    assert!(missing.is_empty(), "docs/guide/endpoints.md does not list {missing:?}");
    let invented: Vec<_> = documented.difference(&routed).collect();
    assert!(
        invented.is_empty(),
        "docs/guide/endpoints.md lists {invented:?}, and there is no such route"
    );
    assert!(documented.len() > 5, "{documented:?}");
}

/// The sources may lie about what the router has; the router does not.
#[tokio::test]
async fn every_documented_endpoint_answers() {
    let server = TestServer::start(Setup {
        auth_token: Some(AUTH_TOKEN),
        ..Setup::default()
    })
    .await;
    for (method, path) in documented() {
        let url = server.url(&path.replace(['{', '}'], ""));
        let method: Method = method.parse().expect("a method");
        let request = server.http.request(method.clone(), url);
        let answer = soon("an answer", request.send()).await.expect("an answer");
        let status = answer.status().as_u16();
        // A handler's own 404 says what was not found; the router's is empty.
        let told = !soon("the answer's end", answer.bytes())
            .await
            .expect("a body")
            .is_empty();
        assert!(status != 405 && (status != 404 || told), "{method} {path}: {status}");
    }
}

/// The first two cells of the table's rows: `| POST | `/voice/incoming` |`.
fn documented() -> BTreeSet<Endpoint> {
    let guide = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/guide/endpoints.md"));
    let rows = guide.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| ")?.split(" | ");
        let (method, path) = (cells.next()?.trim(), cells.next()?.trim());
        let path = path.strip_prefix('`')?.strip_suffix('`')?;
        path.starts_with('/').then(|| (method.to_owned(), path.to_owned()))
    });
    let mut all = BTreeSet::new();
    for row in rows {
        assert!(all.insert(row.clone()), "{row:?} is there twice");
    }
    all
}

/// What the sources route: `.route("/path", post(…))`, and `#[utoipa::path(post, path = "/path", …)]`.
fn routed() -> BTreeSet<Endpoint> {
    let mut all = BTreeSet::new();
    for text in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http")) {
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for after in code.split(".route(").skip(1) {
            let (path, rest) = string(after).unwrap_or_else(|| panic!("a route whose path is no literal: {after:.60}"));
            // What catches all the rest is no endpoint.
            if path.contains("{*") {
                continue;
            }
            let handler = rest.trim_start_matches([',', ' ', '\n']);
            let handlers = methods(handler.split(".route(").next().unwrap_or_default());
            assert!(!handlers.is_empty(), "{path} has no method: {handler:.60}");
            all.extend(handlers.into_iter().map(|method| (method, path.clone())));
        }
        for after in code.split("utoipa::path(").skip(1) {
            let method = after.split(',').next().unwrap_or_default().trim().to_uppercase();
            let (_, path) = after.split_once("path = ").expect("a path");
            let (path, _) = string(path).expect("a literal path");
            all.insert((method, path));
        }
    }
    all
}

/// The methods of a handler: `post(a)`, `get(a).post(b)`, `axum::routing::get(a)`.
fn methods(handler: &str) -> Vec<String> {
    // The handler ends with the line in which its brackets close.
    let mut depth = 0_i32;
    let end = handler.char_indices().find(|(_, c)| {
        depth += match c {
            '(' | '{' => 1,
            ')' | '}' => -1,
            _ => 0,
        };
        depth < 0
    });
    let handler = &handler[..end.map_or(handler.len(), |(at, _)| at)];
    let known = ["get", "post", "put", "patch", "delete"];
    let named = |method: &&str| {
        handler.match_indices(&format!("{method}(")).any(|(at, _)| {
            let before = handler[..at].chars().last();
            before.is_none_or(|c| c == '.' || c == ':')
        })
    };
    known.iter().copied().filter(named).map(str::to_uppercase).collect()
}

/// A string literal at the start, and what follows it.
fn string(text: &str) -> Option<(String, &str)> {
    let text = text.trim_start().strip_prefix('"')?;
    let (literal, rest) = text.split_once('"')?;
    Some((literal.to_owned(), rest))
}

fn sources(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("readable");
    let paths = entries.map(|entry| entry.expect("readable").path());
    paths
        .flat_map(|path| {
            if path.is_dir() {
                sources(&path)
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                vec![std::fs::read_to_string(&path).expect("readable")]
            } else {
                Vec::new()
            }
        })
        .collect()
}

#[test]
fn methods_are_read_from_handlers() {
    assert_eq!(methods("post(a::get_it)).layer(x)"), ["POST"]);
    assert_eq!(methods("get(a).post(b))"), ["GET", "POST"]);
    assert_eq!(
        methods("axum::routing::get(move || async move { Json(x) }))\n .with(post(z))"),
        ["GET"]
    );
}
