//! How to reach the broker.

use clap::Args;

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
    /// Handed to librdkafka as it is: `name=value,name=value`.
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
