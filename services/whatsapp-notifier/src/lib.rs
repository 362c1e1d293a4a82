#![doc = include_str!("../README.md")]

mod classify;
mod cloud_api;
mod settings;
mod template;

use std::time::Duration;

use chassis::{Failure, Shutdown};
use delivery::{Channel, Notifier, Undeliverable};
use events::BookingEvent;

pub use settings::{ParameterFormat, Settings, WhatsappSettings};

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
    let timeout = settings.notifier.delivery.provider_timeout;
    let channel = channel(&settings.whatsapp, timeout)?;
    Notifier::start(channel, settings.notifier).await
}

/// The channel: how a `WhatsApp` message reads, and how the Cloud API is asked within `timeout`.
///
/// # Errors
/// [`Failure::Broken`] if TLS cannot be set up.
pub fn channel(
    settings: &WhatsappSettings,
    timeout: Duration,
) -> Result<impl Channel + use<>, Failure> {
    cloud_api::CloudApi::new(settings.clone(), timeout)
}

/// The text of an event's message in the wording of this crate's README: the approved template is kept by Meta.
///
/// # Errors
/// [`Undeliverable`] if this channel can never tell this event.
pub fn preview(event: &BookingEvent) -> Result<String, Undeliverable> {
    template::preview(event)
}
