#![doc = include_str!("../README.md")]

mod accepted;
mod admission;
mod api;
mod faults;
mod http;
mod ledger;
mod msg91;
mod sandbox;
mod settings;
mod smtp;
mod twilio;
mod whatsapp;
mod wire;

pub use accepted::{Accepted, Provider, SmsSize, TemplateUse};
pub use faults::{Effect, Faults, InvalidRule, Rule, SmtpStage};
pub use ledger::{Filter, Ledger};
pub use sandbox::Sandbox;
pub use settings::SandboxSettings;
