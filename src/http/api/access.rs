//! Who may do what. A route can be added only with the scope it needs, or by name as one that holds nothing of anybody's.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{Method, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::MethodRouter;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn, Paths};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, Required, Response as Documented, SecurityRequirement};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use super::idempotency;
use super::problem::{PROBLEM_JSON, Problem};
use crate::http::App;
use crate::http::refusals::{self, Knocking, Refusal};
use crate::store::{ApiKey, Denied, Scope};

/// The routes of the API, and the document that describes them.
pub(super) struct Routes {
    router: OpenApiRouter<Arc<App>>,
    app: Arc<App>,
}

impl Routes {
    pub(super) fn new(app: Arc<App>, document: OpenApi) -> Self {
        Self {
            router: OpenApiRouter::with_openapi(document),
            app,
        }
    }

    /// Adds routes for keys with `scope`; their POSTs may be repeated under an `Idempotency-Key`.
    pub(super) fn needs(self, scope: Scope, routes: UtoipaMethodRouter<Arc<App>>) -> Self {
        let guarded = self.guarded(scope, routes);
        self.add(guarded)
    }

    /// The same for two methods of one path, each with a scope of its own.
    pub(super) fn needs_each(
        self,
        (scope, routes): (Scope, UtoipaMethodRouter<Arc<App>>),
        (other_scope, others): (Scope, UtoipaMethodRouter<Arc<App>>),
    ) -> Self {
        let (mut schemas, mut paths, methods) = self.guarded(scope, routes);
        let (other_schemas, other_paths, other_methods) = self.guarded(other_scope, others);
        schemas.extend(other_schemas);
        paths.merge(other_paths);
        self.add((schemas, paths, methods.merge(other_methods)))
    }

    fn guarded(
        &self,
        scope: Scope,
        (schemas, mut paths, methods): UtoipaMethodRouter<Arc<App>>,
    ) -> UtoipaMethodRouter<Arc<App>> {
        operations(&mut paths, |method, operation| document(operation, scope, method));
        let door = Door {
            app: Arc::clone(&self.app),
            scope,
        };
        let methods = methods
            .layer(from_fn_with_state(Arc::clone(&self.app), idempotency::repeat))
            .layer(from_fn_with_state(door, authorise));
        (schemas, paths, methods)
    }

    /// Adds routes for everybody. Only for what is the same on every server.
    pub(super) fn open(self, (schemas, mut paths, methods): UtoipaMethodRouter<Arc<App>>) -> Self {
        operations(&mut paths, |_, operation| {
            problem_of(operation, "429", "Too many requests of this address");
        });
        self.add((schemas, paths, methods))
    }

    fn add(self, (schemas, paths, methods): UtoipaMethodRouter<Arc<App>>) -> Self {
        let methods: MethodRouter<Arc<App>> = methods
            .fallback(async || Problem::method())
            .layer(from_fn_with_state(Arc::clone(&self.app), bound));
        Self {
            router: self.router.routes((schemas, paths, methods)),
            app: self.app,
        }
    }

    pub(super) fn split(self) -> (axum::Router<Arc<App>>, OpenApi) {
        self.router.split_for_parts()
    }
}

/// Whoever asks, with a good key.
#[derive(Debug, Clone)]
pub(super) struct Principal {
    pub(super) key: Arc<ApiKey>,
    /// The address that asks, for the audit trail.
    pub(super) origin: Arc<str>,
}

impl Principal {
    pub(super) fn may(&self, scope: Scope) -> bool {
        self.key.may(scope)
    }
}

impl<S: Sync> FromRequestParts<S> for Principal {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // Not there on an open route: then nobody may do what needs one.
        let found = parts.extensions.get::<Self>().cloned();
        found.ok_or_else(|| Problem::unauthorised("No API key was sent"))
    }
}

/// What a route is guarded with.
#[derive(Clone)]
struct Door {
    app: Arc<App>,
    scope: Scope,
}

/// Lets a request through whose key is good and has the scope.
async fn authorise(State(door): State<Door>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    match principal(&door, &parts).await {
        Ok(principal) => {
            parts.extensions.insert(principal);
            next.run(Request::from_parts(parts, body)).await
        }
        Err(problem) => problem.into_response(),
    }
}

async fn principal(door: &Door, request: &Parts) -> Result<Principal, Problem> {
    let Some(given) = request.headers.get(header::AUTHORIZATION) else {
        return Err(Problem::unauthorised("No API key was sent"));
    };
    let given = given.to_str().ok().and_then(|value| value.split_once(' '));
    let Some((_, key)) = given.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")) else {
        return Err(Problem::unauthorised("The header Authorization holds no bearer key"));
    };
    let store = super::store(&door.app)?;
    let origin = origin(door, request);
    let key = match store.authenticate(key.trim(), &origin).await? {
        Ok(key) => key,
        Err(denied) => {
            tracing::warn!(%denied, "an API request was refused: {denied}");
            refuse_login(door, key.trim(), denied, &origin).await;
            return Err(Problem::unauthorised(&format!("Refused: {denied}")));
        }
    };
    door.app.api.limits.key(&key.id)?;
    if !key.may(door.scope) {
        tracing::warn!(key = key.id, scope = %door.scope, "API key {} lacks the scope {}", key.id, door.scope);
        refuse_access(door, &key, request, &origin).await;
        return Err(Problem::forbidden(door.scope.name()));
    }
    let key = Arc::new(key);
    Ok(Principal { key, origin })
}

/// Who asks, by address; behind a proxy of ours, whom that names.
fn origin(door: &Door, request: &Parts) -> Arc<str> {
    let peer = request.extensions.get::<ConnectInfo<SocketAddr>>();
    let client = peer.map(|ConnectInfo(peer)| door.app.api.limits.client(*peer, &request.headers));
    client.map_or_else(|| "".into(), |client| client.to_string().into())
}

/// Writes down that a key was not good. Its id is told only where its secret was the right one: anything else may be anything.
async fn refuse_login(door: &Door, key: &str, denied: Denied, origin: &str) {
    let id = match denied {
        Denied::Unknown => "",
        Denied::Expired | Denied::Revoked => key.split('_').nth(1).unwrap_or_default(),
    };
    let refusal = Refusal {
        actor: "nobody",
        action: "api-login",
        subject: id,
        detail: &denied.to_string(),
        origin,
    };
    refusals::of_api(&door.app, Knocking::Stranger, refusal).await;
}

/// Writes down that a good key was used for what it is not good for.
async fn refuse_access(door: &Door, key: &ApiKey, request: &Parts, origin: &str) {
    // The route's pattern: a path may name a customer.
    let route = request.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let refusal = Refusal {
        actor: &key.actor(),
        action: "api-access",
        subject: &key.id,
        detail: &format!("lacks {}: {} {route}", door.scope, request.method),
        origin,
    };
    refusals::of_api(&door.app, Knocking::Known, refusal).await;
}

/// What holds for every request: how many, and how long one may take.
async fn bound(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    if let Err(problem) = app.api.limits.address(peer, request.headers()) {
        return problem.into_response();
    }
    let answer = tokio::time::timeout(TIME_LIMIT, next.run(request)).await;
    answer.unwrap_or_else(|_| Problem::timeout().into_response())
}

/// Each operation of some paths, with its method.
fn operations(paths: &mut Paths, mut change: impl FnMut(Method, &mut Operation)) {
    for item in paths.paths.values_mut() {
        for (method, operation) in [
            (Method::GET, &mut item.get),
            (Method::POST, &mut item.post),
            (Method::PATCH, &mut item.patch),
            (Method::PUT, &mut item.put),
            (Method::DELETE, &mut item.delete),
        ] {
            if let Some(operation) = operation {
                change(method, operation);
            }
        }
    }
}

/// What every guarded operation has in common.
fn document(operation: &mut Operation, scope: Scope, method: Method) {
    operation.security = Some(vec![SecurityRequirement::new("key", [scope.name()])]);
    let needs = format!("Needs the scope `{scope}`.");
    let described = operation.description.take().unwrap_or_default();
    operation.description = Some(format!("{described}\n\n{needs}").trim().to_owned());
    problem_of(
        operation,
        "400",
        "A parameter or header cannot be read, or the body is not JSON",
    );
    problem_of(operation, "401", "No key, or one that is not good");
    problem_of(operation, "403", "The key has other scopes");
    problem_of(operation, "429", "Too many requests of this key or address");
    problem_of(operation, "503", "Not possible now; nothing was done");
    problem_of(operation, "504", "Not ready in time");
    if method == Method::POST || method == Method::PATCH {
        problem_of(operation, "413", "The body is too large");
        problem_of(operation, "415", "The body is not JSON");
        problem_of(operation, "422", "A field does not do");
    }
    if method == Method::POST {
        problem_of(
            operation,
            "409",
            "Not possible in the present state, or the same request is being answered",
        );
        let key = ParameterBuilder::new()
            .name(idempotency::HEADER)
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some(
                "Chosen by the client. A repeated request with the same key is answered as the first one was, for a day, and \
                 does nothing again.",
            ))
            .schema(Some(
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .pattern(Some("^[!-~]{1,200}$"))
                    .build(),
            ))
            .build();
        operation.parameters.get_or_insert_default().push(RefOr::T(key));
    }
}

/// Documents a problem, unless the operation says itself what the status means.
fn problem_of(operation: &mut Operation, status: &str, description: &str) {
    let responses = &mut operation.responses.responses;
    if responses.contains_key(status) {
        return;
    }
    let mut documented = Documented::new(description);
    documented.content.insert(
        PROBLEM_JSON.to_owned(),
        RefOr::T(Content::new(Some(RefOr::<utoipa::openapi::Schema>::Ref(
            Ref::from_schema_name("Problem"),
        )))),
    );
    if status == "429" {
        let seconds = HeaderBuilder::new()
            .schema(Some(ObjectBuilder::new().schema_type(Type::Integer).build()))
            .description(Some("Seconds to wait"))
            .build();
        documented.headers.insert("Retry-After".to_owned(), RefOr::T(seconds));
    }
    responses.insert(status.to_owned(), RefOr::T(documented));
}

/// Longer than placing a call takes with the carrier's second and third try.
const TIME_LIMIT: Duration = Duration::from_secs(30);
