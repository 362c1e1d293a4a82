//! The service as its clients meet it: in this process, on a port of its own, on SQLite, or on the PostgreSQL of `TEST_DATABASE_URL`.
//!
//! Except for what is read from Kafka, no broker runs: every 2xx was answered without it.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod batches;
mod changes;
mod creation;
mod fixture;
mod idempotency;
mod lists;
mod operation;
mod problems;
mod projection;
mod story;
