//! Opening databases.

use database::{Database, DatabaseSettings, Dialect, Schema, inspect};
use sqlx::migrate::Migrator;
use tempfile::TempDir;
use testkit::TestDatabase;

/// Takes longer than a statement may.
static SLOW: Migrator = sqlx::migrate!("tests/it/slow");

fn sqlite(folder: &TempDir) -> DatabaseSettings {
    let path = folder.path().join("deep/er/test.db");
    DatabaseSettings {
        database_url: format!("sqlite://{}", path.display()),
    }
}

#[tokio::test]
async fn a_committed_write_is_there_after_reopening() {
    let folder = TempDir::new().unwrap();
    let database = Database::open(&sqlite(&folder), 4, &[]).await.unwrap();
    let mut transaction = database.begin().await.unwrap();
    sqlx::query("create table t (n bigint)")
        .execute(&mut transaction)
        .await
        .unwrap();
    sqlx::query("insert into t values ($1)")
        .bind(7_i64)
        .execute(&mut transaction)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    database.close().await;

    let database = Database::open(&sqlite(&folder), 4, &[]).await.unwrap();
    let n: i64 = sqlx::query_scalar("select n from t")
        .fetch_one(&database)
        .await
        .unwrap();
    assert_eq!(n, 7);
}

#[tokio::test]
async fn writers_on_sqlite_take_turns() {
    let folder = TempDir::new().unwrap();
    let database = Database::open(&sqlite(&folder), 8, &[]).await.unwrap();
    sqlx::query("create table t (n bigint)")
        .execute(&database)
        .await
        .unwrap();
    let writers = (0..32).map(|n: i64| {
        let database = database.clone();
        tokio::spawn(async move {
            let mut transaction = database.begin().await.unwrap();
            let insert = sqlx::query("insert into t values ($1)").bind(n);
            insert.execute(&mut transaction).await.unwrap();
            transaction.commit().await.unwrap();
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let count: i64 = sqlx::query_scalar("select count(*) from t")
        .fetch_one(&database)
        .await
        .unwrap();
    assert_eq!(count, 32);
}

#[tokio::test]
async fn a_database_that_does_not_answer_is_one_line() {
    let settings = DatabaseSettings {
        database_url: "postgres://u:secret@127.0.0.1:1/x".to_owned(),
    };
    let line = Database::open(&settings, 1, &[]).await.unwrap_err().line();
    assert!(line.starts_with("DATABASE_URL: "), "{line}");
    assert!(!line.contains("secret"), "{line}");
}

#[tokio::test]
async fn a_migration_takes_its_time_and_a_second_process_waits_for_it() {
    let database = TestDatabase::new().unwrap();
    if database.dialect() == Dialect::Sqlite {
        println!("not run: SQLite limits no statement; give TEST_DATABASE_URL");
        return;
    }
    let settings = database.settings();
    let schemas = [Schema {
        table: "_slow_migrations",
        postgres: &SLOW,
        sqlite: &SLOW,
    }];
    let open = || Database::open(&settings, 2, &schemas);
    let (first, second) = tokio::join!(open(), open());
    let sql = "select count(*) from _slow_migrations";
    for database in [first.unwrap(), second.unwrap()] {
        let applied: i64 = sqlx::query_scalar(sql).fetch_one(&database).await.unwrap();
        assert_eq!(applied, 1);
        let limit = sqlx::query_scalar("select current_setting('statement_timeout')");
        let limit: String = limit.fetch_one(&database).await.unwrap();
        assert_eq!(limit, "10s");
    }
}

#[tokio::test]
async fn a_server_that_takes_no_writes_is_no_answer_and_its_connections_go() {
    let database = TestDatabase::new().unwrap();
    if database.dialect() == Dialect::Sqlite {
        println!("not run: SQLite has no standby; give TEST_DATABASE_URL");
        return;
    }
    let url = database.settings().database_url;
    let standby = DatabaseSettings {
        database_url: format!("{url}&options[default_transaction_read_only]=on"),
    };
    let seen = inspect(&standby, &[]).await.unwrap_err();
    assert!(seen.to_string().contains("takes no writes"), "{seen}");

    let database = Database::open(&database.settings(), 1, &[]).await.unwrap();
    database.ping().await.unwrap();
    // As on a server that became a standby.
    let standby = sqlx::query("set default_transaction_read_only = on");
    standby.execute(&database).await.unwrap();
    let error = database.ping().await.unwrap_err();
    assert!(error.to_string().contains("takes no writes"), "{error}");
    database.ping().await.unwrap();
}
