//! The sandbox as its clients see it: real SMTP, HTTP and browser clients against real ports.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says when it was skipped"
)]

mod browser;
mod faults;
mod inbox_page;
mod ledger;
mod msg91;
mod running;
mod smtp;
mod twilio;
mod view;
mod whatsapp;
