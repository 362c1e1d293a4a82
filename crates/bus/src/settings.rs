//! How to reach the broker.

use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::client::Properties;

/// Settings of the Kafka client.
#[derive(Args, Clone, Debug)]
#[expect(
    clippy::struct_field_names,
    reason = "a field is named as its flag and variable"
)]
pub struct KafkaSettings {
    /// Brokers to ask first, `host:port,host:port`.
    #[arg(long, env = "KAFKA_BOOTSTRAP_SERVERS", value_name = "SERVERS", default_value = "127.0.0.1:9092", value_parser = servers)]
    pub kafka_bootstrap_servers: String,
    /// Handed to librdkafka as it is, such as TLS and SASL: `name=value,name=value`, a comma within a value being `\,`.
    #[arg(
        long,
        env = "KAFKA_PROPERTIES",
        value_name = "PROPERTIES",
        default_value = "",
        hide_env_values = true
    )]
    pub kafka_properties: Properties,
    /// Partitions of topics that are created.
    #[arg(long, env = "KAFKA_PARTITIONS", default_value = "3", value_parser = clap::value_parser!(i32).range(1..=10_000))]
    pub kafka_partitions: i32,
    /// Replicas of topics that are created.
    #[arg(long, env = "KAFKA_REPLICATION_FACTOR", default_value = "1", value_parser = clap::value_parser!(i32).range(1..=100))]
    pub kafka_replication_factor: i32,
    /// Of topics that are created.
    #[command(flatten)]
    pub kafka_topics: TopicSettings,
}

/// Settings of topics that are created. Those that exist are left as they are.
#[derive(Args, Clone, Debug)]
#[expect(
    clippy::struct_field_names,
    reason = "a field is named as its flag and variable"
)]
pub struct TopicSettings {
    /// How long topics that are created keep records; those of dead letters and replays have a setting of their own.
    #[arg(long, env = "KAFKA_RETENTION", value_name = "DURATION", default_value = "7days", value_parser = retention)]
    pub kafka_retention: Duration,
    /// How long topics of dead letters and replays that are created keep records: the time to deal with a dead letter.
    #[arg(long, env = "KAFKA_DLQ_RETENTION", value_name = "DURATION", default_value = "30days", value_parser = retention)]
    pub kafka_dlq_retention: Duration,
    /// Replicas that must have a record of a topic that is created before it counts as written; unless set one fewer than there are, and at least one.
    #[arg(long, env = "KAFKA_MIN_INSYNC_REPLICAS", value_name = "COUNT", value_parser = clap::value_parser!(i32).range(1..=100))]
    pub kafka_min_insync_replicas: Option<i32>,
    /// How brokers compress the records of topics that are created.
    #[arg(
        long,
        env = "KAFKA_COMPRESSION",
        value_enum,
        value_name = "NAME",
        default_value = "producer"
    )]
    pub kafka_compression: Compression,
}

impl Default for TopicSettings {
    fn default() -> Self {
        const DAY: u64 = 24;
        Self {
            kafka_retention: Duration::from_hours(7 * DAY),
            kafka_dlq_retention: Duration::from_hours(30 * DAY),
            kafka_min_insync_replicas: None,
            kafka_compression: Compression::Producer,
        }
    }
}

/// How records lie on a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Compression {
    /// As their producer sent them; ours compress with lz4.
    Producer,
    /// Not at all.
    Uncompressed,
    /// gzip.
    Gzip,
    /// lz4.
    Lz4,
    /// Snappy.
    Snappy,
    /// Zstandard.
    Zstd,
}

impl Compression {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Producer => "producer",
            Self::Uncompressed => "uncompressed",
            Self::Gzip => "gzip",
            Self::Lz4 => "lz4",
            Self::Snappy => "snappy",
            Self::Zstd => "zstd",
        }
    }
}

impl KafkaSettings {
    /// A broker that is reached without more to say, every other setting at its default.
    pub fn local(kafka_bootstrap_servers: String) -> Self {
        Self {
            kafka_bootstrap_servers,
            kafka_properties: Properties::default(),
            kafka_partitions: 3,
            kafka_replication_factor: 1,
            kafka_topics: TopicSettings::default(),
        }
    }

    /// `min.insync.replicas` of topics that are created.
    pub(crate) fn min_in_sync(&self) -> i32 {
        let one_may_be_away = (self.kafka_replication_factor - 1).max(1);
        let set = self.kafka_topics.kafka_min_insync_replicas;
        set.unwrap_or(one_may_be_away)
    }
}

/// Whole milliseconds, as the broker counts them.
fn retention(text: &str) -> Result<Duration, String> {
    let span = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    match i64::try_from(span.as_millis()) {
        Ok(1..) => Ok(span),
        Ok(_) | Err(_) => {
            Err("must be a millisecond at least and 292 million years at most".to_owned())
        }
    }
}

/// Reads `host:port`, or several separated by commas.
///
/// # Errors
/// What it must be, in words.
pub fn servers(text: &str) -> Result<String, String> {
    let good = |server: &str| {
        let port = server.rsplit_once(':').filter(|(host, _)| !host.is_empty());
        port.is_some_and(|(_, port)| port.parse::<u16>().is_ok_and(|port| port > 0))
    };
    if text.split(',').all(good) {
        Ok(text.to_owned())
    } else {
        Err("must be host:port, or several separated by commas".to_owned())
    }
}
