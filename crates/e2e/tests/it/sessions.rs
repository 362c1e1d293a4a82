//! A look into a program's database, beside the program.

use database::Database;
use testkit::System;

/// A session beside the program's own.
pub(crate) async fn session(system: &System, name: &str) -> Database {
    let settings = system.database(name).unwrap().settings();
    Database::open(&settings, 2, &[]).await.unwrap()
}

/// The state of an event in a notifier's inbox.
pub(crate) async fn state(system: &System, name: &str, event_id: &str) -> Option<String> {
    let database = session(system, name).await;
    let query = sqlx::query_scalar("select state from inbox where event_id = $1");
    let state = query.bind(event_id).fetch_optional(&database).await;
    database.close().await;
    state.unwrap()
}

/// How many rows of a notifier's inbox are in this state.
pub(crate) async fn count_in_state(system: &System, name: &str, state: &str) -> i64 {
    let database = session(system, name).await;
    let query = sqlx::query_scalar("select count(*) from inbox where state = $1");
    let count = query.bind(state).fetch_one(&database).await;
    database.close().await;
    count.unwrap()
}
