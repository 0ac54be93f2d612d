//! Example customers and test patients, for a database that is new.

use sqlx::{Any, Transaction};

use super::coverage::{self, Terms};
use super::customers::Details;
use super::error::cannot;
use super::{Store, StoreError};

impl Store {
    /// Decides about the seed data once for the whole life of a database: what a site deletes, or refused, does not come back.
    pub(super) async fn seed_once(&self, wanted: bool) -> Result<(), StoreError> {
        let what = "write the seed data";
        let decided: Option<(String,)> = sqlx::query_as("SELECT value FROM facts WHERE name = 'seed_data'")
            .fetch_optional(&self.pool)
            .await
            .map_err(cannot(what))?;
        if decided.is_some() {
            return Ok(());
        }
        let mut transaction = self.begin(what).await?;
        let first = sqlx::query("INSERT INTO facts (name, value) VALUES ('seed_data', $1) ON CONFLICT DO NOTHING")
            .bind(if wanted { "on" } else { "off" })
            .execute(&mut *transaction)
            .await
            .map_err(cannot(what))?;
        if first.rows_affected() == 1 && wanted {
            self.insert_seed(&mut transaction).await?;
        }
        transaction.commit().await.map_err(cannot(what))
    }

    async fn insert_seed(&self, transaction: &mut Transaction<'static, Any>) -> Result<(), StoreError> {
        for [number, name, phone, address] in CUSTOMERS {
            let details = Details {
                customer_number: (*number).to_owned(),
                name: (*name).to_owned(),
                phone: Some((*phone).to_owned()),
                email: None,
                address: Some((*address).to_owned()),
            };
            self.insert_customer(transaction, &details, None).await?;
        }
        for patient in PATIENTS {
            let known = coverage::Patient {
                member_id: patient.member_id.to_owned(),
                name: patient.name.to_owned(),
                date_of_birth: patient.born.to_owned(),
                plan: patient.plan.to_owned(),
                status: patient.terminated_on.map_or("active", |_| "terminated").to_owned(),
                terminated_on: patient.terminated_on.map(str::to_owned),
                deductible_total_cents: patient.deductible_total_cents,
                deductible_remaining_cents: patient.deductible_remaining_cents,
            };
            let (key, _) = self.put_patient(transaction, &known).await?;
            for (procedure, copay_cents, coinsurance_percent, prior_authorization) in patient.covered {
                let terms = Terms {
                    covered: true,
                    copay_cents: *copay_cents,
                    coinsurance_percent: *coinsurance_percent,
                    prior_authorization: *prior_authorization,
                };
                self.put_terms(transaction, &key, patient.member_id, procedure, terms)
                    .await?;
            }
        }
        Ok(())
    }
}

struct Patient {
    member_id: &'static str,
    name: &'static str,
    born: &'static str,
    plan: &'static str,
    terminated_on: Option<&'static str>,
    deductible_total_cents: i64,
    deductible_remaining_cents: i64,
    /// Procedure, copay in cents, coinsurance in percent, whether the plan must agree beforehand.
    covered: &'static [(&'static str, i64, i64, bool)],
}

/// Number, name, telephone (555-01xx is nobody's), address.
const CUSTOMERS: &[[&str; 4]] = &[
    [
        "482615",
        "Dana Whitfield",
        "+12125550101",
        "12 Harbor Street, Springfield",
    ],
    ["573904", "Luis Ortega", "+12125550102", "480 Maple Avenue, Riverton"],
    ["619283", "Priya Raman", "+12125550103", "70 Garden Road, Fairview"],
];

/// The test patients of the system that tieline replaces; what that one did not say of them is made up.
const PATIENTS: &[Patient] = &[
    Patient {
        member_id: "MB123456",
        name: "Jordan Avery",
        born: "1985-03-15",
        plan: "Gold PPO",
        terminated_on: None,
        deductible_total_cents: 150_000,
        deductible_remaining_cents: 105_000,
        covered: &[
            ("mri", 5_000, 20, true),
            ("office_visit", 2_500, 0, false),
            ("medication", 1_000, 0, false),
        ],
    },
    // A plan without a drug benefit: medication is not covered.
    Patient {
        member_id: "MB789012",
        name: "Casey Monroe",
        born: "1990-07-22",
        plan: "Silver HMO",
        terminated_on: None,
        deductible_total_cents: 200_000,
        deductible_remaining_cents: 0,
        covered: &[("mri", 7_500, 10, false), ("office_visit", 2_000, 0, false)],
    },
    Patient {
        member_id: "MB345678",
        name: "Riley Carter",
        born: "1975-11-30",
        plan: "Bronze PPO",
        terminated_on: Some("2024-12-31"),
        deductible_total_cents: 300_000,
        deductible_remaining_cents: 300_000,
        covered: &[("office_visit", 4_000, 0, false)],
    },
];
