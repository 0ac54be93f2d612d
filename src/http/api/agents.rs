//! `/api/agents`: who answers.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::access::Routes;
use super::extract::Id;
use super::problem::Problem;
use crate::dialog::agent::Agent;
use crate::http::App;
use crate::store::Scope;

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .needs(Scope::Read, routes!(list))
        .needs(Scope::Read, routes!(get))
}

/// An agent in brief.
#[derive(Serialize, ToSchema)]
pub(super) struct AgentSummary {
    /// Its file's name.
    name: String,
    /// What it speaks: `en`, `es` …
    language: String,
    /// Whether it answers where nothing says otherwise.
    default: bool,
    /// Numbers at which it answers.
    numbers: Vec<String>,
    /// The forms it fills in.
    forms: Vec<String>,
}

/// All agents of this server.
#[derive(Serialize, ToSchema)]
pub(super) struct AgentList {
    items: Vec<AgentSummary>,
}

/// An agent, as its file describes it.
#[derive(Serialize, ToSchema)]
pub(super) struct AgentView {
    /// Its file's name.
    name: String,
    /// What it speaks.
    language: String,
    /// Whether it answers where nothing says otherwise.
    default: bool,
    /// Numbers at which it answers.
    numbers: Vec<String>,
    /// Spoken before the greeting; empty for nothing.
    notice: String,
    /// Spoken first.
    greeting: String,
    /// What the LLM is told.
    system_prompt: String,
    /// The forms it fills in.
    forms: Vec<FormView>,
    /// Other agents it connects to.
    routes: Vec<String>,
    /// Its tools that are called over HTTP.
    http_tools: Vec<String>,
}

/// A form.
#[derive(Serialize, ToSchema)]
pub(super) struct FormView {
    name: String,
    /// What it asks for, in order.
    slots: Vec<String>,
}

impl AgentView {
    fn new(agent: &Agent, default: bool) -> Self {
        let form = |form: &crate::dialog::agent::Form| FormView {
            name: form.name.clone(),
            slots: form.slots.iter().map(|slot| slot.name.clone()).collect(),
        };
        Self {
            name: agent.name.clone(),
            language: agent.language.code().to_owned(),
            default,
            numbers: agent.numbers.clone(),
            notice: agent.notice.clone(),
            greeting: agent.greeting.clone(),
            system_prompt: agent.system_prompt.source().to_owned(),
            forms: agent.forms.iter().map(form).collect(),
            routes: agent.routes.iter().map(|route| route.agent.clone()).collect(),
            http_tools: agent.tools.iter().map(|tool| tool.name.clone()).collect(),
        }
    }
}

/// List agents
#[utoipa::path(get, path = "/api/agents", tag = "agents", operation_id = "list_agents",
    responses((status = 200, body = AgentList, description = "All agents of this server")))]
async fn list(State(app): State<Arc<App>>) -> Json<AgentList> {
    let agents = Arc::clone(&app.services.staff.borrow().agents);
    let default = &agents.default().name;
    let items = agents.iter().map(|agent| AgentSummary {
        name: agent.name.clone(),
        language: agent.language.code().to_owned(),
        default: agent.name == *default,
        numbers: agent.numbers.clone(),
        forms: agent.forms.iter().map(|form| form.name.clone()).collect(),
    });
    Json(AgentList { items: items.collect() })
}

/// Get an agent
#[utoipa::path(get, path = "/api/agents/{name}", tag = "agents", operation_id = "get_agent",
    params(("name" = String, Path, example = "front-desk", pattern = "^[A-Za-z0-9_-]{1,64}$", description = "The agent's name")),
    responses((status = 200, body = AgentView, description = "The agent"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "There is no such agent")))]
async fn get(State(app): State<Arc<App>>, Id(name): Id) -> Result<Json<AgentView>, Problem> {
    let agents = Arc::clone(&app.services.staff.borrow().agents);
    let agent = agents.get(&name).ok_or_else(|| Problem::not_found("agent"))?;
    Ok(Json(AgentView::new(agent, agent.name == agents.default().name)))
}
