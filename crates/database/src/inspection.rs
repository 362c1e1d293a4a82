//! A look at a database from outside, which changes nothing.

use std::str::FromStr as _;
use std::time::Duration;

use chassis::Failure;
use chrono::{DateTime, Utc};
use sqlx::any::{AnyConnectOptions, install_default_drivers};
use sqlx::migrate::Migrate as _;
use sqlx::{AnyConnection, Connection as _, Error};
use tokio::time::timeout;

use crate::connection::{read_only, sqlite_path, takes_writes, unavailable, unusable};
use crate::{DatabaseSettings, Dialect, Schema, from_micros};

/// How long the database may take to answer.
const LIMIT: Duration = Duration::from_secs(5);

/// What a database is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// Migrations that were applied.
    pub applied: usize,
    /// Migrations that the program will apply at its start.
    pub pending: usize,
    /// Migrations that only a newer version of the program knows.
    pub unknown: usize,
    /// The server's time; none of an embedded database.
    pub clock: Option<DateTime<Utc>>,
}

/// Looks at the database without making, migrating or locking anything.
///
/// # Errors
/// [`Failure::Setting`] for a URL that cannot be used, [`Failure::Unavailable`] if the database is not there, does not answer within 5 s, or takes no writes.
pub async fn inspect(
    settings: &DatabaseSettings,
    schemas: &[Schema],
) -> Result<Inspection, Failure> {
    install_default_drivers();
    let url = &settings.database_url;
    let dialect =
        Dialect::of_url(url).ok_or_else(|| unusable("unknown kind of database".to_owned()))?;
    let url = match dialect {
        Dialect::Postgres => url.clone(),
        Dialect::Sqlite => {
            let path = sqlite_path(url).map_err(unusable)?;
            format!("sqlite://{path}?mode=ro")
        }
    };
    let options = AnyConnectOptions::from_str(&url);
    let options = options.map_err(|error| unusable(error.to_string()))?;
    let looking = timeout(LIMIT, look(&options, dialect, schemas)).await;
    let looked = looking.unwrap_or(Err(Error::PoolTimedOut));
    looked.map_err(|error| unavailable(&error))
}

async fn look(
    options: &AnyConnectOptions,
    dialect: Dialect,
    schemas: &[Schema],
) -> Result<Inspection, Error> {
    let mut connection = AnyConnection::connect_with(options).await?;
    if !takes_writes(&mut connection, dialect).await? {
        return Err(read_only());
    }
    let mut inspection = Inspection {
        applied: 0,
        pending: 0,
        unknown: 0,
        clock: clock(&mut connection, dialect).await?,
    };
    for schema in schemas {
        let source = match dialect {
            Dialect::Postgres => schema.postgres,
            Dialect::Sqlite => schema.sqlite,
        };
        let applied = connection.list_applied_migrations(schema.table).await;
        // A table that is not there says so by an error.
        let applied = applied.unwrap_or_default();
        let is_applied = |version| applied.iter().any(|one| one.version == version);
        let is_known = |version| source.iter().any(|one| one.version == version);
        let pending = source.iter().filter(|one| !is_applied(one.version)).count();
        let unknown = applied.iter().filter(|one| !is_known(one.version)).count();
        inspection.applied += applied.len();
        inspection.pending += pending;
        inspection.unknown += unknown;
    }
    connection.close().await?;
    Ok(inspection)
}

async fn clock(
    connection: &mut AnyConnection,
    dialect: Dialect,
) -> Result<Option<DateTime<Utc>>, Error> {
    match dialect {
        Dialect::Sqlite => Ok(None),
        Dialect::Postgres => {
            let now = "select (extract(epoch from clock_timestamp()) * 1000000)::bigint";
            let micros: i64 = sqlx::query_scalar(now).fetch_one(connection).await?;
            Ok(Some(from_micros(micros)))
        }
    }
}
