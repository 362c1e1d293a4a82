//! The operator's command as a process, against a broker of the test's.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod desk;
mod dlq;
mod dlq_replay;
mod doctor;
mod help;
mod kafka;
mod load;
mod sandbox;
mod stop;
mod topics;
mod up;
