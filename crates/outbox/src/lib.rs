#![doc = include_str!("../README.md")]

mod marker;
mod measure;
mod metrics;
mod outbox;
mod relay;
mod store;

use std::sync::Arc;

use bus::Producer;
use chassis::SharedClock;
use chassis::metrics::Metrics;
use database::{Database, Schema};

pub use outbox::{Handover, Outbox};
pub use relay::Relay;
pub use store::{History, OutboxRow};

/// The tables of this crate.
pub const SCHEMA: Schema = Schema {
    table: "_outbox_migrations",
    postgres: &sqlx::migrate!("./migrations/postgres"),
    sqlite: &sqlx::migrate!("./migrations/sqlite"),
};

/// The two ends: where rows are written, and the relay that publishes them.
///
/// `prefix` begins the names of its metrics: `booking` for `booking_events_published_total`. `history`: what becomes of published rows.
pub fn pair(
    database: Database,
    producer: Producer,
    clock: SharedClock,
    metrics: &Metrics,
    (prefix, history): (&'static str, History),
) -> (Outbox, Relay) {
    let store = store::Store::new(database, &clock, history);
    let (outbox, fresh) = Outbox::new(store.clone());
    let metrics = metrics::OutboxMetrics::register(metrics, prefix);
    let shared = Arc::clone(outbox.shared());
    (
        outbox,
        Relay::new(store, producer, clock, metrics, (shared, fresh)),
    )
}
