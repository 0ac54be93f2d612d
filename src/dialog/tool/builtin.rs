//! The tools that come with the program: what they take, what they answer, and those that the database carries out.

use jiff::civil::Date;
use serde_json::{Map, Value, json};

use super::{ToolCall, ToolResult};
use crate::store::{
    Customer, CustomerKey, Eligibility, NewCustomer, NewTaskOrder, PROCEDURES, Store, StoreError, TaskOrder, phone,
};

/// A tool that every agent file may name.
#[derive(Debug, Clone, Copy)]
pub struct BuiltinTool {
    /// Its name.
    pub name: &'static str,
    /// What it does, for people and language models.
    pub description: &'static str,
    /// Whether it writes into the database: then only a caller's yes to a summary runs it.
    pub changes: bool,
    /// What it takes.
    pub parameters: &'static [Parameter],
    /// What may come of it, besides [`COMMON_OUTCOMES`].
    pub outcomes: &'static [&'static str],
}

/// What a tool takes.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Whether the tool answers [`INVALID`] without it.
    pub required: bool,
    /// What it is, with its form.
    pub description: &'static str,
    /// The only values it may have; none: any.
    pub values: &'static [&'static str],
}

/// An argument is missing or has the wrong form; the data's `argument` names it. Every tool can have it.
pub const INVALID: &str = "invalid";

/// What every tool may answer.
pub const COMMON_OUTCOMES: &[&str] = &[INVALID, ToolResult::FAILED];

/// All of them. The last is not [`Builtin::run`]'s to carry out.
pub const BUILTIN: &[BuiltinTool] = &[
    BuiltinTool {
        name: "lookup_customer",
        description: "Finds a customer by customer number or telephone number.",
        changes: false,
        parameters: &[
            optional("customer_number", "the customer's number; one of the two is needed"),
            optional("phone", "the customer's telephone number, E.164: +12125550101"),
        ],
        outcomes: &["found", "not_found"],
    },
    BuiltinTool {
        name: "create_customer",
        description: "Adds a customer, who gets a customer number.",
        changes: true,
        parameters: &[
            required("name", "the customer's full name"),
            optional("phone", "the customer's telephone number, E.164: +12125550101"),
            optional("address", "the customer's address in one line"),
            optional("email", "the customer's e-mail address"),
        ],
        outcomes: &["created"],
    },
    BuiltinTool {
        name: "create_task_order",
        description: "Writes down work to be done for a customer.",
        changes: true,
        parameters: &[
            required("customer_number", "the customer's number"),
            required("service_type", "what kind of service"),
            required("description", "what is to be done, in the caller's words"),
            required("location", "where it is to be done"),
            required("urgency", "how urgent it is"),
        ],
        outcomes: &["created", "unknown_customer"],
    },
    BuiltinTool {
        name: "check_eligibility",
        description: "Tells whether a patient's plan covers a procedure.",
        changes: false,
        parameters: &[
            required("member_id", "the member id on the insurance card"),
            required("date_of_birth", "the patient's date of birth: YYYY-MM-DD"),
            Parameter {
                values: PROCEDURES,
                ..required("procedure", "what is to be done")
            },
        ],
        outcomes: &[
            "eligible",
            "not_covered",
            "terminated",
            "unknown_member",
            "wrong_date_of_birth",
            "unknown_procedure",
        ],
    },
    BuiltinTool {
        name: "send_sms",
        description: "Sends the caller a text message, after they have said yes to it.",
        changes: false,
        parameters: &[
            required("text", "the message"),
            optional("phone", "where to, E.164; the caller's own number otherwise"),
        ],
        outcomes: &["sent", "not_sent"],
    },
];

/// Runs the tools that need only the database.
#[derive(Debug, Clone)]
pub struct Builtin {
    store: Store,
    call_sid: Option<String>,
}

impl Builtin {
    /// For tools run outside of any call.
    pub fn new(store: Store) -> Self {
        Self { store, call_sid: None }
    }

    /// For one call, whose sid its task orders carry.
    pub fn for_call(store: Store, call_sid: impl Into<String>) -> Self {
        Self {
            store,
            call_sid: Some(call_sid.into()),
        }
    }

    /// Runs a tool on a day; `None` if it is not one of those the database carries out. A database that fails makes the outcome
    /// [`ToolResult::FAILED`]; the reason is logged, without what was asked.
    pub async fn run(&self, call: &ToolCall, today: Date) -> Option<ToolResult> {
        let args = Args(&call.args);
        let result = match call.tool.as_str() {
            "lookup_customer" => self.lookup_customer(&args).await,
            "create_customer" => self.create_customer(&args, &call.key).await,
            "create_task_order" => self.create_task_order(&args, &call.key).await,
            "check_eligibility" => self.check_eligibility(&args, today).await,
            _ => return None,
        };
        Some(result.unwrap_or_else(|stop| match stop {
            Stop::Invalid(argument) => result_of(INVALID, json!({ "argument": argument })),
            Stop::Failed(error) => {
                let tool = call.tool.as_str();
                tracing::warn!(tool, "{tool} failed: {error}");
                ToolResult::plain(ToolResult::FAILED)
            }
        }))
    }

    async fn lookup_customer(&self, args: &Args<'_>) -> Result<ToolResult, Stop> {
        let (number, phone) = (args.optional("customer_number")?, args.phone()?);
        let key = match (&number, &phone) {
            (Some(number), _) => CustomerKey::Number(number),
            (None, Some(phone)) => CustomerKey::Phone(phone),
            (None, None) => return Err(Stop::Invalid("customer_number")),
        };
        let found = self.store.find_customer(key).await?;
        Ok(found.map_or_else(|| ToolResult::plain("not_found"), |customer| found_customer(&customer)))
    }

    async fn create_customer(&self, args: &Args<'_>, key: &str) -> Result<ToolResult, Stop> {
        let new = NewCustomer {
            name: args.required("name")?,
            phone: args.phone()?,
            email: args.optional("email")?,
            address: args.optional("address")?,
        };
        let customer = self.store.create_customer(&new, key).await?;
        let data = json!({ "customer_number": customer.customer_number, "name": customer.name });
        Ok(result_of("created", data))
    }

    async fn create_task_order(&self, args: &Args<'_>, key: &str) -> Result<ToolResult, Stop> {
        let new = NewTaskOrder {
            customer_number: args.required("customer_number")?,
            service_type: args.required("service_type")?,
            description: args.required("description")?,
            location: args.required("location")?,
            urgency: args.required("urgency")?,
            call_sid: self.call_sid.clone(),
        };
        match self.store.create_task_order(&new, key).await {
            Ok(order) => Ok(created_order(&order)),
            Err(StoreError::UnknownCustomer) => Ok(ToolResult::plain("unknown_customer")),
            Err(error) => Err(error.into()),
        }
    }

    async fn check_eligibility(&self, args: &Args<'_>, today: Date) -> Result<ToolResult, Stop> {
        let member_id = args.required("member_id")?;
        let born = args.date("date_of_birth")?;
        let procedure = args.required("procedure")?.to_lowercase();
        Ok(match self.store.coverage(&member_id, born, &procedure, today).await? {
            Eligibility::Eligible(coverage) => result_of(
                "eligible",
                json!({
                    "procedure": coverage.procedure,
                    "plan": coverage.plan,
                    "copay_cents": coverage.copay_cents,
                    "coinsurance_percent": coverage.coinsurance_percent,
                    "deductible_total_cents": coverage.deductible_total_cents,
                    "deductible_remaining_cents": coverage.deductible_remaining_cents,
                    "deductible_met": coverage.deductible_remaining_cents == 0,
                    "prior_authorization": coverage.prior_authorization,
                }),
            ),
            Eligibility::NotCovered { plan } => {
                result_of("not_covered", json!({ "procedure": procedure, "plan": plan }))
            }
            Eligibility::Terminated { on } => result_of("terminated", json!({ "terminated_on": on.to_string() })),
            Eligibility::UnknownMember => ToolResult::plain("unknown_member"),
            Eligibility::WrongDateOfBirth => ToolResult::plain("wrong_date_of_birth"),
            Eligibility::UnknownProcedure => ToolResult::plain("unknown_procedure"),
        })
    }
}

fn found_customer(customer: &Customer) -> ToolResult {
    let data = json!({
        "customer_number": customer.customer_number,
        "name": customer.name,
        "phone": customer.phone,
        "address": customer.address,
    });
    result_of("found", data)
}

fn created_order(order: &TaskOrder) -> ToolResult {
    let data = json!({
        "order_number": order.order_number,
        "customer_number": order.customer_number,
        "service_type": order.service_type,
        "description": order.description,
        "location": order.location,
        "urgency": order.urgency,
    });
    result_of("created", data)
}

/// Why a tool did not get to its answer.
enum Stop {
    /// The argument's name.
    Invalid(&'static str),
    Failed(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        if let StoreError::BadText { field } = error {
            Self::Invalid(field)
        } else {
            Self::Failed(error)
        }
    }
}

struct Args<'a>(&'a Map<String, Value>);

impl Args<'_> {
    /// Text, or a whole number that a language model did not quote. Absent, null and empty are the same.
    fn optional(&self, name: &'static str) -> Result<Option<String>, Stop> {
        let text = match self.0.get(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) => text.trim().to_owned(),
            Some(Value::Number(number)) if number.is_u64() => number.to_string(),
            Some(_) => return Err(Stop::Invalid(name)),
        };
        if text.len() > MAX_ARGUMENT || text.contains('\0') {
            return Err(Stop::Invalid(name));
        }
        Ok((!text.is_empty()).then_some(text))
    }

    fn required(&self, name: &'static str) -> Result<String, Stop> {
        self.optional(name)?.ok_or(Stop::Invalid(name))
    }

    fn phone(&self) -> Result<Option<String>, Stop> {
        let name = "phone";
        let text = self.optional(name)?;
        text.map(|text| phone(&text).ok_or(Stop::Invalid(name))).transpose()
    }

    fn date(&self, name: &'static str) -> Result<Date, Stop> {
        let text = self.required(name)?;
        let date = (text.len() == "YYYY-MM-DD".len()).then(|| text.parse().ok());
        date.flatten().ok_or(Stop::Invalid(name))
    }
}

fn result_of(outcome: &str, data: Value) -> ToolResult {
    let data = match data {
        Value::Object(data) => data,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    };
    ToolResult {
        outcome: outcome.to_owned(),
        data,
    }
}

const fn required(name: &'static str, description: &'static str) -> Parameter {
    Parameter {
        name,
        required: true,
        description,
        values: &[],
    }
}

const fn optional(name: &'static str, description: &'static str) -> Parameter {
    Parameter {
        required: false,
        ..required(name, description)
    }
}

/// Bytes; several minutes of talking.
const MAX_ARGUMENT: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sound() {
        for (index, tool) in BUILTIN.iter().enumerate() {
            assert!(
                BUILTIN[..index].iter().all(|other| other.name != tool.name),
                "{}",
                tool.name
            );
            assert!(
                tool.outcomes.iter().all(|outcome| !COMMON_OUTCOMES.contains(outcome)),
                "{}",
                tool.name
            );
            for (at, parameter) in tool.parameters.iter().enumerate() {
                let before = &tool.parameters[..at];
                assert!(before.iter().all(|other| other.name != parameter.name), "{}", tool.name);
                assert!(!parameter.description.is_empty());
            }
        }
    }
}
