//! Whether a plan pays.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use sqlx::{Any, Transaction};

use super::error::cannot;
use super::vault::{self, patient_key};
use super::{Store, StoreError, date, text};
use crate::privacy::seal::{DataKey, Place};

/// What a plan pays of one procedure for one patient. PHI.
#[derive(Clone, PartialEq, Eq)]
pub struct Coverage {
    /// As asked, in small letters.
    pub procedure: String,
    /// The plan's name.
    pub plan: String,
    /// The patient's fixed share, in cents.
    pub copay_cents: i64,
    /// The patient's share of the rest, 0 to 100.
    pub coinsurance_percent: i64,
    /// What the patient pays in a year before the plan does, in cents.
    pub deductible_total_cents: i64,
    /// What is left of it, in cents; 0: met.
    pub deductible_remaining_cents: i64,
    /// Whether the plan must agree beforehand.
    pub prior_authorization: bool,
}

/// The answer to "is it covered". PHI.
#[derive(Clone, PartialEq, Eq)]
pub enum Eligibility {
    /// Covered, at these terms.
    Eligible(Coverage),
    /// The plan does not pay for this.
    NotCovered {
        /// The plan's name.
        plan: String,
    },
    /// The last day of coverage is over.
    Terminated {
        /// The last day of coverage.
        on: Date,
    },
    /// Nobody has that member id.
    UnknownMember,
    /// Somebody has, born on another day. Nothing else is told.
    WrongDateOfBirth,
    /// Neither one of [`PROCEDURES`] nor in anybody's coverage.
    UnknownProcedure,
}

/// Procedures that are known though no plan mentions them.
pub const PROCEDURES: &[&str] = &["mri", "office_visit", "medication"];

impl Store {
    /// Whether a patient is covered for a procedure on a day. The date of birth must fit before anything is told.
    pub async fn coverage(
        &self,
        member_id: &str,
        born: Date,
        procedure: &str,
        today: Date,
    ) -> Result<Eligibility, StoreError> {
        let what = "look coverage up";
        let member_id = text::id(member_id, "member_id")?;
        let procedure = text::required(procedure, "procedure")?.to_lowercase();
        let hash = self.member_hash(&member_id);
        let patient: Option<PatientRow> = sqlx::query_as(PATIENT)
            .bind(&hash)
            .fetch_optional(&self.pool)
            .await
            .map_err(cannot(what))?;
        let Some(row) = patient else {
            return Ok(Eligibility::UnknownMember);
        };
        let (key, patient) = self.open_patient(&row)?;
        if date(&patient.date_of_birth, "patients.date_of_birth")? != born {
            return Ok(Eligibility::WrongDateOfBirth);
        }
        if let Some(on) = patient.terminated_on {
            let on = date(&on, "patients.terminated_on")?;
            if on < today {
                return Ok(Eligibility::Terminated { on });
            }
        }
        let plan = patient.plan;
        let sealed: Option<(String,)> = sqlx::query_as(TERMS)
            .bind(&hash)
            .bind(procedure.as_str())
            .fetch_optional(&self.pool)
            .await
            .map_err(cannot(what))?;
        let terms = sealed.map(|(sealed,)| open_terms(&key, &hash, &procedure, &sealed));
        match terms.transpose()? {
            Some(terms) if terms.covered => Ok(Eligibility::Eligible(Coverage {
                procedure,
                plan,
                copay_cents: terms.copay_cents,
                coinsurance_percent: terms.coinsurance_percent,
                deductible_total_cents: patient.deductible_total_cents,
                deductible_remaining_cents: patient.deductible_remaining_cents,
                prior_authorization: terms.prior_authorization,
            })),
            Some(_) => Ok(Eligibility::NotCovered { plan }),
            None if self.is_procedure(&procedure).await.map_err(cannot(what))? => Ok(Eligibility::NotCovered { plan }),
            None => Ok(Eligibility::UnknownProcedure),
        }
    }

    /// Replaces what is known of a patient, or adds one; gives what was known before, and the patient's key.
    pub(super) async fn put_patient(
        &self,
        transaction: &mut Transaction<'static, Any>,
        patient: &Patient,
    ) -> Result<(DataKey, Option<Patient>), StoreError> {
        let what = "write a patient";
        let hash = self.member_hash(&patient.member_id);
        let (key, made) = self.key_for(transaction, patient_key(&hash)).await?;
        let mut before = None;
        if made {
            // What may be left there was sealed by a key that is gone.
            sqlx::query("DELETE FROM patients WHERE member_hash = $1")
                .bind(&hash)
                .execute(&mut **transaction)
                .await
                .map_err(cannot(what))?;
        } else {
            let row: Option<PatientRow> = sqlx::query_as(PATIENT)
                .bind(&hash)
                .fetch_optional(&mut **transaction)
                .await
                .map_err(cannot(what))?;
            before = row.map(|row| self.open_patient(&row)).transpose()?;
        }
        sqlx::query(UPSERT_PATIENT)
            .bind(&hash)
            .bind(vault::seal(&key, patient_place(&hash), patient))
            .execute(&mut **transaction)
            .await
            .map_err(cannot(what))?;
        Ok((key, before.map(|(_, patient)| patient)))
    }

    /// The same for what the plan pays of a procedure.
    pub(super) async fn put_terms(
        &self,
        transaction: &mut Transaction<'static, Any>,
        key: &DataKey,
        member_id: &str,
        procedure: &str,
        terms: Terms,
    ) -> Result<Option<Terms>, StoreError> {
        let what = "write a patient's coverage";
        let hash = self.member_hash(member_id);
        let before: Option<(String,)> = sqlx::query_as(TERMS)
            .bind(&hash)
            .bind(procedure)
            .fetch_optional(&mut **transaction)
            .await
            .map_err(cannot(what))?;
        sqlx::query(UPSERT_TERMS)
            .bind(&hash)
            .bind(procedure)
            .bind(vault::seal(key, terms_place(&part(&hash, procedure)), &terms))
            .execute(&mut **transaction)
            .await
            .map_err(cannot(what))?;
        let before = before.map(|(sealed,)| open_terms(key, &hash, procedure, &sealed));
        before.transpose()
    }

    pub(super) fn open_patient(
        &self,
        (hash, sealed, kek_id, wrapped): &PatientRow,
    ) -> Result<(DataKey, Patient), StoreError> {
        let key = self.vault.unlock(&patient_key(hash), kek_id, wrapped)?;
        let patient = vault::open(&key, patient_place(hash), sealed)?;
        Ok((key, patient))
    }

    /// What stands for a member id.
    pub(super) fn member_hash(&self, member_id: &str) -> String {
        self.vault.hash("patients.member_id", member_id)
    }

    async fn is_procedure(&self, name: &str) -> Result<bool, sqlx::Error> {
        if PROCEDURES.contains(&name) {
            return Ok(true);
        }
        let found: Option<(String,)> = sqlx::query_as(ANYBODYS).bind(name).fetch_optional(&self.pool).await?;
        Ok(found.is_some())
    }
}

/// What is sealed of a patient.
#[derive(PartialEq, Clone, Serialize, Deserialize)]
pub(super) struct Patient {
    pub(super) member_id: String,
    pub(super) name: String,
    pub(super) date_of_birth: String,
    pub(super) plan: String,
    /// `active` or `terminated`.
    pub(super) status: String,
    pub(super) terminated_on: Option<String>,
    pub(super) deductible_total_cents: i64,
    pub(super) deductible_remaining_cents: i64,
}

/// What is sealed of a patient's procedure, by the patient's key.
#[derive(PartialEq, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Terms {
    pub(super) covered: bool,
    pub(super) copay_cents: i64,
    pub(super) coinsurance_percent: i64,
    pub(super) prior_authorization: bool,
}

pub(super) fn open_terms(key: &DataKey, hash: &str, procedure: &str, sealed: &str) -> Result<Terms, StoreError> {
    vault::open(key, terms_place(&part(hash, procedure)), sealed)
}

/// Hash, sealed patient, wrapping key, data key.
pub(super) type PatientRow = (String, String, String, String);

fn part(hash: &str, procedure: &str) -> String {
    format!("{hash}/{procedure}")
}

fn patient_place(record: &str) -> Place<'_> {
    Place {
        table: "patients",
        column: "patient_sealed",
        record,
    }
}

fn terms_place(record: &str) -> Place<'_> {
    Place {
        table: "coverage",
        column: "terms_sealed",
        record,
    }
}

pub(super) const PATIENT: &str = "SELECT member_hash, patient_sealed, kek_id, wrapped FROM patients \
     JOIN data_keys k ON k.id = 'patient/' || member_hash WHERE member_hash = $1 AND wrapped IS NOT NULL";
const TERMS: &str = "SELECT terms_sealed FROM coverage WHERE member_hash = $1 AND procedure_name = $2";
const ANYBODYS: &str = "SELECT procedure_name FROM coverage WHERE procedure_name = $1 LIMIT 1";
const UPSERT_PATIENT: &str = "INSERT INTO patients (member_hash, patient_sealed) VALUES ($1, $2) \
     ON CONFLICT (member_hash) DO UPDATE SET patient_sealed = excluded.patient_sealed";
const UPSERT_TERMS: &str = "INSERT INTO coverage (member_hash, procedure_name, terms_sealed) VALUES ($1, $2, $3) \
     ON CONFLICT (member_hash, procedure_name) DO UPDATE SET terms_sealed = excluded.terms_sealed";
