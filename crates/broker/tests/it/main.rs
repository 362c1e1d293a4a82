//! Brokers from outside.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(
    clippy::print_stdout,
    reason = "a skipped test says so, and times are worth seeing"
)]

mod apache;
mod apache_refusals;
mod forwarder;
mod ports;
