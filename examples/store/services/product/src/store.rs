//! Products in `SQLite`. Knows SQL, and nothing of HTTP.

use std::error::Error;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::types::{FromSql, Type};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::domain::{Price, Product, ProductId};

/// How long a write waits for the service's other generation, which has the same file open during
/// a redeploy.
const PATIENCE: Duration = Duration::from_secs(5);

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS product (
        id          TEXT PRIMARY KEY,
        name        TEXT NOT NULL,
        price_cents INTEGER NOT NULL CHECK (price_cents > 0),
        unit        TEXT NOT NULL
    ) STRICT, WITHOUT ROWID";

/// Everything that is for sale.
#[derive(Debug, Clone)]
pub struct Catalogue {
    connection: Arc<Mutex<Connection>>,
}

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("failed to use the database: {0}")]
    Database(#[from] rusqlite::Error),
    #[error("failed to finish the database's work: {0}")]
    Interrupted(#[from] tokio::task::JoinError),
}

impl Catalogue {
    pub fn open(file: &Path) -> Result<Self, StoreError> {
        let connection = Connection::open(file)?;
        connection.busy_timeout(PATIENCE)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)) })
    }

    pub async fn add(&self, product: Product) -> Result<(), StoreError> {
        self.run(move |connection| {
            let mut insert = connection.prepare_cached(
                "INSERT INTO product (id, name, price_cents, unit) VALUES (?1, ?2, ?3, ?4)",
            )?;
            let Product { id, name, price, unit } = product;
            insert.execute(params![id.to_string(), name.to_string(), price.cents(), unit.to_string()])?;
            Ok(())
        })
        .await
    }

    pub async fn find(&self, id: ProductId) -> Result<Option<Product>, StoreError> {
        self.run(move |connection| {
            let mut select = connection.prepare_cached("SELECT * FROM product WHERE id = ?1")?;
            select.query_row([id.to_string()], product_of).optional()
        })
        .await
    }

    /// Up to `limit` products that are younger than `after`, oldest first.
    pub async fn list(&self, after: Option<ProductId>, limit: u16) -> Result<Vec<Product>, StoreError> {
        self.run(move |connection| {
            let after = after.map_or(String::new(), |id| id.to_string());
            let mut select =
                connection.prepare_cached("SELECT * FROM product WHERE id > ?1 ORDER BY id LIMIT ?2")?;
            select.query_map(params![after, limit], product_of)?.collect()
        })
        .await
    }

    /// Whether there was anything to remove.
    pub async fn remove(&self, id: ProductId) -> Result<bool, StoreError> {
        self.run(move |connection| {
            Ok(connection.execute("DELETE FROM product WHERE id = ?1", [id.to_string()])? > 0)
        })
        .await
    }

    /// Fails when the database cannot be read.
    pub async fn check(&self) -> Result<(), StoreError> {
        self.run(|connection| connection.query_row("SELECT count(*) FROM product", [], |_| Ok(()))).await
    }

    /// Runs blocking work where blocking is allowed.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let connection = Arc::clone(&self.connection);
        let task = move || work(&connection.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(tokio::task::spawn_blocking(task).await??)
    }
}

fn product_of(row: &Row<'_>) -> rusqlite::Result<Product> {
    Ok(Product {
        id: column(row, "id", |text: String| text.parse())?,
        name: column(row, "name", |text: String| text.parse())?,
        price: column(row, "price_cents", Price::from_cents)?,
        unit: column(row, "unit", |text: String| text.parse())?,
    })
}

/// Reads a column into a type of the domain, which refuses what it would not have written.
fn column<Stored: FromSql, T, E: Error + Send + Sync + 'static>(
    row: &Row<'_>,
    name: &str,
    read: impl FnOnce(Stored) -> Result<T, E>,
) -> rusqlite::Result<T> {
    let index = row.as_ref().column_index(name)?;
    read(row.get(index)?)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(index, Type::Null, Box::new(error)))
}
