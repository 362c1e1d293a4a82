#![doc = include_str!("../README.md")]

mod channel;
mod msg91;
mod settings;
mod twilio;
mod wording;

use std::time::Duration;

use chassis::{Failure, Shutdown};
use delivery::{Channel, Notifier, Undeliverable};
use events::{BookingEvent, Stage};

pub use settings::{Failover, Flow, Provider, Sender, Settings, SmsSettings};

/// Tells what the topics carry, until shutdown.
///
/// # Errors
/// [`Failure`] if it cannot start, or cannot go on.
pub async fn run(settings: Settings, shutdown: Shutdown) -> Result<(), Failure> {
    start(settings).await?.run(shutdown).await
}

/// Opens the database and takes the port.
///
/// # Errors
/// [`Failure`] if either cannot be done.
pub async fn start(settings: Settings) -> Result<Notifier<impl Channel>, Failure> {
    let channel = channel(&settings.sms, settings.notifier.delivery.provider_timeout)?;
    Notifier::start(channel, settings.notifier).await
}

/// The channel: how an SMS reads, and how the providers are asked within `timeout`.
///
/// # Errors
/// [`Failure::Setting`] if a setting that the provider needs is missing, [`Failure::Broken`] if TLS cannot be set up.
pub fn channel(settings: &SmsSettings, timeout: Duration) -> Result<impl Channel + use<>, Failure> {
    channel::SmsChannel::new(settings, timeout)
}

/// The text of an event's message as the passenger reads it.
///
/// # Errors
/// [`Undeliverable`] if this channel can never tell this event.
pub fn preview(event: &BookingEvent) -> Result<String, Undeliverable> {
    event.phone().map_err(|error| Undeliverable {
        stage: Stage::Validate,
        problem: format!("userPhone {error}"),
    })?;
    let values = wording::values(event)?;
    Ok(wording::text(event.event_type, &values))
}
