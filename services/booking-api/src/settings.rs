//! What an operator sets.

use bus::KafkaSettings;
use chassis::ProcessSettings;
use clap::Parser;
use clap::builder::NonEmptyStringValueParser;
use database::DatabaseSettings;

/// Takes bookings over HTTP and publishes their events to Kafka.
#[derive(Parser, Clone, Debug)]
#[command(name = "booking-api", version)]
pub struct Settings {
    /// Settings of every program.
    #[command(flatten)]
    pub process: ProcessSettings,
    /// The broker.
    #[command(flatten)]
    pub kafka: KafkaSettings,
    /// The database.
    #[command(flatten)]
    pub database: DatabaseSettings,
    /// Consumer group that reads what became of notifications.
    #[arg(long, env = "CONSUMER_GROUP", default_value = "booking-api", value_parser = NonEmptyStringValueParser::new())]
    pub consumer_group: String,
}

impl Settings {
    /// What this program has where the operator sets nothing, for [`chassis::parse_settings`].
    pub const DEFAULTS: &'static [(&'static str, &'static str)] = &[
        ("http_addr", "127.0.0.1:8080"),
        ("database_url", "sqlite://./data/booking-api.db"),
    ];
}
