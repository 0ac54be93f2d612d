//! coverage.csv: a patient's own columns are repeated in each of the patient's rows.

use std::collections::BTreeMap;

use super::table::{Row, Table};
use super::{ImportError, ImportKind, Imported};
use crate::store::coverage::{Patient, Terms};
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

pub(super) fn read(table: Table) -> Result<Rows, ImportError> {
    let mut patients: BTreeMap<String, (usize, Patient)> = BTreeMap::new();
    let mut seen = BTreeMap::new();
    let rows = table.read(|row| {
        // All three are read before any is missed, so that every fault is told.
        let (member_id, patient, terms) = (row.id("member_id"), patient(row), terms(row));
        let (member_id, mut patient, (procedure, terms)) = (member_id?, patient?, terms?);
        patient.member_id.clone_from(&member_id);
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
        // Of a column that is read beside these.
        member_id: String::new(),
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
            let (key, patient_before) = self.put_patient(&mut transaction, patient).await?;
            for (procedure, terms) in &member.terms {
                let before = self
                    .put_terms(&mut transaction, &key, member_id, procedure, *terms)
                    .await?;
                // A row is the patient's columns and the procedure's.
                let before = before.map(|terms| (patient_before.as_ref(), terms));
                imported.count(before.as_ref(), &(Some(patient), *terms));
            }
        }
        transaction.commit().await.map_err(cannot(what))?;
        Ok(imported)
    }
}
