//! Everything there is of a person: what is given out on request, and what is deleted.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::audit::{self, AuditRecord};
use super::coverage::{PatientRow, open_terms};
use super::error::cannot;
use super::retire::Item;
use super::subjects::{CUSTOMER, PATIENT, PHONE};
use super::vault::{customer_key, patient_key};
use super::{CustomerKey, Store, StoreError, calls, text, voicemails};

/// Whose records are meant. PHI.
#[derive(Clone, Copy)]
pub enum Person<'a> {
    /// A patient, by member id.
    Patient(&'a str),
    /// Whoever calls from that number, E.164.
    Caller(&'a str),
    /// A customer, by number.
    Customer(&'a str),
}

/// What there is of a person, by ids and keyed hashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Belongings {
    /// What stands for the person: `patient/HASH`, `customer/HASH`, `caller/HASH`.
    pub reference: String,
    /// What there is, in the order in which it can be deleted.
    pub items: Vec<Item>,
}

impl Belongings {
    /// Sids of the person's calls.
    pub fn calls(&self) -> impl Iterator<Item = &str> {
        let call = |item: &&Item| matches!(item, Item::Content(_));
        self.items.iter().filter(call).map(Item::name)
    }

    /// Ids of the person's messages.
    pub fn voicemails(&self) -> impl Iterator<Item = &str> {
        let voicemail = |item: &&Item| matches!(item, Item::Voicemail(_));
        self.items.iter().filter(voicemail).map(Item::name)
    }

    /// Numbers of the person's orders.
    pub fn orders(&self) -> impl Iterator<Item = &str> {
        let order = |item: &&Item| matches!(item, Item::Order(_));
        self.items.iter().filter(order).map(Item::name)
    }
}

impl Store {
    /// Finds what there is of a person. Calls of an earlier version are found after [`Store::link_old_calls`].
    pub async fn belongings(&self, person: Person<'_>) -> Result<Belongings, StoreError> {
        let mut calls = BTreeSet::new();
        let mut voicemails = BTreeSet::new();
        let mut rest = Vec::new();
        let reference = match person {
            Person::Patient(member) => {
                let hash = self.member_hash(&text::id(member, "member_id")?);
                calls.extend(self.ids(ABOUT, &[PATIENT, &hash]).await?);
                if !self.ids(PATIENT_ROW, &[&hash]).await?.is_empty() {
                    rest.push(Item::Patient(hash.clone()));
                }
                patient_key(&hash)
            }
            Person::Caller(number) => {
                let field = "caller";
                let number = text::phone(number).ok_or(StoreError::BadText { field })?;
                self.add_of_number(&number, &mut calls, &mut voicemails).await?;
                format!("caller/{}", self.caller_hash(calls::FROM, &number))
            }
            Person::Customer(number) => {
                let hash = self.customer_hash(&text::id(number, "customer_number")?);
                calls.extend(self.ids(ABOUT, &[CUSTOMER, &hash]).await?);
                calls.extend(self.ids(ORDERED_IN, &[&hash]).await?);
                let customer = self.find_customer(CustomerKey::Number(number)).await?;
                if let Some(phone) = customer.and_then(|customer| customer.phone) {
                    // Somebody else of the house may have called from a number that several share.
                    let sharing = self.ids(SHARING, &[&self.number_hash(&phone)]).await?;
                    if sharing.len() == 1 {
                        self.add_of_number(&phone, &mut calls, &mut voicemails).await?;
                    }
                }
                let orders = self.ids(ORDERS, &[&hash]).await?;
                rest.extend(orders.into_iter().map(Item::Order));
                if !self.ids(CUSTOMER_ROW, &[&hash]).await?.is_empty() {
                    rest.push(Item::Customer(hash.clone()));
                }
                customer_key(&hash)
            }
        };
        for call in &calls {
            voicemails.extend(self.ids(LEFT_IN, &[call]).await?);
        }
        let mut items: Vec<Item> = voicemails.into_iter().map(Item::Voicemail).collect();
        items.extend(calls.into_iter().map(Item::Content));
        items.extend(rest);
        Ok(Belongings { reference, items })
    }

    async fn add_of_number(
        &self,
        number: &str,
        calls: &mut BTreeSet<String>,
        voicemails: &mut BTreeSet<String>,
    ) -> Result<(), StoreError> {
        let from = |column| self.caller_hash(column, number);
        calls.extend(self.ids(CALLED, &[&from(calls::FROM)]).await?);
        calls.extend(self.ids(ABOUT, &[PHONE, &self.number_hash(number)]).await?);
        voicemails.extend(self.ids(LEFT_BY, &[&from(voicemails::FROM)]).await?);
        Ok(())
    }

    /// What of these is on hold, since when.
    pub async fn on_hold(&self, items: &[Item]) -> Result<Vec<(Item, Timestamp)>, StoreError> {
        let mut transaction = self.begin("look for holds").await?;
        let mut held = Vec::new();
        for item in items {
            if let Some(since) = self.held_since(&mut transaction, item.hold(), item.name()).await? {
                held.push((item.clone(), since));
            }
        }
        Ok(held)
    }

    /// All that is known of a patient, as JSON. PHI. `None` if there is none.
    pub async fn patient_file(&self, member_id: &str) -> Result<Option<Value>, StoreError> {
        let what = "read a patient";
        let hash = self.member_hash(&text::id(member_id, "member_id")?);
        let row: Option<PatientRow> = sqlx::query_as(super::coverage::PATIENT)
            .bind(&hash)
            .fetch_optional(&self.pool)
            .await
            .map_err(cannot(what))?;
        let Some(row) = row else { return Ok(None) };
        let (key, patient) = self.open_patient(&row)?;
        let terms: Vec<(String, String)> = sqlx::query_as(super::verify::TERMS)
            .bind(&hash)
            .fetch_all(&self.pool)
            .await
            .map_err(cannot(what))?;
        let mut coverage = Vec::new();
        for (procedure, sealed) in terms {
            let terms = open_terms(&key, &hash, &procedure, &sealed)?;
            coverage.push(json!({ "procedure": procedure, "terms": terms }));
        }
        let unreadable = |_| StoreError::Unreadable {
            column: "patients.patient_sealed",
        };
        let mut file = serde_json::to_value(patient).map_err(unreadable)?;
        file["coverage"] = Value::Array(coverage);
        Ok(Some(file))
    }

    /// What the audit trail says of a record, the oldest first.
    pub async fn audit_of(&self, subject: &str) -> Result<Vec<AuditRecord>, StoreError> {
        let rows: Vec<audit::Row> = sqlx::query_as(AUDIT)
            .bind(subject)
            .fetch_all(&self.pool)
            .await
            .map_err(cannot("read the audit trail"))?;
        rows.into_iter().map(audit::record).collect()
    }

    async fn ids(&self, question: &'static str, about: &[&str]) -> Result<Vec<String>, StoreError> {
        let mut query = sqlx::query_scalar(question);
        for text in about {
            query = query.bind((*text).to_owned());
        }
        query
            .fetch_all(&self.pool)
            .await
            .map_err(cannot("find what there is of a person"))
    }
}

const ABOUT: &str = "SELECT call_sid FROM call_subjects WHERE kind = $1 AND hash = $2";
const CALLED: &str = "SELECT call_sid FROM calls WHERE from_hash = $1";
const ORDERED_IN: &str =
    "SELECT calls.call_sid FROM calls JOIN task_orders o ON o.call_sid = calls.call_sid WHERE o.customer_hash = $1";
const SHARING: &str = "SELECT number_hash FROM customers WHERE phone_hash = $1";
const ORDERS: &str = "SELECT order_number FROM task_orders WHERE customer_hash = $1 ORDER BY order_number";
const CUSTOMER_ROW: &str = "SELECT number_hash FROM customers WHERE number_hash = $1";
const PATIENT_ROW: &str = "SELECT member_hash FROM patients WHERE member_hash = $1";
const LEFT_IN: &str = "SELECT v.id FROM voicemails v JOIN data_keys k ON k.id = 'voicemail/' || v.id \
     WHERE call_sid = $1 AND wrapped IS NOT NULL";
const LEFT_BY: &str = "SELECT v.id FROM voicemails v JOIN data_keys k ON k.id = 'voicemail/' || v.id \
     WHERE from_hash = $1 AND wrapped IS NOT NULL";
const AUDIT: &str = "SELECT seq, at_ms, actor, action, subject, outcome, detail, origin, previous, mac FROM audit_events WHERE subject = $1 ORDER BY seq";
