//! What came of a call, and whether it is what should have.

use super::set::{Expected, ExpectedOrder};
use crate::store::{CustomerKey, Store, StoreError};

/// What came of a call. PHI.
#[derive(Clone, Default)]
pub struct Outcome {
    /// What the agent said, one reply each.
    pub said: Vec<String>,
    /// The tools that ran, `tool outcome`.
    pub tools: Vec<String>,
    /// The task orders in the database.
    pub orders: Vec<OrderRow>,
    /// How it ended.
    pub end: String,
}

/// A task order and whose it is. PHI.
#[derive(Clone, Default)]
pub struct OrderRow {
    /// Number, name and telephone.
    pub customer: String,
    /// As the agent's file names it.
    pub service_type: String,
    /// In the caller's words.
    pub description: String,
    /// Where.
    pub location: String,
    /// As the agent's file names it.
    pub urgency: String,
}

impl Outcome {
    /// Reads what a call left in the database. `None`: it is not written down, or not to its end.
    ///
    /// # Errors
    ///
    /// The database cannot be read.
    pub async fn read(store: &Store, call_sid: &str, said: Vec<String>) -> Result<Option<Self>, StoreError> {
        let Some(record) = store.call(call_sid).await? else {
            return Ok(None);
        };
        let Some(end) = record.call.outcome else {
            return Ok(None);
        };
        let mut orders = Vec::new();
        for order in store.task_orders_of_call(call_sid).await? {
            let customer = store.find_customer(CustomerKey::Number(&order.customer_number)).await?;
            let customer = customer.map(|customer| (customer.name, customer.phone.unwrap_or_default()));
            let (name, phone) = customer.unwrap_or_default();
            orders.push(OrderRow {
                customer: format!("{} {name} {phone}", order.customer_number),
                service_type: order.service_type,
                description: order.description,
                location: order.location,
                urgency: order.urgency,
            });
        }
        let tools = record.tool_runs.iter();
        let tools = tools.map(|run| format!("{} {}", run.tool, run.outcome)).collect();
        Ok(Some(Self {
            said,
            tools,
            orders,
            end,
        }))
    }

    /// What is not as it should be. Where words are misheard and asked again, look-ups may be repeated: there `exact` is
    /// false, and other runs of tools that only read may come in between.
    pub fn faults(&self, expected: &Expected, exact: bool) -> Vec<String> {
        let mut faults = Vec::new();
        let all = self.said.join(" ");
        let missing = expected.says.iter().filter(|says| !says.matches(&all));
        faults.extend(missing.map(|says| format!("the agent did not say {:?}", says.text())));
        let forbidden = expected.never.iter().filter(|never| never.matches(&all));
        faults.extend(forbidden.map(|never| format!("the agent said {:?}", never.text())));
        let last = self.said.last().map_or("", String::as_str);
        if let Some(wanted) = expected.last.as_ref().filter(|wanted| !wanted.matches(last)) {
            faults.push(format!("the agent did not end with {:?}", wanted.text()));
        }
        let ran = if exact {
            self.tools == expected.tools
        } else {
            in_order(&self.tools, &expected.tools) && writing(&self.tools) == writing(&expected.tools)
        };
        if !ran {
            faults.push(format!("tools: {:?}, not {:?}", self.tools, expected.tools));
        }
        let end = expected.end.as_deref().unwrap_or(CALLER);
        if self.end != end {
            faults.push(format!("the end was {}, not {end}", self.end));
        }
        let fits = self.orders.len() == expected.orders.len()
            && expected
                .orders
                .iter()
                .all(|wanted| self.orders.iter().any(|row| row.fits(wanted)));
        if !fits {
            let rows: Vec<String> = self.orders.iter().map(OrderRow::text).collect();
            faults.push(format!("orders in the database: {rows:?}"));
        }
        faults
    }
}

impl OrderRow {
    fn fits(&self, wanted: &ExpectedOrder) -> bool {
        wanted.customer.matches(&self.customer)
            && wanted.service_type == self.service_type
            && wanted.location.matches(&self.location)
            && wanted.urgency == self.urgency
            && wanted
                .description
                .as_ref()
                .is_none_or(|wanted| wanted.matches(&self.description))
    }

    fn text(&self) -> String {
        [
            &self.customer,
            &self.service_type,
            &self.description,
            &self.location,
            &self.urgency,
        ]
        .map(String::as_str)
        .join(" | ")
    }
}

fn in_order(all: &[String], wanted: &[String]) -> bool {
    let mut all = all.iter();
    wanted.iter().all(|wanted| all.any(|one| one == wanted))
}

fn writing(tools: &[String]) -> Vec<&String> {
    tools.iter().filter(|tool| tool.starts_with("create_")).collect()
}

/// How a call ends that the caller ends.
const CALLER: &str = "caller";
