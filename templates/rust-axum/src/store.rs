//! Keeps items in SQLite, each for its owner alone: every statement names the owner.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::domain::Item;

/// The longest list that is given out at once.
const MAX_LISTED: u32 = 200;

const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    CREATE TABLE IF NOT EXISTS items (
        id         TEXT PRIMARY KEY,
        owner      TEXT NOT NULL,
        name       TEXT NOT NULL,
        note       TEXT NOT NULL,
        created_at INTEGER NOT NULL -- milliseconds since 1970, UTC
    ) STRICT;
    CREATE INDEX IF NOT EXISTS items_by_owner ON items (owner, id);
";

#[derive(Clone)]
pub struct Store {
    connection: Arc<Mutex<Connection>>,
}

impl Store {
    /// Opens the file that `url` names; without one, everything is kept in memory only.
    pub fn open(url: Option<&str>) -> Result<Self, String> {
        let connection = match url {
            Some(url) => Connection::open(path_of(url)?),
            None => Connection::open_in_memory(),
        };
        let prepared = connection.and_then(|connection| {
            // While one version of the service replaces another, both have the file open.
            connection.busy_timeout(Duration::from_secs(5))?;
            connection.execute_batch(SCHEMA)?;
            Ok(Self {
                connection: Arc::new(Mutex::new(connection)),
            })
        });
        prepared.map_err(|error| format!("open {}: {error}", url.unwrap_or("a database in memory")))
    }

    pub async fn insert(&self, owner: &str, item: Item) -> rusqlite::Result<()> {
        let owner = owner.to_owned();
        self.with(move |connection| {
            let values = params![
                item.id,
                owner,
                item.name,
                item.note,
                to_millis(item.created_at)
            ];
            connection
                .execute("INSERT INTO items VALUES (?1, ?2, ?3, ?4, ?5)", values)
                .map(drop)
        })
        .await
    }

    /// The owner's items, the newest first.
    pub async fn list(&self, owner: &str) -> rusqlite::Result<Vec<Item>> {
        let owner = owner.to_owned();
        self.with(move |connection| {
            let sql = "SELECT id, name, note, created_at FROM items WHERE owner = ?1
                       ORDER BY id DESC LIMIT ?2";
            connection
                .prepare(sql)?
                .query_map(params![owner, MAX_LISTED], item_of)?
                .collect()
        })
        .await
    }

    pub async fn find(&self, owner: &str, id: &str) -> rusqlite::Result<Option<Item>> {
        let (owner, id) = (owner.to_owned(), id.to_owned());
        self.with(move |connection| {
            let sql = "SELECT id, name, note, created_at FROM items WHERE owner = ?1 AND id = ?2";
            connection
                .prepare(sql)?
                .query_row([owner, id], item_of)
                .optional()
        })
        .await
    }

    /// Whether there was such an item.
    pub async fn delete(&self, owner: &str, id: &str) -> rusqlite::Result<bool> {
        let parameters = [owner.to_owned(), id.to_owned()];
        self.with(move |connection| {
            let deleted =
                connection.execute("DELETE FROM items WHERE owner = ?1 AND id = ?2", parameters)?;
            Ok(deleted > 0)
        })
        .await
    }

    /// Fails when the database does not answer.
    pub async fn check(&self) -> rusqlite::Result<()> {
        self.with(|connection| connection.query_row("SELECT count(*) FROM items", [], |_| Ok(())))
            .await
    }

    /// SQLite blocks while it reads and writes, so it does that where blocking is allowed.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> rusqlite::Result<T> {
        let connection = Arc::clone(&self.connection);
        let task = tokio::task::spawn_blocking(move || {
            work(&connection.lock().unwrap_or_else(PoisonError::into_inner))
        });
        task.await
            .expect("a statement neither panics nor is cancelled")
    }
}

/// `sqlite:///data/orders.db` is the file `/data/orders.db`.
fn path_of(url: &str) -> Result<&str, String> {
    url.strip_prefix("sqlite://")
        .filter(|path| path.starts_with('/'))
        .ok_or_else(|| {
            format!("DATABASE_URL is {url:?}, which is not like sqlite:///data/orders.db")
        })
}

fn item_of(row: &Row<'_>) -> rusqlite::Result<Item> {
    let created_at: i64 = row.get(3)?;
    Ok(Item {
        id: row.get(0)?,
        name: row.get(1)?,
        note: row.get(2)?,
        created_at: UNIX_EPOCH + Duration::from_millis(created_at.unsigned_abs()),
    })
}

fn to_millis(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Draft;

    fn item(name: &str) -> Item {
        let draft = Draft {
            name: name.to_owned(),
            note: String::new(),
        };
        Item::create(&draft, UNIX_EPOCH + Duration::from_millis(1_234)).unwrap()
    }

    #[tokio::test]
    async fn what_was_kept_is_there_after_a_restart() {
        let folder = std::env::temp_dir().join(uuid::Uuid::now_v7().to_string());
        std::fs::create_dir(&folder).unwrap();
        let url = format!("sqlite://{}/items.db", folder.display());
        let tea = item("tea");

        Store::open(Some(&url))
            .unwrap()
            .insert("alice", tea.clone())
            .await
            .unwrap();
        let found = Store::open(Some(&url))
            .unwrap()
            .find("alice", &tea.id)
            .await
            .unwrap();

        assert_eq!(found, Some(tea));
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[tokio::test]
    async fn nobody_reaches_what_is_someone_elses() {
        let store = Store::open(None).unwrap();
        let tea = item("tea");
        store.insert("alice", tea.clone()).await.unwrap();
        assert_eq!(store.list("bob").await.unwrap(), []);
        assert_eq!(store.find("bob", &tea.id).await.unwrap(), None);
        assert!(!store.delete("bob", &tea.id).await.unwrap());
        assert_eq!(store.list("alice").await.unwrap(), [tea]);
    }

    #[test]
    fn an_address_that_is_no_sqlite_file_is_refused() {
        for url in [
            "postgres://host/db",
            "sqlite://relative.db",
            "/data/items.db",
        ] {
            assert!(
                Store::open(Some(url)).is_err_and(|error| error.contains(url)),
                "{url}"
            );
        }
    }
}
