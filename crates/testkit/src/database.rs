//! A database for a test.

use std::path::Path;

use chassis::chance;
use database::{DatabaseSettings, Dialect};
use tempfile::TempDir;

use crate::environment;

/// A fresh schema on the PostgreSQL of `TEST_DATABASE_URL`, or a SQLite file that goes away with this.
///
/// A schema stays on the server, for a look at what a test left; its name begins with `test_`.
#[derive(Debug)]
pub struct TestDatabase {
    settings: DatabaseSettings,
    dialect: Dialect,
    folder: Option<TempDir>,
}

impl TestDatabase {
    /// An empty database.
    ///
    /// # Errors
    /// If no folder can be made for SQLite.
    pub fn new() -> std::io::Result<Self> {
        match environment::database_url() {
            Some(url) => Ok(Self::postgres(&url)),
            None => Self::sqlite(),
        }
    }

    fn postgres(url: &str) -> Self {
        let separator = if url.contains('?') { '&' } else { '?' };
        let schema = chance::token();
        Self {
            settings: DatabaseSettings {
                database_url: format!("{url}{separator}options[search_path]=test_{schema}"),
            },
            dialect: Dialect::Postgres,
            folder: None,
        }
    }

    fn sqlite() -> std::io::Result<Self> {
        let folder = TempDir::new()?;
        let mut database = Self::sqlite_in(folder.path());
        database.folder = Some(folder);
        Ok(database)
    }

    /// A SQLite file in a folder that somebody else keeps.
    pub fn sqlite_in(folder: &Path) -> Self {
        let path = folder.join("test.db");
        Self {
            settings: DatabaseSettings {
                database_url: format!("sqlite://{}", path.display()),
            },
            dialect: Dialect::Sqlite,
            folder: None,
        }
    }

    /// Where it is. Every program opened with these settings shares it.
    pub fn settings(&self) -> DatabaseSettings {
        self.settings.clone()
    }

    /// `host:port` of its server, if it has one.
    pub fn server(&self) -> Option<String> {
        let rest = self.settings.database_url.strip_prefix("postgres://")?;
        let place = rest.split(['/', '?']).next()?;
        let server = place.rsplit('@').next()?;
        Some(server.to_owned()).filter(|server| server.contains(':'))
    }

    /// Which of the two it is.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }
}
