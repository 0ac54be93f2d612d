//! `/api/customers`: those who call.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::access::{Principal, Routes};
use super::audit::{self, Act};
use super::extract::{Body, Id, Query};
use super::idempotency::ActKey;
use super::page::{self, Paging};
use super::problem::Problem;
use super::{e164, store};
use crate::http::App;
use crate::store::{Customer, CustomerChange, CustomerKey, NewCustomer, Record, Scope};

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .needs(Scope::Phi, routes!(list, create))
        .needs(Scope::Phi, routes!(get, change))
}

/// A customer.
#[derive(Serialize, ToSchema)]
pub(super) struct CustomerView {
    /// Allotted by the server, or imported.
    customer_number: String,
    name: String,
    /// E.164.
    phone: Option<String>,
    email: Option<String>,
    /// In one line.
    address: Option<String>,
    created_at: Timestamp,
}

impl From<Customer> for CustomerView {
    fn from(customer: Customer) -> Self {
        Self {
            customer_number: customer.customer_number,
            name: customer.name,
            phone: customer.phone,
            email: customer.email,
            address: customer.address,
            created_at: customer.created_at,
        }
    }
}

/// A page of customers, the newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct CustomerList {
    items: Vec<CustomerView>,
    /// Ask with it for the next page; null on the last.
    next_cursor: Option<String>,
}

/// A customer to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CustomerRequest {
    #[schema(min_length = 1, max_length = 500)]
    name: String,
    /// E.164.
    #[serde(default)]
    #[schema(pattern = r"^\+[1-9][0-9]{6,14}$")]
    phone: Option<String>,
    #[serde(default)]
    #[schema(max_length = 500)]
    email: Option<String>,
    /// In one line.
    #[serde(default)]
    #[schema(max_length = 500)]
    address: Option<String>,
}

/// What is to become of a customer. What is left out stays; null removes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CustomerPatch {
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, min_length = 1, max_length = 500, nullable = false)]
    name: Option<String>,
    /// E.164.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, pattern = r"^\+[1-9][0-9]{6,14}$")]
    phone: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 500)]
    email: Option<Option<String>>,
    /// In one line.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 500)]
    address: Option<Option<String>>,
}

/// List customers
#[utoipa::path(get, path = "/api/customers", tag = "customers", operation_id = "list_customers", params(Paging),
    responses((status = 200, body = CustomerList, description = "A page of customers, the newest first")))]
async fn list(
    State(app): State<Arc<App>>,
    principal: Principal,
    Query(query): Query<Paging>,
) -> Result<Json<CustomerList>, Problem> {
    let (limit, after) = page::bounds(query.limit, query.cursor.as_deref())?;
    let store = store(&app)?;
    audit::note(store, &principal, Act::Read, "customers", None).await?;
    let found = store.list_customers(after.as_ref(), limit).await?;
    Ok(Json(CustomerList {
        items: found.items.into_iter().map(Into::into).collect(),
        next_cursor: found.next.as_ref().map(page::encode),
    }))
}

/// Create a customer
///
/// The server allots the number. Each request makes a customer, unless it repeats one by its `Idempotency-Key`.
#[utoipa::path(post, path = "/api/customers", tag = "customers", operation_id = "create_customer", request_body = CustomerRequest,
    responses((status = 201, body = CustomerView, description = "The customer")))]
async fn create(
    State(app): State<Arc<App>>,
    principal: Principal,
    ActKey(act): ActKey,
    Body(request): Body<CustomerRequest>,
) -> Result<(StatusCode, Json<CustomerView>), Problem> {
    let store = store(&app)?;
    let new = NewCustomer {
        name: short("name", &request.name)?,
        phone: request.phone.map(|phone| e164("phone", &phone)).transpose()?,
        email: request.email.map(|email| short("email", &email)).transpose()?,
        address: request.address.map(|address| short("address", &address)).transpose()?,
    };
    let customer = store.create_customer(&new, &act).await?;
    let reference = store.key_id(Record::Customer(&customer.customer_number))?;
    audit::noted(store, &principal, Act::Create, "customer", &reference).await;
    Ok((StatusCode::CREATED, Json(customer.into())))
}

/// Get a customer
#[utoipa::path(get, path = "/api/customers/{customer_number}", tag = "customers", operation_id = "get_customer",
    params(("customer_number" = String, Path, example = "482615", pattern = "^[A-Za-z0-9_-]{1,64}$", description = "The customer's number")),
    responses((status = 200, body = CustomerView, description = "The customer"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "There is no such customer"),
        (status = 410, body = Problem, content_type = "application/problem+json", description = "It was deleted for good")))]
async fn get(State(app): State<Arc<App>>, principal: Principal, Id(number): Id) -> Result<Json<CustomerView>, Problem> {
    let store = store(&app)?;
    let reference = store.key_id(Record::Customer(&number))?;
    audit::note(store, &principal, Act::Read, "customer", Some(&reference)).await?;
    let found = store.find_customer(CustomerKey::Number(&number)).await?;
    let Some(customer) = found else {
        return Err(Problem::absent(store, Record::Customer(&number), "customer").await);
    };
    Ok(Json(customer.into()))
}

/// Change a customer
#[utoipa::path(patch, path = "/api/customers/{customer_number}", tag = "customers", operation_id = "change_customer",
    params(("customer_number" = String, Path, example = "482615", pattern = "^[A-Za-z0-9_-]{1,64}$", description = "The customer's number")), request_body = CustomerPatch,
    responses((status = 200, body = CustomerView, description = "The customer as it is now"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "There is no such customer"),
        (status = 410, body = Problem, content_type = "application/problem+json", description = "It was deleted for good")))]
async fn change(
    State(app): State<Arc<App>>,
    principal: Principal,
    Id(number): Id,
    Body(request): Body<CustomerPatch>,
) -> Result<Json<CustomerView>, Problem> {
    let store = store(&app)?;
    let optional = |field, value: Option<Option<String>>| {
        let given = value.map(|value| value.map(|value| short(field, &value)).transpose());
        given.transpose()
    };
    let phone = request
        .phone
        .map(|phone| phone.map(|phone| e164("phone", &phone)).transpose());
    let change = CustomerChange {
        name: request.name.map(|name| short("name", &name)).transpose()?,
        phone: phone.transpose()?,
        email: optional("email", request.email)?,
        address: optional("address", request.address)?,
    };
    // The answer shows all of it.
    let reference = store.key_id(Record::Customer(&number))?;
    audit::note(store, &principal, Act::Change, "customer", Some(&reference)).await?;
    let changed = store.change_customer(&number, &change).await?;
    let Some(customer) = changed else {
        return Err(Problem::absent(store, Record::Customer(&number), "customer").await);
    };
    Ok(Json(customer.into()))
}

/// A text of sensible length.
pub(super) fn short(field: &str, text: &str) -> Result<String, Problem> {
    if text.chars().count() > MAX_TEXT {
        let detail = format!("{field} is longer than {MAX_TEXT} characters");
        return Err(Problem::bad_field(field, detail, "Shorten it"));
    }
    Ok(text.to_owned())
}

/// Tells "null" from "not there".
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// More than a name or an address has.
const MAX_TEXT: usize = 500;
