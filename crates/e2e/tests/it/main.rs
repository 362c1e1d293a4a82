//! The programs together, and under faults.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

mod alerts;
mod client;
mod e2e_booking;
mod e2e_load;
mod e2e_logs;
mod e2e_records;
mod e2e_settings;
mod e2e_traces;
mod e2e_up;
mod fault_broker;
mod fault_clock;
mod fault_database;
mod fault_dead_letters;
mod fault_everything;
mod fault_fairness;
mod fault_group;
mod fault_kill;
mod fault_lag;
mod fault_network;
mod fault_order;
mod fault_outage;
mod fault_provider;
mod fault_stop;
mod load;
mod panels;
mod rules;
mod sessions;
mod under_load;
