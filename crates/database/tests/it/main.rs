//! Opening databases.

use database::{Database, DatabaseSettings};
use tempfile::TempDir;

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
