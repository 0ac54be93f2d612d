//! `docs/guide/endpoints.md` lists exactly the routes there are.

use std::collections::BTreeSet;
use std::path::Path;

use reqwest::Method;

use crate::support::{AUTH_TOKEN, Setup, TestServer, soon};

/// Method and path, as axum and the table write it.
type Endpoint = (String, String);

#[test]
fn every_route_is_in_the_table_and_the_other_way_round() {
    let (documented, routes) = (documented(), routes());
    for route in &routes {
        let rows: Vec<&Endpoint> = documented.iter().filter(|row| fits(&route.path, &row.1)).collect();
        assert!(!rows.is_empty(), "docs/guide/endpoints.md does not list {}", route.path);
        for method in &route.methods {
            assert!(
                rows.iter().any(|row| row.0 == *method),
                "docs/guide/endpoints.md does not list {method} {}",
                route.path
            );
        }
    }
    for (method, path) in &documented {
        let routed =
            |route: &&Route| fits(&route.path, path) && (route.methods.is_empty() || route.methods.contains(method));
        assert!(
            routes.iter().any(|route| routed(&route)),
            "docs/guide/endpoints.md lists {method} {path}, and there is no such route"
        );
    }
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

/// A route as the sources name it.
#[derive(Debug, PartialEq)]
struct Route {
    /// None if a function of its own makes the handler.
    methods: Vec<String>,
    /// `*` for what a `format!` puts in.
    path: String,
}

/// What the sources route: `.route("/path", post(…))`, also with a `format!`, and `#[utoipa::path(post, path = "/path", …)]`.
fn routes() -> Vec<Route> {
    let sources = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http"));
    sources.iter().flat_map(|text| routes_in(text)).collect()
}

fn routes_in(text: &str) -> Vec<Route> {
    let mut all = Vec::new();
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    for after in code.split(".route(").skip(1) {
        let after = after.trim_start();
        let formatted = after.strip_prefix("&format!(");
        let (path, rest) = string(formatted.unwrap_or(after))
            .unwrap_or_else(|| panic!("a route whose path cannot be read: {after:.60}"));
        // What catches all the rest is no endpoint.
        if path.contains("{*") || path.ends_with('/') {
            continue;
        }
        let path = if formatted.is_some() { with_stars(&path) } else { path };
        let handler = rest.trim_start_matches([')', ',', ' ', '\n']);
        let methods = methods(handler);
        all.push(Route { methods, path });
    }
    for after in code.split("utoipa::path(").skip(1) {
        let method = after.split(',').next().unwrap_or_default().trim().to_uppercase();
        let (_, path) = after.split_once("path = ").expect("a path");
        let (path, _) = string(path).expect("a literal path");
        all.push(Route {
            methods: vec![method],
            path,
        });
    }
    all
}

/// `/{name}/stream/{{call}}` as a format is `/*/stream/{call}` as a route.
fn with_stars(format: &str) -> String {
    let literal = format.replace("{{", "\u{1}").replace("}}", "\u{2}");
    let mut path = String::new();
    for part in literal.split('{') {
        match part.split_once('}') {
            Some((_, rest)) => path.extend(["*", rest]),
            None => path.push_str(part),
        }
    }
    path.replace('\u{1}', "{").replace('\u{2}', "}")
}

/// Whether a documented path is one of this route.
fn fits(route: &str, path: &str) -> bool {
    let (mut ours, mut theirs) = (route.split('/'), path.split('/'));
    loop {
        match (ours.next(), theirs.next()) {
            (None, None) => return true,
            (Some(our), Some(their)) if our == their || (our == "*" && !their.starts_with('{')) => {}
            _ => return false,
        }
    }
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
