#![doc = include_str!("../README.md")]

mod backoff;
mod breaker;
mod channel;
mod dead_letters;
mod dispatcher;
mod gates;
mod http_refusal;
mod intake;
mod limiter;
mod metrics;
mod notifier;
mod reading;
mod recorder;
mod settings;
mod statuses;
mod storm;
mod verdicts;
mod worker;

pub use channel::{
    Channel, Delivery, FailureClass, LookedUp, Receipt, RecipientQuota, Scope, SendError,
    Undeliverable,
};
pub use http_refusal::{HttpAnswer, HttpApi, HttpRefusal};
pub use notifier::{Notifier, SCHEMAS};
pub use settings::{DeliverySettings, NotifierSettings, OnAmbiguous, defaults};
