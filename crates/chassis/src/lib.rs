#![doc = include_str!("../README.md")]

pub mod chance;
mod clock;
mod failure;
mod health;
pub mod http;
mod logs;
pub mod metrics;
mod process;
mod settings;
mod tasks;
pub mod trace;
#[cfg(target_os = "linux")]
mod usage;

pub use clock::{Clock, SharedClock, SteadyClock, SystemClock};
pub use failure::Failure;
pub use health::Readiness;
pub use logs::{loggable_id, loggable_record_id};
pub use process::run_to_exit;
pub use settings::{
    ProcessSettings, base_url, is_set, parse_settings, parse_settings_from, secret,
};
pub use tasks::Tasks;
pub use tokio_util::sync::CancellationToken as Shutdown;
