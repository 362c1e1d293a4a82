#![doc = include_str!("../README.md")]

mod answer;
mod booking;
mod details;
mod event;
mod fare;
mod http;
mod idempotency;
mod metrics;
mod notification;
mod pnr;
mod projection;
mod service;
mod settings;
mod store;
mod timeline;
mod upkeep;
mod writer;

pub use pnr::PnrSource;
pub use service::{BookingApi, Sources, run};
pub use settings::Settings;
pub use store::SCHEMAS;
