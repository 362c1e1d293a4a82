//! The pool, write transactions, migrations.

use std::io::ErrorKind;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use chassis::Failure;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions, install_default_drivers};
use sqlx::migrate::{Migrate, MigrateError, Migrator};
use sqlx::{Any, AnyConnection, AnyPool, ConnectOptions, Connection, Error, Executor, Transaction};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::patience::Patience;
use crate::{DatabaseSettings, Dialect};

/// How long a connection may take to be had, at the start and under load.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection that was idle for longer is asked whether it still lives before it is used.
const RESTED: Duration = Duration::from_secs(1);

/// A process that stops or vanishes inside a transaction must not stop the others.
///
/// Every statement of ours reaches a few rows by an index, also while a table is small: reading a whole one to join it was ten times slower, and compiling a claim took a hundred times longer than running it. A plan made while a table is new is kept for the life of the connection.
const POSTGRES_SESSION: &str = "
    set statement_timeout = '10s';
    set lock_timeout = '5s';
    set idle_in_transaction_session_timeout = '10s';
    set jit = off;
    set enable_seqscan = off;
    set enable_bitmapscan = off;
    set enable_hashjoin = off;
    set enable_mergejoin = off;
    set random_page_cost = 1.1";

/// A migration may read a whole table. For a lock it waits no longer than others: they would queue behind it.
const UNHURRIED: &str = "set statement_timeout = 0";

/// Whoever comes second waits for the first to end.
const PATIENT: &str = "set statement_timeout = 0; set lock_timeout = 0";

/// Whether a server takes writes: none that became a standby does, though it answers. Its connections would else be kept for half an hour.
const TAKES_WRITES: &str =
    "select case current_setting('transaction_read_only') when 'off' then 1 else 0 end";

/// A program's database. Clones share the pool.
#[derive(Clone, Debug)]
pub struct Database {
    pool: AnyPool,
    dialect: Dialect,
    writer: Option<Arc<Mutex<()>>>,
    pub(crate) patience: Patience,
}

/// The tables of one crate.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    /// Where its applied migrations are noted; one table for each crate, so that they grow apart.
    pub table: &'static str,
    /// Migrations for `PostgreSQL`.
    pub postgres: &'static Migrator,
    /// Migrations for `SQLite`.
    pub sqlite: &'static Migrator,
}

/// A transaction that may write. It is rolled back unless committed.
#[derive(Debug)]
pub struct WriteTransaction {
    pub(crate) transaction: Transaction<'static, Any>,
    pub(crate) patience: Patience,
    _turn: Option<OwnedMutexGuard<()>>,
}

impl Database {
    /// Opens the database, with at most `connections` connections, and brings the schemas up to date.
    ///
    /// # Errors
    /// [`Failure::Setting`] for a URL that cannot be used, [`Failure::Unavailable`] if the database does not answer within 5 s, [`Failure::Broken`] if a migration fails.
    pub async fn open(
        settings: &DatabaseSettings,
        connections: u32,
        schemas: &[Schema],
    ) -> Result<Self, Failure> {
        let database = Self::connect(&settings.database_url, connections).await?;
        if !schemas.is_empty() {
            let migrated = database.migrate(schemas).await;
            migrated.map_err(Failure::broken("could not migrate the database"))?;
        }
        Ok(database)
    }

    async fn connect(url: &str, connections: u32) -> Result<Self, Failure> {
        install_default_drivers();
        let dialect =
            Dialect::of_url(url).ok_or_else(|| unusable("unknown kind of database".to_owned()))?;
        let url = match dialect {
            Dialect::Postgres => url.to_owned(),
            Dialect::Sqlite => sqlite_url(url).map_err(unusable)?,
        };
        let options = AnyConnectOptions::from_str(&url)
            .map_err(|error| unusable(error.to_string()))?
            .disable_statement_logging();
        let patience = Patience::default();
        let suspicions = patience.clone();
        let pool = AnyPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .after_connect(move |connection, _| Box::pin(prepare(connection, dialect)))
            // A connection in steady use shows by itself when it is broken; asking it each time is a round trip more for each use.
            .test_before_acquire(false)
            .before_acquire(|connection, meta| Box::pin(is_alive(connection, meta.idle_for)))
            .after_release(move |connection, _| {
                Box::pin(is_usable(connection, dialect, suspicions.clone()))
            })
            .connect_with(options)
            .await
            .map_err(|error| unavailable(&error))?;
        let writer = (dialect == Dialect::Sqlite).then(Arc::default);
        Ok(Self {
            pool,
            dialect,
            writer,
            patience,
        })
    }

    /// By a connection of its own, whose statements may take their time.
    async fn migrate(&self, schemas: &[Schema]) -> Result<(), MigrateError> {
        let dialect = self.dialect;
        let options = self.pool.connect_options();
        let unhurried = AnyPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .after_connect(move |connection, _| Box::pin(prepare_unhurried(connection, dialect)))
            .connect_lazy_with(options.as_ref().clone());
        let mut turn = self.pool.acquire().await?;
        if dialect == Dialect::Postgres {
            turn.execute(PATIENT).await?;
        }
        turn.lock().await?;
        for schema in schemas {
            let source = match dialect {
                Dialect::Postgres => schema.postgres,
                Dialect::Sqlite => schema.sqlite,
            };
            let mut migrator = Migrator::with_migrations(source.migrations.to_vec());
            migrator.dangerous_set_table_name(schema.table);
            migrator.set_locking(false);
            migrator.run(&unhurried).await?;
        }
        unhurried.close().await;
        turn.unlock().await?;
        turn.close().await?;
        Ok(())
    }

    /// Begins a transaction that may write. On `SQLite`, which has one writer at a time, it waits for its turn.
    ///
    /// # Errors
    /// Whatever the database says.
    pub async fn begin(&self) -> Result<WriteTransaction, Error> {
        let turn = match &self.writer {
            Some(writer) => Some(Arc::clone(writer).lock_owned().await),
            None => None,
        };
        let begin = self.dialect.pick("begin", "begin immediate");
        let beginning = self.pool.begin_with(begin);
        let transaction = self.patience.in_time(beginning).await?;
        Ok(WriteTransaction {
            transaction,
            patience: self.patience.clone(),
            _turn: turn,
        })
    }

    pub(crate) fn pool(&self) -> &AnyPool {
        &self.pool
    }

    /// Which database it is.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Of two spellings of one statement, the one this database understands.
    pub fn pick(&self, postgres: &'static str, sqlite: &'static str) -> &'static str {
        self.dialect.pick(postgres, sqlite)
    }

    /// Whether the database answers now, and takes writes.
    ///
    /// # Errors
    /// What it said, or that it said nothing.
    pub async fn ping(&self) -> Result<(), Error> {
        if takes_writes(self, self.dialect).await? {
            return Ok(());
        }
        self.patience.suspect();
        Err(read_only())
    }

    /// Closes every connection, letting those in use finish.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

impl WriteTransaction {
    /// Makes the writes durable.
    ///
    /// # Errors
    /// Whatever the database says; then nothing was written, or, if the connection broke, it is unknown whether it was.
    pub async fn commit(self) -> Result<(), Error> {
        self.patience.in_time(self.transaction.commit()).await
    }
}

pub(crate) fn unusable(problem: String) -> Failure {
    Failure::Setting {
        variable: "DATABASE_URL",
        problem,
    }
}

pub(crate) fn unavailable(error: &Error) -> Failure {
    let problem = if matches!(error, Error::PoolTimedOut) {
        format!("the database did not answer within {ACQUIRE_TIMEOUT:?}")
    } else {
        format!("could not open the database: {error}")
    };
    Failure::Unavailable {
        what: "DATABASE_URL",
        problem,
    }
}

/// A broken one is an error; the pool then takes another.
async fn is_alive(connection: &mut AnyConnection, idle: Duration) -> Result<bool, Error> {
    if idle > RESTED {
        connection.ping().await?;
    }
    Ok(true)
}

/// Whether a connection may go back to the pool: not one that fell silent or takes no writes, nor one whose transaction a full disk undid behind the driver's back, which then takes no other.
async fn is_usable(
    connection: &mut AnyConnection,
    dialect: Dialect,
    patience: Patience,
) -> Result<bool, Error> {
    if connection.is_in_transaction() {
        return Ok(false);
    }
    if !patience.is_suspicious() {
        return Ok(true);
    }
    // The pool itself would wait for it without end.
    patience.in_time(takes_writes(connection, dialect)).await
}

pub(crate) async fn takes_writes<'c>(
    executor: impl Executor<'c, Database = Any>,
    dialect: Dialect,
) -> Result<bool, Error> {
    let sql = dialect.pick(TAKES_WRITES, "select 1");
    let takes_writes: i64 = sqlx::query_scalar(sql).fetch_one(executor).await?;
    Ok(takes_writes == 1)
}

pub(crate) fn read_only() -> Error {
    Error::Io(std::io::Error::new(
        ErrorKind::ReadOnlyFilesystem,
        "the server takes no writes",
    ))
}

/// Makes the folder of the file, and lets the file be made.
fn sqlite_url(url: &str) -> Result<String, String> {
    let path = sqlite_path(url)?;
    if let Some(folder) = Path::new(path).parent() {
        std::fs::create_dir_all(folder)
            .map_err(|error| format!("could not make the folder of {path}: {error}"))?;
    }
    let separator = if url.contains('?') { '&' } else { '?' };
    Ok(if url.contains("mode=") {
        url.to_owned()
    } else {
        format!("{url}{separator}mode=rwc")
    })
}

/// The file of a URL.
pub(crate) fn sqlite_path(url: &str) -> Result<&str, String> {
    let path = url.trim_start_matches("sqlite:").trim_start_matches("//");
    match path.split('?').next() {
        None | Some("") => Err("names no file".to_owned()),
        Some(path) => Ok(path),
    }
}

async fn prepare(connection: &mut AnyConnection, dialect: Dialect) -> Result<(), Error> {
    match dialect {
        Dialect::Sqlite => {
            let pragmas =
                "pragma journal_mode = wal; pragma synchronous = full; pragma busy_timeout = 5000;";
            connection.execute(pragmas).await?;
        }
        Dialect::Postgres => {
            if !takes_writes(&mut *connection, dialect).await? {
                return Err(read_only());
            }
            make_schema(connection).await?;
            connection.execute(POSTGRES_SESSION).await?;
        }
    }
    Ok(())
}

async fn prepare_unhurried(connection: &mut AnyConnection, dialect: Dialect) -> Result<(), Error> {
    prepare(connection, dialect).await?;
    if dialect == Dialect::Postgres {
        connection.execute(UNHURRIED).await?;
    }
    Ok(())
}

/// The schema of `search_path`, where the URL names one.
async fn make_schema(connection: &mut AnyConnection) -> Result<(), Error> {
    let (missing, name): (bool, String) = sqlx::query_as(
        "select current_schema() is null, trim(both '\" ' from split_part(current_setting('search_path'), ',', 1))",
    )
    .fetch_one(&mut *connection)
    .await?;
    if missing {
        let made = connection.create_schema_if_not_exists(&name).await;
        made.map_err(|error| Error::Migrate(Box::new(error)))?;
    }
    Ok(())
}
