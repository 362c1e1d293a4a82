//! What every client of the broker is told.

use std::str::FromStr;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::statistics::Statistics;

use crate::{ClientError, KafkaSettings};

/// librdkafka properties an operator hands through. `Debug` hides the values: passwords are among them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Properties(Vec<(String, String)>);

impl FromStr for Properties {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let pair = |part: String| {
            let (name, value) = part
                .split_once('=')
                .filter(|(name, _)| is_name(name.trim()))
                .ok_or("must be name=value,name=value, a comma within a value being \\,")?;
            Ok((name.trim().to_owned(), value.to_owned()))
        };
        // The line's end of a file that a secret was made of.
        split(text.trim_end_matches(['\r', '\n']))
            .into_iter()
            .filter(|part| !part.trim().is_empty())
            .map(pair)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

/// Whether it is spelt as librdkafka's names are. An unknown name is shown, and what follows a comma may be the rest of a password.
fn is_name(text: &str) -> bool {
    let spells = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._".contains(c);
    text.chars().all(spells)
}

/// At commas, but for those after a backslash, which they lose. Any other backslash is the value's.
fn split(text: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for piece in text.split(',') {
        match parts.last_mut() {
            Some(last) if last.ends_with('\\') => {
                last.pop();
                last.push(',');
                last.push_str(piece);
            }
            Some(_) | None => parts.push(piece.to_owned()),
        }
    }
    parts
}

impl std::fmt::Debug for Properties {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}

/// How much longer than a session a consumer is without brokers before it begins anew with `bootstrap.servers`.
const BEYOND_SESSION: Duration = Duration::from_secs(5);

/// How long a producer is without brokers before it does: its records lose their order by it.
pub(crate) const GIVEN_UP: Duration = Duration::from_mins(5);

/// The part of the configuration that producers, consumers and admin clients share.
pub(crate) fn config(
    settings: &KafkaSettings,
    client_id: &str,
) -> Result<ClientConfig, ClientError> {
    if settings.min_in_sync() > settings.kafka_replication_factor {
        return Err(ClientError::InSync);
    }
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &settings.kafka_bootstrap_servers)
        .set("client.id", client_id)
        .set("socket.keepalive.enable", "true")
        .set("reconnect.backoff.max.ms", "2000")
        .set("socket.connection.setup.timeout.ms", "10000")
        // Otherwise a client forgets its brokers when all are away, and when they are back some partitions are read no more.
        .set("metadata.recovery.strategy", "none")
        .set("allow.auto.create.topics", "false")
        .set_log_level(rdkafka::config::RDKafkaLogLevel::Warning);
    if cfg!(feature = "tls") {
        // Where Debian and others keep the certificates: this OpenSSL has a folder of its own, which is empty.
        config.set("ssl.ca.location", "probe");
    }
    Ok(config)
}

/// Lays the operator's properties over ours.
pub(crate) fn with_properties(mut config: ClientConfig, settings: &KafkaSettings) -> ClientConfig {
    for (name, value) in &settings.kafka_properties.0 {
        config.set(name, value);
    }
    config
}

/// When the consumers of this configuration begin anew: their place in the group is lost by then.
pub(crate) fn lost_after(config: &ClientConfig) -> Duration {
    let session = config.get("session.timeout.ms");
    let millis = session.and_then(|millis| millis.parse().ok());
    BEYOND_SESSION + Duration::from_millis(millis.unwrap_or_default())
}

/// Whether a broker is connected, by the client's own statistics.
pub(crate) fn is_connected(statistics: &Statistics) -> bool {
    statistics
        .brokers
        .values()
        .any(|broker| broker.state == "UP")
}

/// Whether the client knows no broker any more, by its own statistics: a broker that stops names none when it is asked, librdkafka takes its word, and never connects again.
pub(crate) fn knows_none(statistics: &Statistics) -> bool {
    let mut brokers = statistics.brokers.values();
    !brokers.any(|broker| matches!(broker.source.as_str(), "configured" | "learned"))
}

#[cfg(test)]
mod tests {
    use rdkafka::statistics::Broker;

    use super::*;

    #[test]
    fn a_property_s_value_may_hold_equals_signs_backslashes_and_escaped_commas() {
        let text = r"sasl.username=a\b, sasl.password=p=1\,2\,,client.rack=".to_owned() + "\n";
        let properties: Properties = text.parse().unwrap();
        let pairs = [
            ("sasl.username", r"a\b"),
            ("sasl.password", "p=1,2,"),
            ("client.rack", ""),
        ];
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(properties, Properties(pairs.to_vec()));
    }

    #[test]
    fn a_password_with_a_comma_that_is_not_escaped_is_refused_and_not_shown() {
        for text in ["sasl.password=hidden,word", "sasl.password=hidden,Word=1"] {
            let refused = text.parse::<Properties>().unwrap_err();
            let said = refused.to_lowercase();
            assert!(!said.contains("hidden") && !said.contains("word"), "{said}");
        }
    }

    #[test]
    fn a_client_that_has_only_its_own_queues_and_the_coordinator_s_name_knows_no_broker() {
        let mut statistics = Statistics::default();
        let mut know = |source: &str| {
            let broker = Broker {
                source: source.to_owned(),
                ..Broker::default()
            };
            statistics.brokers.insert(source.to_owned(), broker);
            knows_none(&statistics)
        };
        assert!(know("internal"));
        assert!(know("logical"));
        assert!(!know("configured"));
        assert!(!know("learned"));
    }
}
