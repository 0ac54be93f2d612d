//! Runs the HTTP tools of an agent file.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use jsonschema::Validator;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Request, Response};
use serde_json::{Map, Value};

use super::spec::{HttpToolSpec, resolve};
use super::template::Template;
use super::{ToolCall, ToolResult};
use crate::privacy::egress::{Egress, Outlet, OutletError, Purpose, Redirects, Refused, innermost, refusal};

/// The tools of one agent, ready to run; shared by all its calls.
#[derive(Debug)]
pub struct HttpTools {
    tools: BTreeMap<String, Tool>,
}

/// Why the tools of an agent file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpToolsError {
    /// A header needs it.
    #[error("tool {tool}: the header {header} needs the environment variable {variable}, which is not set")]
    Variable {
        /// The tool's name.
        tool: String,
        /// The header's.
        header: String,
        /// The variable's.
        variable: String,
    },
    /// Not usable although each part is well formed.
    #[error("tool {tool}: {reason}")]
    Invalid {
        /// The tool's name.
        tool: String,
        /// What is wrong. Holds no secret.
        reason: String,
    },
}

impl HttpTools {
    /// `lookup` gives the environment's values, for `${NAME}` in headers. Tools connect only where `egress` lets them.
    pub fn new(
        specs: &[HttpToolSpec],
        lookup: impl Fn(&str) -> Option<String>,
        egress: &Egress,
    ) -> Result<Self, HttpToolsError> {
        let mut tools = BTreeMap::new();
        // Tools of one server share its connections.
        let mut outlets: BTreeMap<String, Outlet> = BTreeMap::new();
        for spec in specs {
            let base = spec
                .base()
                .ok_or_else(|| invalid(spec, "the URL begins with no host"))?;
            let outlet = match outlets.entry(base.to_string()) {
                Entry::Occupied(known) => known.get().clone(),
                Entry::Vacant(new) => {
                    let outlet = egress.outlet(Purpose::Tool, base.as_str(), Redirects::SamePlace, |client| {
                        client.connect_timeout(CONNECT_TIMEOUT)
                    });
                    let outlet = outlet.map_err(|error| invalid(spec, &error.to_string()))?;
                    new.insert(outlet).clone()
                }
            };
            let tool = Tool::new(spec, &lookup, outlet)?;
            if tools.insert(spec.name.clone(), tool).is_some() {
                return Err(invalid(spec, "there are two of this name"));
            }
        }
        Ok(Self { tools })
    }

    /// As they were declared, by name.
    pub fn specs(&self) -> impl Iterator<Item = &HttpToolSpec> {
        self.tools.values().map(|tool| &tool.spec)
    }

    /// `None` if there is no such tool. A tool that cannot be run, fails or is too slow gives [`ToolResult::FAILED`], and so does
    /// an answer whose status is neither declared nor 2xx. Takes no longer than the tool's timeout.
    pub async fn run(&self, call: &ToolCall) -> Option<ToolResult> {
        let tool = self.tools.get(&call.tool)?;
        let work = tool.run(call);
        let done = tokio::time::timeout(tool.spec.timeout, work).await;
        Some(done.unwrap_or(Err(Fault::TooSlow)).unwrap_or_else(|fault| {
            let name = &tool.spec.name;
            tracing::warn!(tool = name, %fault, "the tool {name} failed: {fault}");
            ToolResult::plain(ToolResult::FAILED)
        }))
    }
}

#[derive(Debug)]
struct Tool {
    spec: HttpToolSpec,
    outlet: Outlet,
    url: Template,
    body: Option<Template>,
    /// Values are marked as sensitive, so that Debug hides them.
    headers: HeaderMap,
    validator: Validator,
}

impl Tool {
    fn new(
        spec: &HttpToolSpec,
        lookup: &impl Fn(&str) -> Option<String>,
        outlet: Outlet,
    ) -> Result<Self, HttpToolsError> {
        let mut headers = HeaderMap::new();
        for (header, value) in &spec.headers {
            let value = resolve(value.expose(), lookup).map_err(|variable| HttpToolsError::Variable {
                tool: spec.name.clone(),
                header: header.clone(),
                variable,
            })?;
            let name = HeaderName::try_from(header).map_err(|_| invalid(spec, "a header has no good name"))?;
            let mut value = HeaderValue::try_from(value)
                .map_err(|_| invalid(spec, &format!("the value of the header {header} cannot be sent")))?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        if spec.method.writes() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let body = spec.body.as_deref().map(Template::json);
        Ok(Self {
            spec: spec.clone(),
            outlet,
            url: Template::url(&spec.url).map_err(|why| invalid(spec, &why))?,
            body: body.transpose().map_err(|why| invalid(spec, &why))?,
            headers,
            validator: jsonschema::validator_for(&spec.parameters)
                .map_err(|_| invalid(spec, "the parameters are no JSON schema"))?,
        })
    }

    async fn run(&self, call: &ToolCall) -> Result<ToolResult, Fault> {
        let request = self.request(call)?;
        let again = request.try_clone().filter(|_| self.spec.idempotent);
        match (self.attempt(request).await, again) {
            (Err(fault), Some(again)) if fault.may_pass() => self.attempt(again).await,
            (done, _) => done,
        }
    }

    fn request(&self, call: &ToolCall) -> Result<Request, Fault> {
        let args = Value::Object(call.args.clone());
        if let Err(error) = self.validator.validate(&args) {
            return Err(Fault::Arguments(error.schema_path().to_string()));
        }
        let url = self.url.render_url(&call.args).map_err(|_| Fault::Template)?;
        let method = match self.spec.method {
            super::spec::Method::Get => Method::GET,
            super::spec::Method::Head => Method::HEAD,
            super::spec::Method::Post => Method::POST,
            super::spec::Method::Put => Method::PUT,
            super::spec::Method::Patch => Method::PATCH,
            super::spec::Method::Delete => Method::DELETE,
        };
        let reads = method == Method::GET || method == Method::HEAD;
        let mut request = Request::new(method, url);
        request.headers_mut().clone_from(&self.headers);
        if !reads {
            let key = HeaderValue::try_from(&call.key).map_err(|_| Fault::Key)?;
            request.headers_mut().insert("idempotency-key", key);
        }
        if self.spec.method.writes() {
            let body = match &self.body {
                Some(template) => template.render_json(&call.args).map_err(|_| Fault::Template)?,
                None => args.to_string(),
            };
            *request.body_mut() = Some(body.into());
        }
        Ok(request)
    }

    async fn attempt(&self, request: Request) -> Result<ToolResult, Fault> {
        let response = self.outlet.execute(request)?.await.map_err(unreachable)?;
        let status = response.status();
        let Some(outcome) = self.spec.outcome(status.as_u16()).map(str::to_owned) else {
            return Err(Fault::Status(status.as_u16()));
        };
        // An error page is no data, but its status says enough.
        let data = match self.object(response).await {
            Ok(object) => self.spec.data(object),
            Err(_) if !status.is_success() => Map::new(),
            Err(fault) => return Err(fault),
        };
        Ok(ToolResult { outcome, data })
    }

    /// The body, which is a JSON object or nothing at all.
    async fn object(&self, mut response: Response) -> Result<Map<String, Value>, Fault> {
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(unreachable)? {
            if body.len() + part.len() > self.spec.max_response {
                return Err(Fault::TooLarge);
            }
            body.extend_from_slice(&part);
        }
        if body.trim_ascii().is_empty() {
            return Ok(Map::new());
        }
        serde_json::from_slice(&body).map_err(|_| Fault::NoObject)
    }
}

/// Why a tool has failed. Holds neither the arguments nor the answer, and of the URL the host at most.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Fault {
    #[error("the arguments do not fit the schema at {0}")]
    Arguments(String),
    #[error("the arguments do not fit into the URL's or the body's template")]
    Template,
    #[error("the call's key cannot be sent")]
    Key,
    #[error("{0}")]
    Refused(Refused),
    #[error("{0}")]
    Outlet(#[from] OutletError),
    #[error("no answer: {0}")]
    Unreachable(String),
    #[error("HTTP {0}")]
    Status(u16),
    #[error("the answer is larger than allowed")]
    TooLarge,
    #[error("the answer is no JSON object")]
    NoObject,
    #[error("it took too long")]
    TooSlow,
}

impl Fault {
    /// Another attempt may do better.
    fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Status(status) => *status >= 500 || *status == 429,
            Self::Arguments(_) | Self::Template | Self::Key | Self::Refused(_) | Self::Outlet(_) => false,
            Self::TooLarge | Self::NoObject | Self::TooSlow => false,
        }
    }
}

fn unreachable(error: reqwest::Error) -> Fault {
    if let Some(refused) = refusal(&error) {
        return Fault::Refused(refused.clone());
    }
    Fault::Unreachable(innermost(&error.without_url()))
}

fn invalid(spec: &HttpToolSpec, reason: &str) -> HttpToolsError {
    HttpToolsError::Invalid {
        tool: spec.name.clone(),
        reason: reason.to_owned(),
    }
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
