//! `/api/task-orders`: what is to be done for whom.

#![expect(unused_qualifications, reason = "utoipa writes the path of the query's type in full")]

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::access::{Principal, Routes};
use super::audit::{self, Act};
use super::customers::short;
use super::extract::{Body, Id, Query};
use super::idempotency::ActKey;
use super::problem::Problem;
use super::{page, store};
use crate::http::App;
use crate::store::{NewTaskOrder, OrderFilter, Record, Scope, TaskOrder};

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .needs(Scope::Phi, routes!(list, create))
        .needs(Scope::Phi, routes!(get, change))
}

/// Work that was ordered.
#[derive(Serialize, ToSchema)]
pub(super) struct OrderView {
    order_number: String,
    customer_number: String,
    /// As the agent file names it.
    service_type: String,
    /// In the caller's words.
    description: String,
    /// Where to go.
    location: String,
    /// As the agent file names it.
    urgency: String,
    /// How far it has come: `open` at first.
    status: String,
    /// The call it came from, if any.
    call_sid: Option<String>,
    created_at: Timestamp,
}

impl From<TaskOrder> for OrderView {
    fn from(order: TaskOrder) -> Self {
        Self {
            order_number: order.order_number,
            customer_number: order.customer_number,
            service_type: order.service_type,
            description: order.description,
            location: order.location,
            urgency: order.urgency,
            status: order.status,
            call_sid: order.call_sid,
            created_at: order.created_at,
        }
    }
}

/// A page of task orders, the newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct OrderList {
    items: Vec<OrderView>,
    /// Ask with it for the next page; null on the last.
    next_cursor: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct OrderQuery {
    /// Of this customer.
    #[param(nullable = false, min_length = 1, max_length = 200, pattern = "^[A-Za-z0-9-]+$")]
    customer_number: Option<String>,
    /// In this state.
    #[param(inline, nullable = false)]
    status: Option<OrderStatus>,
    /// Of this call.
    #[param(nullable = false, min_length = 1, max_length = 200, pattern = "^[A-Za-z0-9_:-]+$")]
    call_sid: Option<String>,
    /// Items of one page.
    #[param(minimum = 1, maximum = 200, default = 50, nullable = false)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(nullable = false)]
    cursor: Option<String>,
}

/// How far an order has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum OrderStatus {
    /// Nobody has begun.
    Open,
    /// Somebody will come.
    Scheduled,
    /// It is finished.
    Done,
    /// It will not be done.
    Cancelled,
}

impl OrderStatus {
    const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Scheduled => "scheduled",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
        }
    }
}

/// An order to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OrderRequest {
    /// Must be a customer's.
    #[schema(min_length = 1, max_length = 500)]
    customer_number: String,
    #[schema(min_length = 1, max_length = 500)]
    service_type: String,
    #[schema(min_length = 1, max_length = 500)]
    description: String,
    #[schema(min_length = 1, max_length = 500)]
    location: String,
    #[schema(min_length = 1, max_length = 500)]
    urgency: String,
}

/// What is to become of an order.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OrderPatch {
    status: OrderStatus,
}

/// List task orders
#[utoipa::path(get, path = "/api/task-orders", tag = "task orders", operation_id = "list_task_orders", params(OrderQuery),
    responses((status = 200, body = OrderList, description = "A page of task orders, the newest first")))]
async fn list(
    State(app): State<Arc<App>>,
    principal: Principal,
    Query(query): Query<OrderQuery>,
) -> Result<Json<OrderList>, Problem> {
    let (limit, after) = page::bounds(query.limit, query.cursor.as_deref())?;
    let filter = OrderFilter {
        customer_number: page::word("customer_number", query.customer_number)?,
        status: query.status.map(|status| status.name().to_owned()),
        call_sid: page::word("call_sid", query.call_sid)?,
    };
    let store = store(&app)?;
    audit::note(store, &principal, Act::Read, "task orders", None).await?;
    let found = store.list_task_orders(&filter, after.as_ref(), limit).await?;
    Ok(Json(OrderList {
        items: found.items.into_iter().map(Into::into).collect(),
        next_cursor: found.next.as_ref().map(page::encode),
    }))
}

/// Create a task order
///
/// Each request makes an order, unless it repeats one by its `Idempotency-Key`.
#[utoipa::path(post, path = "/api/task-orders", tag = "task orders", operation_id = "create_task_order", request_body = OrderRequest,
    responses((status = 201, body = OrderView, description = "The order")))]
async fn create(
    State(app): State<Arc<App>>,
    principal: Principal,
    ActKey(act): ActKey,
    Body(request): Body<OrderRequest>,
) -> Result<(StatusCode, Json<OrderView>), Problem> {
    let store = store(&app)?;
    let new = NewTaskOrder {
        customer_number: short("customer_number", &request.customer_number)?,
        service_type: short("service_type", &request.service_type)?,
        description: short("description", &request.description)?,
        location: short("location", &request.location)?,
        urgency: short("urgency", &request.urgency)?,
        call_sid: None,
    };
    let order = store.create_task_order(&new, &act).await?;
    audit::noted(store, &principal, Act::Create, "task order", &order.order_number).await;
    Ok((StatusCode::CREATED, Json(order.into())))
}

/// Get a task order
#[utoipa::path(get, path = "/api/task-orders/{order_number}", tag = "task orders", operation_id = "get_task_order",
    params(("order_number" = String, Path, example = "1000001", pattern = "^[A-Za-z0-9_-]{1,64}$", description = "The order's number")),
    responses((status = 200, body = OrderView, description = "The order"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "There is no such order"),
        (status = 410, body = Problem, content_type = "application/problem+json", description = "It was deleted for good")))]
async fn get(State(app): State<Arc<App>>, principal: Principal, Id(number): Id) -> Result<Json<OrderView>, Problem> {
    let store = store(&app)?;
    audit::note(store, &principal, Act::Read, "task order", Some(&number)).await?;
    let order = store.task_order(&number).await?;
    let Some(order) = order else {
        return Err(Problem::absent(store, Record::Order(&number), "task order").await);
    };
    Ok(Json(order.into()))
}

/// Change a task order
#[utoipa::path(patch, path = "/api/task-orders/{order_number}", tag = "task orders", operation_id = "change_task_order",
    params(("order_number" = String, Path, example = "1000001", pattern = "^[A-Za-z0-9_-]{1,64}$", description = "The order's number")), request_body = OrderPatch,
    responses((status = 200, body = OrderView, description = "The order as it is now"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "There is no such order"),
        (status = 410, body = Problem, content_type = "application/problem+json", description = "It was deleted for good")))]
async fn change(
    State(app): State<Arc<App>>,
    principal: Principal,
    Id(number): Id,
    Body(request): Body<OrderPatch>,
) -> Result<Json<OrderView>, Problem> {
    let store = store(&app)?;
    // The answer shows all of it.
    audit::note(store, &principal, Act::Change, "task order", Some(&number)).await?;
    let changed = store.set_task_order_status(&number, request.status.name()).await?;
    let Some(order) = changed else {
        return Err(Problem::absent(store, Record::Order(&number), "task order").await);
    };
    Ok(Json(order.into()))
}
