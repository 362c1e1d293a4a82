//! Settings that the three notifiers share.

use std::num::NonZeroU32;
use std::time::Duration;

use bus::KafkaSettings;
use chassis::{Failure, ProcessSettings};
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use database::DatabaseSettings;
use events::{Channel, EventType};

/// A notifier's settings, without those of its provider.
#[derive(Args, Clone, Debug)]
pub struct NotifierSettings {
    /// The process.
    #[command(flatten)]
    pub process: ProcessSettings,
    /// The broker.
    #[command(flatten)]
    pub kafka: KafkaSettings,
    /// The database.
    #[command(flatten)]
    pub database: DatabaseSettings,
    /// Delivery.
    #[command(flatten)]
    pub delivery: DeliverySettings,
}

/// How messages are consumed, sent and tried again.
#[derive(Args, Clone, Debug)]
pub struct DeliverySettings {
    /// Topics to read, of booking-confirmed, payment-completed and booking-cancelled.
    #[arg(long, env = "TOPICS", value_delimiter = ',', value_parser = topic)]
    pub topics: Vec<EventType>,
    /// Consumer group.
    #[arg(long, env = "CONSUMER_GROUP", value_parser = NonEmptyStringValueParser::new())]
    pub consumer_group: String,
    /// Sends in flight at once, and so how many a kill can repeat. 64 send 640 messages a second where the provider takes 100 ms. E-mail: 48, for Postfix takes no more than 50 connections of a client.
    #[arg(long, env = "CONCURRENCY", default_value = "64", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub concurrency: u16,
    /// Attempts before a message is given up to the dead-letter topic.
    #[arg(long, env = "MAX_ATTEMPTS", default_value = "8", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub max_attempts: u32,
    /// The first wait between attempts is up to this long, and each later one up to twice the last.
    #[arg(long, env = "RETRY_BASE", default_value = "500ms", value_parser = humantime::parse_duration)]
    pub retry_base: Duration,
    /// No wait between attempts is longer.
    #[arg(long, env = "RETRY_CAP", default_value = "10min", value_parser = humantime::parse_duration)]
    pub retry_cap: Duration,
    /// How long one call of the provider may take.
    #[arg(long, env = "PROVIDER_TIMEOUT", default_value = "10s", value_parser = humantime::parse_duration)]
    pub provider_timeout: Duration,
    /// How long an event waits for an earlier one of its PNR that its history names and that has not come.
    #[arg(long, env = "ORDER_WAIT", default_value = "10s", value_parser = humantime::parse_duration)]
    pub order_wait: Duration,
    /// Age of a record above which its message is old news and not sent.
    #[arg(long, env = "MAX_AGE", default_value = "24h", value_parser = humantime::parse_duration)]
    pub max_age: Duration,
    /// Sends a second to each provider, for each process.
    #[arg(long, env = "RATE_LIMIT", default_value = "1000")]
    pub rate_limit: NonZeroU32,
    /// Failures in a row that open the circuit of a provider; fewer than `MAX_ATTEMPTS`, or an outage uses up the attempts of a message that is alone.
    #[arg(long, env = "BREAKER_FAILURES", default_value = "5", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub breaker_failures: u32,
    /// How long a circuit stays open at first; each failed probe doubles it, up to a minute.
    #[arg(long, env = "BREAKER_OPEN", default_value = "5s", value_parser = humantime::parse_duration)]
    pub breaker_open: Duration,
    /// What is done with a message that the provider may have taken and cannot be asked about: send it again, or hold it in the dead-letter topic.
    #[arg(long, env = "ON_AMBIGUOUS", default_value = "resend", value_enum)]
    pub on_ambiguous: OnAmbiguous,
    /// Unfinished messages in the database above which no more records are read. A cancellation that is not read yet holds no confirmation back, so it is as wide as an outage is long.
    #[arg(long, env = "INBOX_LIMIT", default_value = "1000000")]
    pub inbox_limit: u32,
    /// How long finished messages stay in the database; an event that comes once more after it would be told again, so no shorter than `MAX_AGE`.
    #[arg(long, env = "INBOX_RETENTION", default_value = "30d", value_parser = humantime::parse_duration)]
    pub inbox_retention: Duration,
}

impl DeliverySettings {
    /// Whether the settings go together, and with the channel.
    ///
    /// # Errors
    /// [`Failure::Setting`] for the first that does not.
    pub fn check<C: crate::Channel>(&self, channel: &C) -> Result<(), Failure> {
        for topic in &self.topics {
            if let Some(variable) = channel.missing_setting(*topic) {
                let problem = format!("is required, for TOPICS has {}", topic.topic());
                return Err(Failure::Setting { variable, problem });
            }
        }
        if self.inbox_retention >= self.max_age {
            return Ok(());
        }
        let limit = humantime::format_duration(self.max_age);
        Err(Failure::Setting {
            variable: "INBOX_RETENTION",
            problem: format!("shorter than MAX_AGE, {limit}"),
        })
    }
}

/// What is done with a message that may have been taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum OnAmbiguous {
    /// Rather twice than never: it is sent again, and counted.
    Resend,
    /// Rather never than twice: it goes to the dead-letter topic, for a person to decide.
    Hold,
}

fn topic(text: &str) -> Result<EventType, String> {
    let known = EventType::ALL.map(EventType::topic).join(", ");
    EventType::of_topic(text).ok_or_else(|| format!("{text:?} is not one of {known}"))
}

/// What the notifier of a channel has as its defaults, for [`chassis::parse_settings`].
pub const fn defaults(channel: Channel) -> &'static [(&'static str, &'static str)] {
    match channel {
        Channel::Email => &[
            ("http_addr", "127.0.0.1:8081"),
            ("database_url", "sqlite://./data/email-notifier.db"),
            ("consumer_group", "email-notification-group"),
            ("concurrency", "48"),
            (
                "topics",
                "booking-confirmed,booking-cancelled,payment-completed",
            ),
        ],
        Channel::Sms => &[
            ("http_addr", "127.0.0.1:8082"),
            ("database_url", "sqlite://./data/sms-notifier.db"),
            ("consumer_group", "sms-notification-group"),
            ("topics", "booking-confirmed,booking-cancelled"),
        ],
        Channel::Whatsapp => &[
            ("http_addr", "127.0.0.1:8083"),
            ("database_url", "sqlite://./data/whatsapp-notifier.db"),
            ("consumer_group", "whatsapp-notification-group"),
            ("topics", "booking-confirmed"),
        ],
    }
}
