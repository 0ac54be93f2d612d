//! `/api/openapi.json`: the API as its code describes it, and `/api/docs` to read it, with nothing fetched from elsewhere.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, License, OpenApi, OpenApiBuilder};
use utoipa::{PartialSchema as _, ToSchema as _};
use utoipa_axum::routes;

use super::access::Routes;
use super::problem::Problem;
use crate::http::App;

pub(super) fn routes(routes: Routes) -> Routes {
    routes.open(routes!(document)).open(routes!(viewer))
}

/// The document without its paths.
pub(super) fn frame() -> OpenApi {
    let key = Http::builder()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("tl_<id>_<secret>")
        .description(Some(
            "A key of `tieline keys create`. Its scopes: `read` (calls and agents, without what was said and with numbers \
             masked), `operate` (place and control calls), `admin` (keys; includes read and operate), `phi` (names, numbers, \
             transcripts, records), `audit` (the audit trail), `break-glass` (take `phi` for a while); the last three are included in nothing.",
        ))
        .build();
    let components = ComponentsBuilder::new()
        .schema(Problem::name(), Problem::schema())
        .security_scheme("key", SecurityScheme::Http(key))
        .build();
    let info = InfoBuilder::new()
        .title("tieline")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Calls, agents and records of a tieline server. Times are UTC, RFC 3339. Lists are paged: ask again with \
             `next_cursor`. Errors are `application/problem+json` (RFC 9457) and name the field and the remedy.",
        ))
        .license(Some(
            License::builder()
                .name("GPL-3.0-or-later")
                .identifier(Some("GPL-3.0-or-later"))
                .build(),
        ))
        .build();
    OpenApiBuilder::new().info(info).components(Some(components)).build()
}

/// This document
#[utoipa::path(get, path = "/api/openapi.json", tag = "documentation", operation_id = "openapi",
    responses((status = 200, body = Object, description = "OpenAPI 3.1")), security(()))]
async fn document(State(app): State<Arc<App>>) -> Response {
    let document = app.api.document.get().cloned().unwrap_or_default();
    ([(header::CONTENT_TYPE, "application/json")], document).into_response()
}

/// A page that shows it
#[utoipa::path(get, path = "/api/docs", tag = "documentation", operation_id = "docs",
    responses((status = 200, body = String, content_type = "text/html", description = "A page to read")), security(()))]
async fn viewer() -> Response {
    ([(header::CONTENT_SECURITY_POLICY, POLICY)], Html(VIEWER)).into_response()
}

const VIEWER: &str = include_str!("viewer.html");
/// The page is one file and asks this server only; nobody may frame it, as a key may be typed into it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; \
     frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
