//! Whether a plan pays.

use jiff::civil::Date;

use super::error::cannot;
use super::{Store, StoreError, date, text};

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
    /// There is no plan any more.
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
    /// Whether a patient is covered for a procedure. The date of birth must fit before anything is told.
    pub async fn coverage(&self, member_id: &str, born: Date, procedure: &str) -> Result<Eligibility, StoreError> {
        let what = "look coverage up";
        let member_id = text::id(member_id, "member_id")?;
        let procedure = text::required(procedure, "procedure")?.to_lowercase();
        let patient: Option<Patient> = sqlx::query_as(PATIENT)
            .bind(member_id.as_str())
            .fetch_optional(&self.pool)
            .await
            .map_err(cannot(what))?;
        let Some((date_of_birth, plan, terminated_on, deductible_total_cents, deductible_remaining_cents)) = patient
        else {
            return Ok(Eligibility::UnknownMember);
        };
        if date(&date_of_birth, "patients.date_of_birth")? != born {
            return Ok(Eligibility::WrongDateOfBirth);
        }
        if let Some(on) = terminated_on {
            let on = date(&on, "patients.terminated_on")?;
            return Ok(Eligibility::Terminated { on });
        }
        let terms: Option<(i64, i64, i64, i64)> = sqlx::query_as(TERMS)
            .bind(member_id.as_str())
            .bind(procedure.as_str())
            .fetch_optional(&self.pool)
            .await
            .map_err(cannot(what))?;
        match terms {
            Some((1, copay_cents, coinsurance_percent, prior_authorization)) => Ok(Eligibility::Eligible(Coverage {
                procedure,
                plan,
                copay_cents,
                coinsurance_percent,
                deductible_total_cents,
                deductible_remaining_cents,
                prior_authorization: prior_authorization == 1,
            })),
            Some(_) => Ok(Eligibility::NotCovered { plan }),
            None if self.is_procedure(&procedure).await.map_err(cannot(what))? => Ok(Eligibility::NotCovered { plan }),
            None => Ok(Eligibility::UnknownProcedure),
        }
    }

    async fn is_procedure(&self, name: &str) -> Result<bool, sqlx::Error> {
        if PROCEDURES.contains(&name) {
            return Ok(true);
        }
        let found: Option<(String,)> = sqlx::query_as(ANYBODYS).bind(name).fetch_optional(&self.pool).await?;
        Ok(found.is_some())
    }
}

/// Date of birth, plan, last day of coverage, deductible, what is left of it.
type Patient = (String, String, Option<String>, i64, i64);

const PATIENT: &str = "SELECT date_of_birth, plan, terminated_on, deductible_total_cents, deductible_remaining_cents \
     FROM patients WHERE member_id = $1";
const TERMS: &str = "SELECT covered, copay_cents, coinsurance_percent, prior_authorization FROM coverage \
     WHERE member_id = $1 AND procedure_name = $2";
const ANYBODYS: &str = "SELECT procedure_name FROM coverage WHERE procedure_name = $1 LIMIT 1";
