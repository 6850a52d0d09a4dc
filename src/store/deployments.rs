//! The history of deployments as it is kept: bounded, one row a deployment.

use rusqlite::{Row, Transaction, TransactionBehavior, params};

use super::migrations::Deployments;
use super::time::to_milliseconds;
use super::{Database, StoreError};
use crate::model::deployment::Deployment;

/// The database of deployments.
pub type HistoryStore = Database<Deployments>;

/// How many deployments of a service are kept, besides those that are not over.
const KEPT: u32 = 200;

/// How many of these are the latest, whatever became of them. Of older ones, those that never served go
/// first: nobody goes back to them.
const LATEST: u32 = 100;

/// Whether a deployment ever took requests.
const SERVED: &str = "CASE WHEN json_valid(document) THEN
     json_extract(document, '$.outcome.kind') = 'live'
     OR json_extract(document, '$.timings_ms.switched') IS NOT NULL
     ELSE FALSE END";

impl HistoryStore {
    /// Writes these down, in the place of what was known of them; the oldest make room.
    pub fn record(&self, deployments: &[Deployment]) -> Result<(), StoreError> {
        self.with("write down the deployments", |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for deployment in deployments {
                put(&transaction, deployment)?;
            }
            transaction.commit()
        })
    }

    /// The latest deployments, of one service or of all, newest first. Those of one service are in the
    /// order of their numbers: what led to a later one may have been noticed earlier, and clocks are put
    /// back.
    pub fn latest(&self, service: Option<&str>, most: usize) -> Result<Vec<Deployment>, StoreError> {
        self.with("read the deployments", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT document FROM (
                     SELECT document, number,
                            max(began_at) OVER (PARTITION BY service ORDER BY number) AS not_before
                     FROM deployments WHERE ?1 IS NULL OR service = ?1)
                 ORDER BY not_before DESC, number DESC LIMIT ?2",
            )?;
            let most = i64::try_from(most).unwrap_or(i64::MAX);
            read_all(statement.query_map(params![service, most], document)?)
        })
    }

    /// The highest generation that is known of each service.
    pub fn generations(&self) -> Result<Vec<(String, u32)>, StoreError> {
        self.with("read the generations", |connection| {
            let mut statement = connection
                .prepare_cached("SELECT service, max(generation) FROM deployments GROUP BY service")?;
            statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        })
    }

    /// What the history of a platform goes on from: of each service the latest deployment and those
    /// that are not over, oldest first.
    pub fn unfinished(&self) -> Result<Vec<Deployment>, StoreError> {
        self.with("read the deployments", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT document FROM deployments AS one
                 WHERE is_open OR number = (SELECT max(number) FROM deployments WHERE service = one.service)
                 ORDER BY service, number",
            )?;
            read_all(statement.query_map([], document)?)
        })
    }
}

fn put(transaction: &Transaction<'_>, deployment: &Deployment) -> rusqlite::Result<()> {
    let text = serde_json::to_string(deployment)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    let number = i64::try_from(deployment.number).unwrap_or(i64::MAX);
    transaction.execute(
        "INSERT OR REPLACE INTO deployments (service, number, generation, began_at, is_open, document)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            deployment.service,
            number,
            deployment.generation,
            to_milliseconds(deployment.began),
            deployment.is_open(),
            text
        ],
    )?;
    make_room(transaction, &deployment.service)
}

fn make_room(transaction: &Transaction<'_>, service: &str) -> rusqlite::Result<()> {
    let count = "SELECT count(*) FROM deployments WHERE service = ?1 AND NOT is_open";
    if transaction.query_row(count, [service], |row| row.get::<_, u32>(0))? <= KEPT {
        return Ok(());
    }
    let numbered = "SELECT number, document, row_number() OVER (ORDER BY number DESC) AS place
                    FROM deployments WHERE service = ?1 AND NOT is_open";
    let beyond = format!(
        "SELECT number FROM ({numbered}) ORDER BY place > ?3 AND NOT ({SERVED}), number DESC LIMIT -1 OFFSET ?2"
    );
    let delete = format!("DELETE FROM deployments WHERE service = ?1 AND number IN ({beyond})");
    transaction.execute(&delete, params![service, KEPT, LATEST]).map(drop)
}

fn document(row: &Row<'_>) -> rusqlite::Result<String> {
    row.get(0)
}

/// A row that cannot be read was not written by any msctl: the others are worth having all the same.
fn read_all(documents: impl Iterator<Item = rusqlite::Result<String>>) -> rusqlite::Result<Vec<Deployment>> {
    let texts: Vec<String> = documents.collect::<Result<_, _>>()?;
    Ok(texts.iter().filter_map(|text| serde_json::from_str(text).ok()).collect())
}

#[cfg(test)]
mod tests;
