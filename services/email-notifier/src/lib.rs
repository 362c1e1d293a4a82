#![doc = include_str!("../README.md")]

mod classify;
mod letter;
mod recipient;
mod relay;
mod settings;
mod smtp;
mod smtp_url;
mod ticket;

use std::sync::Arc;
use std::time::Duration;

use chassis::{Failure, SharedClock, Shutdown, SystemClock};
use delivery::{Channel, FailureClass, Notifier, SendError, Undeliverable};
use events::{BookingEvent, Stage};

pub use settings::{EmailSettings, Settings};
pub use smtp_url::{InvalidSmtpUrl, SmtpUrl};

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
    let delivery = &settings.notifier.delivery;
    let channel = channel(
        &settings.email,
        delivery.provider_timeout,
        delivery.concurrency,
        Arc::new(SystemClock),
    )?;
    Notifier::start(channel, settings.notifier).await
}

/// The channel: how a letter reads, and how the relay is asked within `timeout`, keeping up to `concurrency` connections.
///
/// # Errors
/// [`Failure::Broken`] if TLS cannot be set up.
pub fn channel(
    settings: &EmailSettings,
    timeout: Duration,
    concurrency: u16,
    clock: SharedClock,
) -> Result<impl Channel + use<>, Failure> {
    smtp::Smtp::new(settings, timeout, concurrency.into(), clock)
}

/// Connects to the relay as for a mail, with TLS and log-in where the settings have them, and leaves without sending any. Returns what the relay calls itself.
///
/// # Errors
/// [`SendError`] as a mail would meet it.
pub async fn greet(settings: &EmailSettings, timeout: Duration) -> Result<String, SendError> {
    let relay = relay::Relay::new(settings.smtp_url.clone(), timeout, 0);
    let relay = relay.map_err(|failure| SendError {
        class: FailureClass::Permanent,
        status: None,
        problem: failure.line(),
    })?;
    relay.greet().await.map_err(smtp::failure)
}

/// Subject and text of an event's letter as the passenger reads them, from the sender that is the default.
///
/// # Errors
/// [`Undeliverable`] if this channel can never tell this event.
pub fn preview(event: &BookingEvent) -> Result<String, Undeliverable> {
    let from = settings::MAIL_FROM
        .parse()
        .map_err(|_unsaid| Undeliverable {
            stage: Stage::Render,
            problem: "the sender is no mailbox".to_owned(),
        })?;
    Ok(letter::Writer::new(from).write(event)?.readable())
}
