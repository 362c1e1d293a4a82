//! Where the two databases differ.

/// Which database it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `PostgreSQL`.
    Postgres,
    /// `SQLite`.
    Sqlite,
}

impl Dialect {
    /// Of two spellings of one statement, the one this database understands.
    pub const fn pick(self, postgres: &'static str, sqlite: &'static str) -> &'static str {
        match self {
            Self::Postgres => postgres,
            Self::Sqlite => sqlite,
        }
    }

    /// The dialect of a URL by its scheme.
    pub(crate) fn of_url(url: &str) -> Option<Self> {
        match url.split_once(':') {
            Some(("postgres" | "postgresql", _)) => Some(Self::Postgres),
            Some(("sqlite", _)) => Some(Self::Sqlite),
            Some(_) | None => None,
        }
    }
}
