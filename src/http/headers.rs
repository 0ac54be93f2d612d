//! What every answer tells browsers and caches, unless its handler has said something else.

use axum::Router;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::map_response;
use axum::response::Response;

/// Adds them to all routes so far.
pub(super) fn guarded<S: Clone + Send + Sync + 'static>(routes: Router<S>) -> Router<S> {
    routes.layer(map_response(async |mut response: Response| {
        for (name, value) in ALWAYS {
            keep(&mut response, name, value);
        }
        response
    }))
}

/// Adds that browsers come back by https only: for a server that ends TLS itself.
pub(super) fn secured(routes: Router) -> Router {
    routes.layer(map_response(async |mut response: Response| {
        keep(&mut response, "strict-transport-security", HSTS);
        response
    }))
}

fn keep(response: &mut Response, name: &'static str, value: &'static str) {
    let entry = response.headers_mut().entry(HeaderName::from_static(name));
    entry.or_insert(HeaderValue::from_static(value));
}

const ALWAYS: [(&str, &str); 5] = [
    ("x-content-type-options", "nosniff"),
    // URLs hold ids of calls and records.
    ("referrer-policy", "no-referrer"),
    // What is no page of ours loads nothing, runs nothing, and is framed by nobody.
    (
        "content-security-policy",
        "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    ),
    // For browsers that know no frame-ancestors.
    ("x-frame-options", "DENY"),
    ("cache-control", "no-store"),
];
/// A year, as browsers' own lists ask for.
const HSTS: &str = "max-age=31536000";
