//! coverage.csv: a patient's own columns are repeated in each of the patient's rows.

use std::collections::BTreeMap;

use sqlx::AnyConnection;

use super::table::{Row, Table};
use super::{ImportError, ImportKind, Imported};
use crate::store::error::cannot;
use crate::store::{Store, StoreError};

pub(super) const COLUMNS: &[&str] = &[
    "member_id",
    "name",
    "date_of_birth",
    "plan",
    "status",
    "terminated_on",
    "deductible_total_cents",
    "deductible_remaining_cents",
    "procedure",
    "covered",
    "copay_cents",
    "coinsurance_percent",
    "prior_authorization",
];
/// Columns that a file may leave out.
pub(super) const OPTIONAL: &[&str] = &["terminated_on"];

/// By member id, so that two imports at once lock rows in the same order.
pub(super) type Rows = BTreeMap<String, Member>;

pub(super) struct Member {
    patient: Patient,
    /// By procedure.
    terms: BTreeMap<String, Terms>,
}

#[derive(PartialEq, Clone)]
struct Patient {
    name: String,
    date_of_birth: String,
    plan: String,
    /// `active` or `terminated`.
    status: String,
    terminated_on: Option<String>,
    deductible_total_cents: i64,
    deductible_remaining_cents: i64,
}

#[derive(PartialEq, Clone, Copy)]
struct Terms {
    covered: bool,
    copay_cents: i64,
    coinsurance_percent: i64,
    prior_authorization: bool,
}

pub(super) fn read(table: Table) -> Result<Rows, ImportError> {
    let mut patients: BTreeMap<String, (usize, Patient)> = BTreeMap::new();
    let mut seen = BTreeMap::new();
    let rows = table.read(|row| {
        // All three are read before any is missed, so that every fault is told.
        let (member_id, patient, terms) = (row.id("member_id"), patient(row), terms(row));
        let (member_id, patient, (procedure, terms)) = (member_id?, patient?, terms?);
        if let Some((first, other)) = patients.get(&member_id)
            && *other != patient
        {
            return row.fault(
                "row",
                format!("row {first} says something else of the same patient; make them agree"),
            );
        }
        patients
            .entry(member_id.clone())
            .or_insert_with(|| (row.number(), patient.clone()));
        if let Some(first) = seen.insert((member_id.clone(), procedure.clone()), row.number()) {
            return row.fault(
                "procedure",
                format!("row {first} has the same patient and procedure; delete one of them"),
            );
        }
        Some((member_id, patient, procedure, terms))
    })?;
    let mut members = Rows::new();
    for (member_id, patient, procedure, terms) in rows {
        let member = members.entry(member_id).or_insert_with(|| Member {
            patient,
            terms: BTreeMap::new(),
        });
        member.terms.insert(procedure, terms);
    }
    Ok(members)
}

fn patient(row: &mut Row<'_>) -> Option<Patient> {
    let (name, date_of_birth, plan) = (row.required("name"), row.date("date_of_birth"), row.required("plan"));
    let ended = status(row);
    let (total, remaining) = (
        row.cents("deductible_total_cents"),
        row.cents("deductible_remaining_cents"),
    );
    if let (Some(total), Some(remaining)) = (total, remaining)
        && remaining > total
    {
        return row.fault(
            "deductible_remaining_cents",
            "it exceeds deductible_total_cents; is one in dollars?",
        );
    }
    let (status, terminated_on) = ended?;
    Some(Patient {
        name: name?,
        date_of_birth: date_of_birth?.to_string(),
        plan: plan?,
        status,
        terminated_on,
        deductible_total_cents: total?,
        deductible_remaining_cents: remaining?,
    })
}

fn status(row: &mut Row<'_>) -> Option<(String, Option<String>)> {
    let status = row.required("status")?.to_ascii_lowercase();
    match status.as_str() {
        "terminated" => Some((status, Some(row.date("terminated_on")?.to_string()))),
        "active" if row.optional("terminated_on")?.is_some() => {
            row.fault("terminated_on", "leave it empty, or write status terminated")
        }
        "active" => Some((status, None)),
        _ => row.fault("status", "write active or terminated"),
    }
}

fn terms(row: &mut Row<'_>) -> Option<(String, Terms)> {
    let procedure = procedure(row);
    let (covered, prior_authorization) = (row.yes_or_no("covered"), row.yes_or_no("prior_authorization"));
    let (copay_cents, coinsurance_percent) = (row.cents("copay_cents"), row.percent("coinsurance_percent"));
    let terms = Terms {
        covered: covered?,
        copay_cents: copay_cents?,
        coinsurance_percent: coinsurance_percent?,
        prior_authorization: prior_authorization?,
    };
    Some((procedure?, terms))
}

fn procedure(row: &mut Row<'_>) -> Option<String> {
    let name = row.required("procedure")?.to_lowercase();
    let good = name.len() <= 40 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if good {
        Some(name)
    } else {
        row.fault(
            "procedure",
            "write a name of a-z, 0-9 and _, such as mri, office_visit or medication",
        )
    }
}

impl Store {
    pub(super) async fn write_coverage(&self, members: Rows) -> Result<Imported, StoreError> {
        let what = "import coverage";
        let mut imported = Imported::nothing(ImportKind::Coverage);
        let mut transaction = self.begin(what).await?;
        for (member_id, member) in &members {
            let patient = &member.patient;
            let patient_before = replace_patient(&mut transaction, member_id, patient)
                .await
                .map_err(cannot(what))?;
            for (procedure, terms) in &member.terms {
                let before = replace_terms(&mut transaction, member_id, procedure, *terms)
                    .await
                    .map_err(cannot(what))?;
                // A row is the patient's columns and the procedure's.
                let before = before.map(|terms| (patient_before.as_ref(), terms));
                imported.count(before.as_ref(), &(Some(patient), *terms));
            }
        }
        transaction.commit().await.map_err(cannot(what))?;
        Ok(imported)
    }
}

/// Gives what was there before.
async fn replace_patient(
    connection: &mut AnyConnection,
    member_id: &str,
    patient: &Patient,
) -> Result<Option<Patient>, sqlx::Error> {
    let before: Option<PatientRow> = sqlx::query_as(PATIENT_BEFORE)
        .bind(member_id)
        .fetch_optional(&mut *connection)
        .await?;
    sqlx::query(UPSERT_PATIENT)
        .bind(member_id)
        .bind(patient.name.as_str())
        .bind(patient.date_of_birth.as_str())
        .bind(patient.plan.as_str())
        .bind(patient.status.as_str())
        .bind(patient.terminated_on.as_deref())
        .bind(patient.deductible_total_cents)
        .bind(patient.deductible_remaining_cents)
        .execute(connection)
        .await?;
    Ok(before.map(
        |(name, date_of_birth, plan, status, terminated_on, total, remaining)| Patient {
            name,
            date_of_birth,
            plan,
            status,
            terminated_on,
            deductible_total_cents: total,
            deductible_remaining_cents: remaining,
        },
    ))
}

/// Gives what was there before.
async fn replace_terms(
    connection: &mut AnyConnection,
    member_id: &str,
    procedure: &str,
    terms: Terms,
) -> Result<Option<Terms>, sqlx::Error> {
    let before: Option<(i64, i64, i64, i64)> = sqlx::query_as(TERMS_BEFORE)
        .bind(member_id)
        .bind(procedure)
        .fetch_optional(&mut *connection)
        .await?;
    sqlx::query(UPSERT_TERMS)
        .bind(member_id)
        .bind(procedure)
        .bind(i64::from(terms.covered))
        .bind(terms.copay_cents)
        .bind(terms.coinsurance_percent)
        .bind(i64::from(terms.prior_authorization))
        .execute(connection)
        .await?;
    Ok(before.map(
        |(covered, copay_cents, coinsurance_percent, prior_authorization)| Terms {
            covered: covered == 1,
            copay_cents,
            coinsurance_percent,
            prior_authorization: prior_authorization == 1,
        },
    ))
}

/// In the order of [`PATIENT_BEFORE`].
type PatientRow = (String, String, String, String, Option<String>, i64, i64);

const PATIENT_BEFORE: &str = "SELECT name, date_of_birth, plan, status, terminated_on, deductible_total_cents, \
     deductible_remaining_cents FROM patients WHERE member_id = $1";
const UPSERT_PATIENT: &str = "INSERT INTO patients (member_id, name, date_of_birth, plan, status, terminated_on, \
     deductible_total_cents, deductible_remaining_cents) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
     ON CONFLICT (member_id) DO UPDATE SET name = excluded.name, date_of_birth = excluded.date_of_birth, plan = excluded.plan, \
     status = excluded.status, terminated_on = excluded.terminated_on, \
     deductible_total_cents = excluded.deductible_total_cents, \
     deductible_remaining_cents = excluded.deductible_remaining_cents";
const TERMS_BEFORE: &str = "SELECT covered, copay_cents, coinsurance_percent, prior_authorization FROM coverage \
     WHERE member_id = $1 AND procedure_name = $2";
const UPSERT_TERMS: &str = "INSERT INTO coverage (member_id, procedure_name, covered, copay_cents, coinsurance_percent, \
     prior_authorization) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (member_id, procedure_name) DO UPDATE SET \
     covered = excluded.covered, copay_cents = excluded.copay_cents, coinsurance_percent = excluded.coinsurance_percent, \
     prior_authorization = excluded.prior_authorization";
